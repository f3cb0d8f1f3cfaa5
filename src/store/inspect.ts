import Sqlite from 'better-sqlite3'
import { statSync } from 'node:fs'
import { contentsOf, type Contents, type JobCounts, type LiveOwner, type OpenIntentSummary } from './contents.ts'
import type { LogState } from './log-file.ts'
import { APPLICATION_ID, STORE_VERSION } from './migrations.ts'
import { openPages } from './page-file.ts'
import { openForReading } from './reading-only.ts'
import { hasOrphanedLog, wasOurs } from './recognise.ts'

/** What a look at a store found, whatever state it is in. */
export type Inspection =
  | { readonly kind: 'absent' }
  /** It is there, and this user cannot read it. */
  | { readonly kind: 'closed'; readonly reason: string }
  | {
      readonly kind: 'seen'
      readonly bytes: number
      readonly log: LogState
      readonly look: Look
    }

export type Look =
  /** Made a moment ago, or by a run that did not come to its first write. */
  | { readonly kind: 'empty' }
  /** Somebody else's file. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'too-new'; readonly version: number; readonly known: number }
  | { readonly kind: 'locked' }
  | { readonly kind: 'damaged'; readonly problems: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string }
  | {
      readonly kind: 'sound'
      readonly version: number
      readonly jobs: JobCounts
      readonly openIntents: readonly OpenIntentSummary[]
      readonly liveOwners: readonly LiveOwner[]
    }

const MOST_PROBLEMS = 5

/** Looks at a store without changing it. Never in a process that has it open: see `openPages`. */
export function inspectStore(file: string, now: number, busyTimeoutMs: number): Inspection {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return { kind: 'absent' }
  let raw: { readonly bytes: number; readonly log: LogState; readonly isBlank: boolean }
  try {
    using pages = openPages(file)
    raw = { bytes: pages.bytes, log: pages.log, isBlank: pages.count === 0 }
  } catch (error) {
    return { kind: 'closed', reason: reasonOf(error) }
  }
  const { bytes, log, isBlank } = raw
  const look: Look = isBlank && log.kind === 'none' ? { kind: 'empty' } : lookInside(file, now, busyTimeoutMs)
  return { kind: 'seen', bytes, log, look }
}

function lookInside(file: string, now: number, busyTimeoutMs: number): Look {
  if (hasOrphanedLog(file)) return { kind: 'damaged', problems: ['its write-ahead log does not belong to it'] }
  let database: Sqlite.Database | undefined
  try {
    database = openForReading(file, busyTimeoutMs)
    return read(database, now)
  } catch (error) {
    // Before the file is read in any other way.
    database?.close()
    return lookFailed(file, error)
  } finally {
    database?.close()
  }
}

function read(database: Sqlite.Database, now: number): Look {
  const application = Number(database.pragma('application_id', { simple: true }))
  const version = Number(database.pragma('user_version', { simple: true }))
  if (application === 0 && version === 0 && database.pragma('schema_version', { simple: true }) === 0) {
    return { kind: 'empty' }
  }
  if (application !== APPLICATION_ID) return { kind: 'foreign' }
  if (version > STORE_VERSION) return { kind: 'too-new', version, known: STORE_VERSION }
  // The quick one first: the other one takes its time, and finds nothing new where this one has found something.
  const problems = check(database, 'quick_check') ?? check(database, 'integrity_check')
  if (problems) return { kind: 'damaged', problems }
  const contents: Contents = contentsOf(database)
  if (!contents.hasSalt()) return { kind: 'damaged', problems: ['its salt is gone'] }
  const unreadable = contents.unreadableIntent()
  if (unreadable !== undefined) return { kind: 'damaged', problems: [unreadable] }
  return {
    kind: 'sound',
    version,
    jobs: contents.jobs(),
    openIntents: contents.openIntents(),
    liveOwners: contents.liveOwners(now),
  }
}

function check(database: Sqlite.Database, which: 'quick_check' | 'integrity_check'): readonly string[] | undefined {
  const found = database.prepare<[], string>(`PRAGMA ${which}(${MOST_PROBLEMS})`).pluck().all()
  return found.length === 1 && found[0] === 'ok'
    ? undefined
    : found.map((line) => line.replaceAll(/\*{3} in database \w+ \*{3}|\s+/g, ' ').trim())
}

function lookFailed(file: string, error: unknown): Look {
  const code = error instanceof Sqlite.SqliteError ? error.code : ''
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return { kind: 'locked' }
  const reason = reasonOf(error)
  if (code === 'SQLITE_NOTADB') return wasOurs(file) ? { kind: 'damaged', problems: [reason] } : { kind: 'foreign' }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_ERROR') {
    return wasOurs(file) ? { kind: 'damaged', problems: [reason] } : { kind: 'failed', reason }
  }
  return { kind: 'failed', reason }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`
}
