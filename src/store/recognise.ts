import Sqlite from 'better-sqlite3'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { isLogHeader } from './log-file.ts'
import { migrate } from './migrations.ts'
import { openPages } from './page-file.ts'
import { readTreePage } from './records.ts'
import { rowOf, type Shape, shapesOf } from './shapes.ts'

/** Pages looked at in a file that says nothing about itself any more. */
const PAGES = 4096
/** Tables whose rows no other program's would be taken for. */
const UNMISTAKABLE = new Set(['jobs', 'intents', 'targets'])

/** The shapes of a store made by this offpeak. */
function currentShapes(): readonly Shape[] {
  const database = new Sqlite(':memory:')
  try {
    migrate(database, ':memory:')
    return shapesOf(database)
  } finally {
    database.close()
  }
}

/** Whether a file that SQLite cannot make sense of is, or was, a store of ours. */
export function wasOurs(file: string): boolean {
  try {
    using pages = openPages(file)
    if (pages.header) return pages.header.isOurs
    const shapes = currentShapes().filter(({ table, isWhole }) => isWhole && UNMISTAKABLE.has(table))
    for (let number = 1; number <= Math.min(pages.count, PAGES); number += 1) {
      const page = readTreePage(pages, number)
      const isOurs = page?.cells.some((cell) =>
        shapes.some((shape) => shape.kind === page.kind && rowOf(shape, cell, true) !== undefined),
      )
      if (isOurs) return true
    }
    return false
  } catch {
    // What cannot be read cannot be recognised; whoever asks has an error of its own to tell.
    return false
  }
}

/**
 * What SQLite would not notice, and would overwrite: a log that belongs to a file cut to nothing, or one whose first bytes are gone.
 * Never opens the database file itself, which would drop the locks that this process may hold on it.
 */
export function hasOrphanedLog(file: string): boolean {
  const log = `${file}-wal`
  // The log first: a store that is being made has bytes before its log has any.
  const bytes = sizeOf(log)
  if (bytes === 0) return false
  return sizeOf(file) === 0 || !isLogHeader(firstBytes(log))
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function firstBytes(file: string): Uint8Array {
  const bytes = Buffer.alloc(4)
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    // Whoever closed the store last has just removed it.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return LOG_OF_NOBODY
    throw error
  }
  try {
    const read = readSync(descriptor, bytes, 0, 4, 0)
    return read === 0 ? LOG_OF_NOBODY : bytes.subarray(0, read)
  } finally {
    closeSync(descriptor)
  }
}

/** Stands for a log that went away while it was looked at. */
const LOG_OF_NOBODY = Uint8Array.of(0x37, 0x7f, 0x06, 0x82)
