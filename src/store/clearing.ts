import { statfsSync } from 'node:fs'
import { OffpeakError } from '../core/errors.ts'
import { connect, type Connection } from './connection.ts'
import { contentsOf, type JobCounts, type LiveOwner } from './contents.ts'
import { prepareLocation } from './location.ts'
import { purgingIn } from './purging.ts'

export interface Cleared {
  readonly removedJobs: number
  /** What was settled before this time has gone. */
  readonly before: number
  /** The cut was moved back to this because of them: they may not have read their latest answers yet. */
  readonly spared: LiveOwner | undefined
  readonly kept: JobCounts
  readonly openIntents: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly shrunk: Shrunk
}

/** Whether the file was made smaller, or why not. Room inside it is used again by later runs in any case. */
export type Shrunk =
  | { readonly kind: 'done' }
  | { readonly kind: 'nothing-to-gain' }
  | { readonly kind: 'in-use'; readonly pid: number }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'no-room' }

/** A process that waits for another's answers looks for them within seconds. */
const SPARED_MS = 60 * 60_000
/** Rewriting a file holds a copy of it in memory, and everybody else up. */
const LARGEST_REWRITE = 512 * 1024 * 1024
/** Less than this is not worth rewriting a file for. */
const LEAST_GAIN = 1024 * 1024

export interface Clearing {
  readonly path: string
  /** Forgets what was settled before this time. */
  readonly before: number
  readonly now: number
  /** How long to wait for other processes that write. */
  readonly waitMs: number
}

/** Forgets what is finished and old, never what is queued or submitted, and gives its room on the disk back. */
export function clearStore({ path, before, now, waitMs }: Clearing): Cleared {
  const { file } = prepareLocation(path)
  const connection = connect(file, waitMs)
  try {
    const { database, read, single } = connection
    const contents = contentsOf(database)
    const [live] = read(() => contents.liveOwners(now))
    const latest = live ? Math.min(before, now - SPARED_MS) : before
    const bytesBefore = bytesOf(connection).whole
    const removedJobs = purgingIn(connection)(latest, 'finished')
    const shrunk = shrink(connection, file, live)
    // Readers of this moment keep the log as it is; the next one to close empties it.
    single(() => database.pragma('wal_checkpoint(TRUNCATE)'))
    return {
      removedJobs,
      before: latest,
      spared: latest < before ? live : undefined,
      kept: read(() => contents.jobs()),
      openIntents: read(() => contents.openIntents()).length,
      bytesBefore,
      bytesAfter: bytesOf(connection).whole,
      shrunk,
    }
  } finally {
    connection.close()
  }
}

function shrink(connection: Connection, file: string, live: LiveOwner | undefined): Shrunk {
  const { whole, free } = bytesOf(connection)
  if (free < LEAST_GAIN && free * 4 < whole) return { kind: 'nothing-to-gain' }
  if (live) return { kind: 'in-use', pid: live.pid }
  const used = whole - free
  if (used > LARGEST_REWRITE) return { kind: 'too-large' }
  const { bavail, bsize } = statfsSync(file)
  if (bavail * bsize < 2 * used) return { kind: 'no-room' }
  try {
    connection.single(() => connection.database.exec('VACUUM'))
    return { kind: 'done' }
  } catch (error) {
    if (error instanceof OffpeakError && error.code === 'store-full') return { kind: 'no-room' }
    throw error
  }
}

function bytesOf({ database, single }: Connection): { readonly whole: number; readonly free: number } {
  const number = (name: string): number => Number(single(() => database.pragma(name, { simple: true })))
  const pageSize = number('page_size')
  return { whole: number('page_count') * pageSize, free: number('freelist_count') * pageSize }
}
