/** Stores that version 1 has written: its rows are as they were then, until somebody changes them. */
import Sqlite from 'better-sqlite3'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NewJob } from '../../../src/core/store.ts'
import { migrate, versionOf } from '../../../src/store/migrations.ts'
import { repairStore } from '../../../src/store/repair.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'
import { tempFolder } from '../../support/store.ts'
import { damage, makeFile, PAGE } from './repair-scene.ts'

const ANSWERED = 2000
const OPEN = 2010
const NOW = 10_000

const target = { provider: 'p', baseUrl: 'http://p/v1', endpoint: '/v1/e', model: 'm', account: 'a', queueKey: 'q' }

function newJob(id: number): NewJob {
  return { target, fingerprint: `job-${id}`.padEnd(22, '_'), occurrence: 1, body: `{"n":${id}}` }
}

/** As version 1 wrote them: some thousand answers, and a batch that is still with its provider. */
function writeVersion1(path: string): void {
  makeFile(path)
  const database = new Sqlite(path)
  database.pragma('journal_mode = WAL')
  migrate(database, path, 1)
  database.exec(`
    INSERT INTO owners (pid, lease_until) VALUES (1, 5);
    INSERT INTO targets VALUES (1, 'p', 'http://p/v1', '/v1/e', 'm', 'a', 'q');
    INSERT INTO intents (id, tag, target, state, owner, epoch, completion_window, metadata, jobs, first_job, last_job, root, created_at, handle, batch)
      VALUES (1, 'endedendeden', 1, 4, 1, 1, '24h', '{}', ${ANSWERED}, 1, ${ANSWERED}, 1, 1, '{"id":"b1"}', 'b1'),
             (2, 'openopenopen', 1, 3, 1, 1, '24h', '{"team":"x"}', 10, ${ANSWERED + 1}, ${OPEN}, 2, 1, '{"id":"b2"}', 'b2');
    UPDATE counters SET next = ${OPEN + 1} WHERE name = 'job';
  `)
  const job = database.prepare<[number, number, number, number | null, string]>(
    'INSERT INTO jobs VALUES (?, 1, ?, 1, ?, 0, 0, 1, ?, 1, ?)',
  )
  const body = database.prepare<[number, string]>('INSERT INTO bodies VALUES (?, ?)')
  const answer = database.prepare<[number, string]>('INSERT INTO answers VALUES (?, 200, NULL, ?, 7, 3)')
  for (let id = 1; id <= OPEN; id += 1) {
    const isAnswered = id <= ANSWERED
    const { fingerprint, body: text } = newJob(id)
    job.run(id, isAnswered ? 2 : 1, isAnswered ? 1 : 2, isAnswered ? 1 : null, fingerprint)
    body.run(id, text)
    if (isAnswered) answer.run(id, `{"answer":${id},"text":"${'words '.repeat(20)}"}`)
  }
  database.close()
}

describe('a store of version 1', () => {
  let folder: ReturnType<typeof tempFolder>
  let path: string
  beforeEach(() => {
    folder = tempFolder()
    path = join(folder.path, 'store.db')
    writeVersion1(path)
  })
  afterEach(() => folder[Symbol.dispose]())

  test('gives every answer after it was brought up to date, and its open batch can be settled', () => {
    using store = openSqliteStore({ path })
    const owner = store.enter({ pid: 2, leaseUntil: NOW + 1000, hasLimit: true }, NOW)

    const placements = store.enqueue(owner, [1, 1000, ANSWERED, OPEN].map(newJob), NOW)
    const intent = store.takeOver(2, owner, NOW)
    const settlement = {
      job: OPEN,
      status: 200,
      requestId: undefined,
      body: '{}',
      usage: { input: 5, output: 6 },
      cost: { costUsd: 0.5, liveCostUsd: 1 },
    }
    const settled = intent && store.settle(intent, [settlement], NOW)

    expect(placements.map(({ kind }) => kind)).toEqual(['answered', 'answered', 'answered', 'waiting'])
    expect(settled).toEqual([OPEN])
    expect(store.spending()).toMatchObject([
      { provider: 'p', model: 'm', metadata: { team: 'x' }, requests: 1, costUsd: 0.5 },
    ])
    // It was sent before there were budgets: it is none of this one's.
    expect(store.budgetOf(owner)).toMatchObject({ spentUsd: 0, reservedUsd: 0 })
  })

  test('has the newest version afterwards, and is whole', () => {
    openSqliteStore({ path })[Symbol.dispose]()
    const database = new Sqlite(path)

    expect(versionOf(database)).toBe(2)
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
    database.close()
  })

  test.each(['answers', 'jobs'])(
    'that was brought up to date loses no answer when nothing leads to its %s any more',
    (table) => {
      openSqliteStore({ path })[Symbol.dispose]()
      const root = rootOf(path, table)
      damage(path, (bytes) => void bytes.fill(0, (root - 1) * PAGE, root * PAGE))

      repairStore(path, NOW)
      using store = openSqliteStore({ path })
      const owner = store.enter({ pid: 2, leaseUntil: NOW + 1000 }, NOW)
      const all = Array.from({ length: ANSWERED }, (_, index) => newJob(index + 1))

      const answered = store.enqueue(owner, all, NOW).filter(({ kind }) => kind === 'answered')
      expect(answered).toHaveLength(ANSWERED)
    },
  )
})

function rootOf(path: string, table: string): number {
  const database = new Sqlite(path, { readonly: true })
  const root = database
    .prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?')
    .pluck()
    .get(table)
  database.close()
  if (root === undefined) throw new Error(`there is no table ${table}`)
  return root
}
