import { defaultStorePath } from './config.ts'

/** The commands that show more of a run: its batches, and its requests with their answers. None for a store that no command can open. */
export function moreCommands(
  store: unknown,
  run: number,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (typeof store !== 'string') return []
  const where = store === defaultStorePath(env) ? '' : ` --store ${quoted(store)}`
  return [`offpeak batches${where}`, `offpeak results ${run}${where}`]
}

/** As a shell wants it. */
function quoted(path: string): string {
  return /^[\w./:\\~+-]+$/.test(path) ? path : JSON.stringify(path)
}
