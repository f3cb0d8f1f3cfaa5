import Sqlite from 'better-sqlite3'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openPages } from '../../../src/store/page-file.ts'
import { readTreePage } from '../../../src/store/records.ts'
import { type Repaired, repairStore } from '../../../src/store/repair.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'
import { tempFolder } from '../../support/store.ts'
import * as scene from './repair-scene.ts'

const refused = (message: RegExp | string): Error =>
  expect.objectContaining({ name: 'OffpeakError', code: 'store-unusable', message: expect.stringMatching(message) })

/** Every file of a folder, by name. */
function filesIn(folder: string): ReadonlyMap<string, Buffer> {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
}

describe('a damaged store', () => {
  let original: ReturnType<typeof tempFolder>
  let temporary: ReturnType<typeof tempFolder>
  let path: string

  beforeAll(() => {
    original = tempFolder()
    scene.makeFile(join(original.path, 'store.db'))
    using store = openSqliteStore({ path: join(original.path, 'store.db') })
    scene.fill(store)
  })
  afterAll(() => original[Symbol.dispose]())
  beforeEach(() => {
    temporary = tempFolder()
    path = join(temporary.path, 'store.db')
    copyFileSync(join(original.path, 'store.db'), path)
  })
  afterEach(() => temporary[Symbol.dispose]())

  const rootOf = (name: string): number => {
    const database = new Sqlite(join(original.path, 'store.db'), { readonly: true })
    const root = database
      .prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?')
      .pluck()
      .get(name)
    database.close()
    if (root === undefined) throw new Error(`there is no ${name}`)
    return root
  }

  const leavesOf = (table: string): number[] => scene.leavesOf(join(original.path, 'store.db'), table)

  /** The numbers of the rows on these pages. */
  const rowsOn = (numbers: readonly number[]): number[] => {
    using pages = openPages(join(original.path, 'store.db'))
    return numbers.flatMap((number) => readTreePage(pages, number)?.cells.map(({ rowid }) => rowid ?? 0) ?? [])
  }

  /** Runs the repair and checks what holds for every one. */
  function repair(): Repaired {
    const before = filesIn(temporary.path)

    const repaired = repairStore(path, scene.NOW)

    const after = filesIn(temporary.path)
    for (const [name, bytes] of before) {
      if (name.endsWith('-shm')) continue
      const kept = name.replace('store.db', 'store.db.damaged-19700101T000010Z')
      expect(after.get(kept)?.equals(bytes), `${kept} is what ${name} was`).toBe(true)
    }
    expect([...after.keys()].filter((name) => name.includes('rebuilding'))).toEqual([])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    return repaired
  }

  /** Asks for every job again, checks what becomes of those it still knows, and returns the others: they are new jobs. */
  function forgotten(): number[] {
    const asked = scene.askAgain(path, scene.everyJob)
    const known = asked.filter(({ id, job }) => job === id)
    expect(known).toEqual(known.map(({ id }) => scene.expected(id)))
    return asked.filter(({ id, job }) => job !== id).map(({ id }) => id)
  }

  test('with nothing wrong is rebuilt as it was', () => {
    const repaired = repair()

    expect(repaired).toMatchObject({
      salt: 'kept',
      rows: { jobs: 4000, answers: 2000, bodies: 4000, intents: 3, targets: 2 },
      losses: { pages: 0, rows: 0, mayBeStale: false },
      lostJobs: 0,
      lostAnswers: 0,
      possiblyBilled: 0,
      lostIntents: [],
      tags: new Set(Object.values(scene.TAGS)),
    })
    expect(forgotten()).toEqual([])
    using store = openSqliteStore({ path })
    using source = openSqliteStore({ path: join(original.path, 'store.db') })
    expect(store.salt).toEqual(source.salt)
    expect(store.openIntents()).toEqual(source.openIntents())
    expect([...store.bodies(2)].map(({ body }) => body)).toEqual([...source.bodies(2)].map(({ body }) => body))
  })

  test('with its first page zeroed is refused as ours, and rebuilt completely', () => {
    scene.damage(path, (bytes) => bytes.fill(0, 0, scene.PAGE))
    const before = readFileSync(path)

    expect(() => openSqliteStore({ path })).toThrow(
      refused(`${path} is damaged: it was left alone. \`offpeak doctor --repair --store ${path}\``),
    )
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(repair()).toMatchObject({ salt: 'kept', rows: { jobs: 4000, answers: 2000 }, losses: { mayBeStale: true } })
    expect(forgotten()).toEqual([])
  })

  test('with only its header zeroed is rebuilt completely', () => {
    scene.damage(path, (bytes) => bytes.fill(0, 0, 100))

    expect(() => openSqliteStore({ path })).toThrow(refused('offpeak doctor --repair'))
    expect(repair()).toMatchObject({ salt: 'kept', rows: { jobs: 4000, answers: 2000, bodies: 4000, intents: 3 } })
    expect(forgotten()).toEqual([])
  })

  test.each(['jobs', 'bodies', 'answers'])('loses no row when the page above the rows of %s is gone', (table) => {
    scene.overwritePages(path, [rootOf(table)])

    expect(repair()).toMatchObject({
      rows: { jobs: 4000, answers: 2000, bodies: 4000, intents: 3 },
      losses: { pages: 1, rows: 0 },
    })
    expect(forgotten()).toEqual([])
  })

  test('with pages in the middle overwritten keeps every job whose row was elsewhere', () => {
    const pages = leavesOf('jobs').slice(20, 23)
    scene.overwritePages(path, pages)

    const repaired = repair()

    const gone = rowsOn(pages).toSorted((a, b) => a - b)
    expect(gone.length).toBeGreaterThan(100)
    expect(forgotten()).toEqual(gone)
    expect(repaired).toMatchObject({ losses: { pages: 3, rows: 0 }, lostJobs: gone.length })
    expect(repaired.rows.jobs).toBe(4000 - gone.length)
  })

  test('with one page in eight overwritten, of whatever table, keeps every row of the others', () => {
    const numbers = scene.pagesWhere(path, (_, number) => number > 20 && number % 8 === 0)
    const jobs = leavesOf('jobs').filter((page) => numbers.includes(page))
    scene.overwritePages(path, numbers, 0x5a)

    const repaired = repair()

    expect(numbers.length).toBeGreaterThan(50)
    expect(repaired.salt).toBe('kept')
    // Jobs of which the row is left are deleted only if they were never sent, and their bodies are gone.
    expect(Number(repaired.rows.jobs) + repaired.lostUnsent).toBe(4000 - rowsOn(jobs).length)
    const answers = leavesOf('answers').filter((page) => numbers.includes(page))
    expect(repaired.answersToReadAgain).toBeGreaterThanOrEqual(
      rowsOn(answers).filter((id) => !rowsOn(jobs).includes(id)).length,
    )
  })

  test.each([1, 2, 3, 4, 5, 6])(
    'with anything written anywhere (seed %i) is whole again, and sends nothing twice',
    (seed) => {
      scene.damage(path, (bytes) => scene.scribble(bytes, seed))

      const repaired = repair()

      const known = scene.askAgain(path, scene.everyJob).filter(({ id, job }) => id === job)
      expect(known.length).toBeGreaterThan(1000)
      const sentAgain = known.filter(({ id, kind }) => kind === 'queued' && scene.expected(id).kind === 'waiting')
      expect(sentAgain.length).toBeLessThanOrEqual(repaired.possiblyBilled)
    },
  )

  test('reads answers again from their batch when the pages that held them are gone', () => {
    scene.overwritePages(path, leavesOf('answers').slice(5, 8))

    const repaired = repair()

    using store = openSqliteStore({ path })
    const [ended] = store.openIntents()
    expect(ended).toMatchObject({ tag: scene.TAGS.ended, state: 'created', handle: { id: 'batch_ended' } })
    const again = store.unsettled(ended?.id ?? 0)
    expect(again).toHaveLength(repaired.answersToReadAgain)
    expect(again.length).toBeGreaterThan(20)
    expect(again.length).toBe(2000 - Number(repaired.rows.answers))
    expect(again.every(({ possiblyBilled }) => possiblyBilled)).toBe(true)
    expect(repaired).toMatchObject({ lostAnswers: 0, lostJobs: 0 })
  })

  test('finds its batches by their tags when their records are gone', () => {
    scene.overwritePages(path, leavesOf('intents'))

    const repaired = repair()

    using store = openSqliteStore({ path })
    expect(repaired).toMatchObject({ restoredIntents: 2, possiblyBilled: 0 })
    expect(store.openIntents()).toMatchObject([
      {
        id: 2,
        tag: scene.TAGS.open,
        state: 'creating',
        model: 'two',
        jobs: 1000,
        creates: 1,
        createdAt: scene.MADE_AT,
      },
      { id: 3, tag: scene.TAGS.claimed, state: 'creating', model: 'two', jobs: 500, createdAt: scene.MADE_AT },
    ])
    expect(store.unsettled(2)).toHaveLength(1000)
  })

  test('marks what may have been billed when nothing tells of its batch any more', () => {
    scene.overwritePages(path, [...leavesOf('intents'), ...leavesOf('sqlite_autoindex_intents_1')])

    const repaired = repair()

    expect(repaired).toMatchObject({ restoredIntents: 0, possiblyBilled: 1500 })
    using store = openSqliteStore({ path })
    expect(store.openIntents()).toEqual([])
    expect(store.status([2500])).toMatchObject([{ state: 'dropped', possiblyBilled: true, intent: undefined }])
  })

  test('never gives the id of a lost job or batch to another', () => {
    scene.overwritePages(path, leavesOf('jobs').slice(-10))

    repair()

    using store = openSqliteStore({ path })
    const owner = store.enter({ pid: 2, leaseUntil: scene.NOW + 1000 }, scene.NOW)
    const [placed] = store.enqueue(owner, [scene.newJob(99_999)], scene.NOW)
    expect(placed?.job).toBeGreaterThan(4000)
    expect(owner).toBeGreaterThan(1)
  })

  test('knows its targets from their index when their page is gone', () => {
    scene.overwritePages(path, leavesOf('targets'))

    expect(repair()).toMatchObject({ rows: { targets: 2, intents: 3 }, lostIntents: [] })
    expect(forgotten()).toEqual([])
  })

  test('says that its salt is lost when it is, and gets a new one', () => {
    using source = openSqliteStore({ path: join(original.path, 'store.db') })
    scene.overwritePages(path, [rootOf('secrets')])
    expect(() => openSqliteStore({ path })).toThrow(refused('offpeak doctor --repair'))

    expect(repair()).toMatchObject({ salt: 'lost', rows: { jobs: 4000 } })

    using store = openSqliteStore({ path })
    expect(store.salt).toHaveLength(32)
    expect(store.salt).not.toEqual(source.salt)
  })

  test('cut in half is refused, and keeps what was in the half', () => {
    const size = statSync(path).size
    scene.cutTo(path, Math.floor(size / 2) + 1000)

    expect(() => openSqliteStore({ path })).toThrow(refused('is damaged.*offpeak doctor --repair'))
    const repaired = repair()

    const left = Math.ceil((size / 2 + 1000) / scene.PAGE)
    const jobs = rowsOn(leavesOf('jobs').filter((page) => page < left))
    const answers = rowsOn(leavesOf('answers').filter((page) => page < left))
    expect(repaired.salt).toBe('kept')
    expect(jobs.length).toBeGreaterThan(1000)
    expect(Number(repaired.rows.jobs) + repaired.lostUnsent).toBeGreaterThanOrEqual(jobs.length)
    expect(repaired.rows.answers).toBeGreaterThanOrEqual(answers.length)
    expect(repaired.lostAnswers).toBe(0)
  })

  test('reads an answer again of which a part is no text any more', () => {
    const bytes = readFileSync(path)
    const at = bytes.indexOf('answer 1234 answer')
    scene.damage(path, (bytes) => bytes.fill(0xff, at, at + 5))

    const repaired = repair()

    expect(repaired).toMatchObject({ losses: { pages: 0, rows: 1 }, answersToReadAgain: 1 })
  })

  test('in use by a process whose lease has not run out is left alone', () => {
    scene.overwritePages(path, leavesOf('jobs').slice(3, 4))
    const before = filesIn(temporary.path)

    expect(() => repairStore(path, 4000)).toThrow(refused(`${path} is in use by process 1: .*again in 1 s`))
    expect(filesIn(temporary.path)).toEqual(before)
  })

  test('of a newer offpeak is left alone', () => {
    scene.damage(path, (bytes) => bytes.writeUInt32BE(99, 60))
    const before = filesIn(temporary.path)

    expect(() => repairStore(path, scene.NOW)).toThrow(
      expect.objectContaining({ code: 'store-too-new', message: expect.stringContaining('store version 99') }),
    )
    expect(filesIn(temporary.path)).toEqual(before)
  })

  test('does not bring back what was deleted', () => {
    const store = openSqliteStore({ path })
    store.purge(scene.MADE_AT + 1)
    store[Symbol.dispose]()
    scene.overwritePages(path, [rootOf('bodies')])

    const { rows } = repair()

    expect(rows).toMatchObject({ jobs: 2000, answers: 0, bodies: 2000 })
  })
})

