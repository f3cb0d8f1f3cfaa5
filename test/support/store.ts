import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'

export interface TempStore extends Disposable {
  readonly store: Store
  /** The database file. */
  readonly path: string
  /** The temporary folder it is in. */
  readonly folder: string
}

/** An open SQLite store in a temporary folder; both go with it. */
export function tempStore(): TempStore {
  const folder = tempFolder()
  const path = join(folder.path, 'store.sqlite')
  const store = openSqliteStore({ path })
  return {
    store,
    path,
    folder: folder.path,
    [Symbol.dispose]() {
      store[Symbol.dispose]()
      folder[Symbol.dispose]()
    },
  }
}

/** A folder that goes with all that is in it. */
export function tempFolder(): Disposable & { readonly path: string } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'offpeak-')))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
