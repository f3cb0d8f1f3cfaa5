import type { Database } from 'better-sqlite3'
import { OffpeakError } from '../core/errors.ts'
import { damaged, openFailed } from './connection.ts'
import { type Contents, contentsOf } from './contents.ts'
import { checkIsOurs, versionOf } from './migrations.ts'
import { openForReading } from './reading-only.ts'
import { hasOrphanedLog } from './recognise.ts'

/** Reads from a store without changing it; everything `work` reads is of one moment. */
export function readContents<T>(file: string, busyTimeoutMs: number, work: (contents: Contents) => T): T {
  const database = openStoreForReading(file, busyTimeoutMs)
  try {
    return database.transaction(() => work(contentsOf(database)))()
  } catch (error) {
    throw openFailed(error, file)
  } finally {
    database.close()
  }
}

/** Opens a store of ours that holds something, to look at it. */
export function openStoreForReading(file: string, busyTimeoutMs: number): Database {
  if (hasOrphanedLog(file)) throw damaged(file, 'its write-ahead log does not belong to it')
  let database: Database | undefined
  try {
    database = openForReading(file, busyTimeoutMs)
    checkIsOurs(database, file)
    if (versionOf(database) === 0) throw new OffpeakError('store-unusable', `${file} is empty; the first run fills it.`)
    return database
  } catch (error) {
    database?.close()
    throw openFailed(error, file)
  }
}
