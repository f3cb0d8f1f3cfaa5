import Sqlite from 'better-sqlite3'
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { OffpeakError } from '../core/errors.ts'
import { exchange, syncFile } from './exchange.ts'
import { type Mended, mend, mendBudgets } from './mend.ts'
import { migrate, STORE_VERSION } from './migrations.ts'
import { openPages, type PageFile } from './page-file.ts'
import { isSane } from './sanity.ts'
import { type Found, type Losses, salvage } from './salvage.ts'
import { type Row, rowOf, type Shape, shapesOf } from './shapes.ts'
import { openSqliteStore } from './sqlite-store.ts'
import { readTreePage, type Value } from './records.ts'

/** What a repair did. */
export interface Repaired extends Mended {
  /** Where the damaged files are now. */
  readonly setAside: readonly string[]
  readonly salt: 'kept' | 'lost'
  /** Rows in the new store, by table. */
  readonly rows: Readonly<Record<string, number>>
  readonly losses: Losses
  /** Tags of every batch the new store knows. */
  readonly tags: ReadonlySet<string>
}

const ROWS_AT_ONCE = 20_000

/**
 * Builds a new store from everything that can still be read of a damaged one, and only when that is whole and verified moves the
 * damaged files aside and puts the new one in their place. Nothing is overwritten; whatever goes wrong before that changes nothing.
 */
export function repairStore(file: string, now: number): Repaired {
  const fresh = `${file}.rebuilding-${process.pid}`
  sweep(file)
  try {
    const rebuilt = rebuild(file, fresh, now)
    const tags = verify(fresh)
    syncFile(fresh)
    const setAside = exchange(file, fresh, now)
    return { ...rebuilt, setAside, tags }
  } finally {
    sweep(file)
  }
}

function rebuild(from: string, to: string, now: number): Omit<Repaired, 'setAside' | 'tags'> {
  // Made by its name first, so that nobody else can ever read it.
  closeSync(openSync(to, 'wx', 0o600))
  using pages = openPages(from)
  const { version } = pages.header ?? { version: STORE_VERSION }
  if (version > STORE_VERSION) {
    throw new OffpeakError(
      'store-too-new',
      `${from} has store version ${version}, this offpeak knows ${STORE_VERSION}. Upgrade offpeak to repair it.`,
    )
  }
  const database = new Sqlite(to)
  try {
    // Not a store yet: a crash leaves a file that the next repair removes.
    database.pragma('synchronous = OFF')
    database.pragma('journal_mode = MEMORY')
    database.pragma('temp_store = MEMORY')
    const wanted = version >= 1 ? version : STORE_VERSION
    migrate(database, to, wanted)
    const losses: Losses = { pages: 0, rows: 0, mayBeStale: false }
    const kept = copy(pages, database, losses)
    refuseLive(database, from, now)
    const mended = database.transaction(() => mend(database, kept.tags, now)).immediate()
    migrate(database, to)
    mendBudgets(database)
    return { ...mended, salt: kept.salt, losses, rows: countRows(database) }
  } finally {
    database.close()
  }
}

interface Kept {
  readonly salt: 'kept' | 'lost'
  readonly tags: ReadonlyMap<number, string>
}

function copy(pages: PageFile, database: Sqlite.Database, losses: Losses): Kept {
  const shapes = shapesOf(database)
  const writer = writerInto(database)
  const tags = new Map<number, string>()
  let salt: 'kept' | 'lost' = 'lost'
  let written = 0
  database.exec('BEGIN')
  for (const found of salvage(pages, shapes, losses)) {
    if (!isSane(found)) {
      // Pages that nothing leads to may look like rows by chance.
      if (found.from === 'tree') losses.rows += 1
      continue
    }
    const { shape, row } = found
    if (shape.table === 'secrets') salt = 'kept'
    if (shape.isWhole) writer.write(found)
    else if (typeof row.id === 'number' && typeof row.tag === 'string') tags.set(row.id, row.tag)
    written += 1
    if (written % ROWS_AT_ONCE === 0) database.exec('COMMIT; BEGIN')
  }
  if (salt === 'lost' && writeSaltFromAnywhere(pages, shapes, writer)) salt = 'kept'
  database.exec('COMMIT')
  return { salt, tags }
}

