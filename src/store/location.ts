import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Where a store is, once it may be opened. */
export interface Location {
  readonly file: string
  /** Its folder, if it is private to this user. */
  readonly folder: string | undefined
}

export function prepareLocation(path: string): Location {
  const file = resolve(path)
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  closeSync(openSync(file, 'a', 0o600))
  return { file, folder }
}