describe('a store whose log is damaged', () => {
  let temporary: ReturnType<typeof tempFolder>
  let path: string
  let whole: number

  /** What a power cut leaves: most of the store in its log. */
  beforeAll(() => {
    temporary = tempFolder()
    path = join(temporary.path, 'store.db')
    const live = join(temporary.path, 'live.db')
    using store = openSqliteStore({ path: live })
    scene.fill(store)
    const owner = store.enter({ pid: 3, leaseUntil: 5000 }, scene.MADE_AT)
    store.enqueue(owner, [scene.newJob(4001)], scene.MADE_AT)
    scene.copyFiles(live, path)
    whole = statSync(`${path}-wal`).size
  })
  afterAll(() => temporary[Symbol.dispose]())

  function copied(): ReturnType<typeof tempFolder> & { readonly store: string } {
    const folder = tempFolder()
    const store = join(folder.path, 'store.db')
    scene.copyFiles(path, store)
    return { ...folder, store }
  }

  test('is read with its log, and without writing to either', () => {
    using copy = copied()
    const log = readFileSync(`${copy.store}-wal`)

    const repaired = repairStore(copy.store, scene.NOW)

    expect(whole).toBeGreaterThan(100_000)
    expect(repaired).toMatchObject({ salt: 'kept', losses: { pages: 0, rows: 0 } })
    expect(repaired.rows.jobs).toBe(4001)
    expect(readFileSync(`${copy.store}.damaged-19700101T000010Z-wal`).equals(log)).toBe(true)
  })

  test('cut in the middle of a transaction is what it was before that transaction', () => {
    using copy = copied()
    scene.cutTo(`${copy.store}-wal`, whole - 2000)

    const { rows, losses } = repairStore(copy.store, scene.NOW)

    expect({ rows, losses }).toMatchObject({ rows: { jobs: 4000, answers: 2000 }, losses: { pages: 0, rows: 0 } })
  })

  test('and has lost its first bytes is refused: SQLite would take it for empty, and overwrite it', () => {
    using copy = copied()
    scene.damage(`${copy.store}-wal`, (bytes) => bytes.fill(0, 0, 32))
    const before = filesIn(copy.path)

    expect(() => openSqliteStore({ path: copy.store })).toThrow(refused('offpeak doctor --repair'))
    expect(filesIn(copy.path)).toEqual(before)
  })

  test('is not taken for a new store when the file itself is cut to nothing', () => {
    using copy = copied()
    writeFileSync(copy.store, '')
    const log = readFileSync(`${copy.store}-wal`)

    expect(() => openSqliteStore({ path: copy.store })).toThrow(refused('offpeak doctor --repair'))
    expect(readFileSync(`${copy.store}-wal`).equals(log)).toBe(true)
    repairStore(copy.store, scene.NOW)
    expect(existsSync(`${copy.store}-wal`)).toBe(false)
  })
})