/** Its page may be gone and an older version of it left, in a page that is in no use any more. It never changes, so any will do. */
function writeSaltFromAnywhere(pages: PageFile, shapes: readonly Shape[], writer: Writer): boolean {
  const shape = shapes.find(({ table }) => table === 'secrets')
  if (!shape) return false
  for (let number = 2; number <= pages.count; number += 1) {
    const page = readTreePage(pages, number)
    if (page?.kind !== shape.kind) continue
    for (const cell of page.cells) {
      const row = rowOf(shape, cell, true)
      const found = row && { shape, row, from: 'loose' as const }
      if (!found || !isSane(found)) continue
      writer.write(found)
      return true
    }
  }
  return false
}

interface Writer {
  write(found: Found): void
}

function writerInto(database: Sqlite.Database): Writer {
  const statements = new Map<string, Sqlite.Statement<Value[]>>()
  /** Rows of the two tables whose old versions could send something again, as far as they came from loose pages. */
  const loose = { jobs: new Map<Value, number>(), intents: new Map<Value, number>() }

  return {
    write({ shape, row, from }) {
      const names = Object.keys(row)
      const { table } = shape
      const known = table === 'jobs' || table === 'intents' ? loose[table] : undefined
      const id = row.id ?? null
      let how = table === 'secrets' || table === 'counters' ? 'REPLACE' : 'IGNORE'
      if (from === 'loose' && known) {
        const before = known.get(id)
        const progress = progressOf(table, row)
        // Of two old versions the later one; what a tree leads to is newer than both.
        if (before !== undefined && before < progress) how = 'REPLACE'
      }
      const key = `${how} ${table} ${names.join(' ')}`
      const statement =
        statements.get(key) ??
        database.prepare<Value[]>(
          `INSERT OR ${how} INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
        )
      statements.set(key, statement)
      const { changes } = statement.run(...Object.values(row))
      if (from === 'loose' && known && changes > 0) known.set(id, progressOf(table, row))
    },
  }
}

/** How far a row has come: answers before everything, and what may have been sent before what has not. */
function progressOf(table: string, row: Row): number {
  const state = Number(row.state)
  if (table === 'intents') return Number(row.epoch) * 10 + state
  return Number(row.requeues) * 10 + ([0, 2, 4, 3, 1][state] ?? 0)
}

function refuseLive(database: Sqlite.Database, file: string, now: number): void {
  const live = database
    .prepare<[number], { pid: number; lease_until: number }>(
      'SELECT pid, lease_until FROM owners WHERE lease_until > ? ORDER BY lease_until DESC LIMIT 1',
    )
    .get(now)
  if (!live) return
  const seconds = Math.ceil((live.lease_until - now) / 1000)
  throw new OffpeakError(
    'store-unusable',
    `${file} is in use by process ${live.pid}: end it, or try again in ${seconds} s if it has ended already. Nothing was changed.`,
  )
}

function countRows(database: Sqlite.Database): Readonly<Record<string, number>> {
  const tables = ['jobs', 'answers', 'bodies', 'intents', 'targets']
  return Object.fromEntries(
    tables.map((table) => [table, database.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0]),
  )
}

/** Opens the new store as any run would, and reads from it what a run reads first. Returns the tags it knows. */
function verify(fresh: string): ReadonlySet<string> {
  openSqliteStore({ path: fresh })[Symbol.dispose]()
  const database = new Sqlite(fresh)
  try {
    const verdict = database.pragma('integrity_check(1)', { simple: true })
    if (verdict !== 'ok')
      throw new OffpeakError('store-unusable', `The rebuilt store is not whole: ${String(verdict)}.`)
    return new Set(database.prepare<[], string>('SELECT tag FROM intents').pluck().all())
  } finally {
    database.close()
  }
}

/** Files of repairs that did not come to their end. */
function sweep(file: string): void {
  const prefix = `${basename(file)}.rebuilding-`
  for (const name of readdirSync(dirname(file))) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN
    if (pid > 0 && (pid === process.pid || !isAlive(pid))) rmSync(join(dirname(file), name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
