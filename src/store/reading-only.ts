import Sqlite from 'better-sqlite3'
import { statSync } from 'node:fs'

/**
 * Opens a store to look at it, leaving its files as they are. A log that holds something is not written back into the file, as an
 * ordinary close would do it; without one, an ordinary close removes what the look itself has made.
 */
export function openForReading(file: string, busyTimeoutMs: number): Sqlite.Database {
  const hasLog = ['-wal', '-journal'].some((end) => (statSync(file + end, { throwIfNoEntry: false })?.size ?? 0) > 0)
  const database = new Sqlite(file, { readonly: hasLog, fileMustExist: true, timeout: busyTimeoutMs })
  try {
    database.pragma('query_only = ON')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}
