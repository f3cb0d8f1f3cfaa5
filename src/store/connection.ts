import Sqlite from 'better-sqlite3'
import { OffpeakError } from '../core/errors.ts'
import { checkIsOurs, migrate, PAGE_SIZE } from './migrations.ts'
import { hasOrphanedLog, wasOurs } from './recognise.ts'

/** One connection: every use of it is one transaction, and every failure an `OffpeakError`. */
export interface Connection {
  readonly database: Sqlite.Database
  readonly read: <T>(work: () => T) => T
  readonly write: <T>(work: () => T) => T
  /** One statement, which is a transaction by itself. */
  readonly single: <T>(work: () => T) => T
  close(): void
}

/** How long one writer waits for another. Writers hold the lock for milliseconds; this is for a machine that stalls. */
const BUSY_TIMEOUT_MS = 15_000

/** Opens a database file, sets what the promises rest on, and brings its schema up to date. */
export function connect(file: string, busyTimeoutMs: number = BUSY_TIMEOUT_MS): Connection {
  if (hasOrphanedLog(file)) throw damaged(file, 'its write-ahead log does not belong to it')
  let database: Sqlite.Database | undefined
  try {
    database = new Sqlite(file, { timeout: busyTimeoutMs })
    checkIsOurs(database, file)
    configure(database, busyTimeoutMs)
    migrate(database, file)
    return connectionOver(database, file)
  } catch (error) {
    database?.close()
    throw openFailed(error, file)
  }
}

/** What failed while a file was being opened, which may never have been ours. */
export function openFailed(error: unknown, file: string): unknown {
  const isUnclear = error instanceof Sqlite.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code)
  return isUnclear && wasOurs(file) ? damaged(file, error.code, error) : translated(error, file)
}

/** The way out of damage, for whoever finds it. */
export function damaged(file: string, what: string, cause?: unknown): OffpeakError {
  return new OffpeakError(
    'store-unusable',
    `${file} is damaged: it was left alone. \`offpeak doctor --repair --store ${file}\` sets it aside and rebuilds what can be read (${what}).`,
    { cause },
  )
}

/** Wraps a database that is already open and configured. */
export function connectionOver(database: Sqlite.Database, file: string): Connection {
  const begin = database.prepare('BEGIN')
  const beginWriting = database.prepare('BEGIN IMMEDIATE')
  const commit = database.prepare('COMMIT')
  const rollback = database.prepare('ROLLBACK')

  function transaction<T>(start: Sqlite.Statement, work: () => T): T {
    try {
      start.run()
      const result = work()
      commit.run()
      return result
    } catch (error) {
      // A full disk, for one, has rolled back by itself.
      if (database.open && database.inTransaction) rollback.run()
      throw translated(error, file)
    }
  }

  return {
    database,
    read: (work) => transaction(begin, work),
    write: (work) => transaction(beginWriting, work),
    single(work) {
      try {
        return work()
      } catch (error) {
        throw translated(error, file)
      }
    },
    close: () => void database.close(),
  }
}

function configure(database: Sqlite.Database, busyTimeoutMs: number): void {
  // Of a file that is yet to be written; one that exists keeps its own.
  database.pragma(`page_size = ${PAGE_SIZE}`)
  useWriteAheadLog(database, busyTimeoutMs)
  // The driver's build sets NORMAL in WAL mode, which may lose the last commits in a power cut: a batch we paid for.
  database.pragma('synchronous = FULL')
  if (database.pragma('synchronous', { simple: true }) !== 2) {
    throw new OffpeakError('store-unusable', `SQLite would not be set to synchronous=FULL for ${database.name}.`)
  }
  // Statements that write many rows keep a journal of their own, by default in a file: slow, and our prompts in a temporary folder.
  database.pragma('temp_store = MEMORY')
  database.pragma('cache_size = -16000')
  database.pragma('wal_autocheckpoint = 1000')
  database.pragma('journal_size_limit = 67108864')
}

/** Changing the mode of a new file needs it alone, and SQLite does not wait for that by itself. */
function useWriteAheadLog(database: Sqlite.Database, busyTimeoutMs: number): void {
  const until = Date.now() + busyTimeoutMs
  for (;;) {
    try {
      const mode = database.pragma('journal_mode = WAL', { simple: true })
      if (mode === 'wal') return
      throw new OffpeakError(
        'store-unusable',
        `${database.name} cannot use a write-ahead log (SQLite says '${String(mode)}'); put the store on a local disk.`,
      )
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError) || !error.code.startsWith('SQLITE_BUSY') || Date.now() > until) {
        throw error
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

function translated(error: unknown, file: string): unknown {
  if (error instanceof TypeError && error.message.includes('connection is not open')) {
    return new OffpeakError('store-unusable', `The store ${file} has been closed.`, { cause: error })
  }
  if (!(error instanceof Sqlite.SqliteError)) return error
  const { code } = error
  if (code === 'SQLITE_FULL') {
    return new OffpeakError(
      'store-full',
      `There is no room left to write ${file}; free some space on that disk. Nothing was lost.`,
      { cause: error },
    )
  }
  if (code.startsWith('SQLITE_CORRUPT')) return damaged(file, code, error)
  return new OffpeakError('store-unusable', `${file} ${reasonOf(code)} (${code}).`, { cause: error })
}

function reasonOf(code: string): string {
  if (code === 'SQLITE_NOTADB') return 'is not an offpeak store: it was left alone, choose another path'
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return 'has been locked by another process for too long; end that process or try again'
  }
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_PERM')) {
    return 'cannot be written; check the permissions of the file and its folder'
  }
  if (code.startsWith('SQLITE_CANTOPEN')) return 'cannot be opened; check that its folder exists and is yours'
  return 'could not be read or written; check the disk it is on'
}
