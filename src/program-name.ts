import { basename } from 'node:path'

/** What a run is called in the store: the program's file, without its arguments, which may hold anything. `node` where there is none. */
export function programName([, script, ...rest]: readonly string[]): string {
  if (script === undefined) return 'node'
  const [file, name] = /[\\/]call-function\.[jt]s$/.test(script) ? rest : []
  if (file !== undefined && name !== undefined) return `${basename(file)}:${name}`
  return basename(script)
}
