import Sqlite from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NewJob, Placement, Store } from '../../../src/core/store.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'
import { tempStore } from '../../support/store.ts'

const target = { provider: 'p', baseUrl: 'http://p', endpoint: '/e', model: 'm', account: 'a', queueKey: 'q' }

/** More than the store keeps in memory, so that the first of them are in its table. */
const MANY = 66_000

function newJob(n: number, occurrence = 1): NewJob {
  return { target, fingerprint: `job-${(n * 7919) % 1_000_003}`.padEnd(22, '_'), occurrence, body: '{}' }
}

function newJobs(from: number, to: number): NewJob[] {
  return Array.from({ length: to - from }, (_, n) => newJob(from + n))
}

const kindsOf = (placements: readonly Placement[]): string[] => [...new Set(placements.map(({ kind }) => kind))]

describe('a job is found by its fingerprint', () => {
  let temporary: ReturnType<typeof tempStore>
  let store: Store
  let owner: number

  beforeEach(() => {
    temporary = tempStore()
    store = temporary.store
    owner = store.enter({ pid: 1, leaseUntil: 1000 }, 0)
  })
  afterEach(() => temporary[Symbol.dispose]())

  /** One row of the tables themselves. */
  function inspect(sql: string): unknown {
    const database = new Sqlite(temporary.path)
    try {
      return database.prepare(sql).raw().get()
    } finally {
      database.close()
    }
  }

  /** Settles a job that was queued, by a batch of its own. */
  function settle(job: number, status: number): void {
    const intent = store.claim(owner, { tag: `tag${job}`, target, window: '24h', metadata: {} }, [job], 0)
    if (!intent) throw new Error('nothing was claimed')
    store.settle(intent, [{ job, status, requestId: undefined, body: '{}' }], 0)
  }

  test('whether it is indexed or not, here and elsewhere', () => {
    using other = openSqliteStore({ path: temporary.path })
    const otherOwner = other.enter({ pid: 2, leaseUntil: 1000 }, 0)
    const early = other.enqueue(otherOwner, newJobs(0, 10), 0)
    store.enqueue(owner, newJobs(10, MANY), 0)
    const late = store.enqueue(owner, [...newJobs(MANY, MANY + 10), newJob(5, 2)], 0)
    const sample = [...newJobs(0, 10), ...newJobs(MANY, MANY + 10), newJob(5, 2)]
    const expected = [...early, ...late].map(({ job }) => ({ kind: 'waiting', job }))
    using third = openSqliteStore({ path: temporary.path })

    for (const each of [store, other, third]) expect(each.enqueue(owner, sample, 0)).toEqual(expected)
    expect(kindsOf(other.enqueue(otherOwner, newJobs(0, MANY), 0))).toEqual(['waiting'])
    expect(kindsOf(third.enqueue(otherOwner, newJobs(MANY + 10, MANY + 20), 0))).toEqual(['queued'])
  })

  test('and gives up its place when it has failed, whether it is indexed or not', () => {
    using other = openSqliteStore({ path: temporary.path })
    store.enqueue(owner, newJobs(0, MANY), 0)
    store.enqueue(owner, newJobs(MANY, MANY + 2), 0)
    settle(1, 500)
    settle(MANY + 1, 500)

    const retried = other.enqueue(owner, [newJob(0), newJob(MANY)], 0)

    expect(retried.map(({ kind }) => kind)).toEqual(['queued', 'queued'])
    const expected = retried.map(({ job }) => ({ kind: 'waiting', job }))
    expect(store.enqueue(owner, [newJob(0), newJob(MANY)], 0)).toEqual(expected)
    expect(other.enqueue(owner, [newJob(0), newJob(MANY)], 0)).toEqual(expected)
  })

  test('but not once it has been purged, whether it was indexed or not', () => {
    using other = openSqliteStore({ path: temporary.path })
    store.enqueue(owner, newJobs(0, MANY), 0)
    store.enqueue(owner, newJobs(MANY, MANY + 2), 0)
    other.enqueue(owner, [], 0)
    settle(1, 200)
    settle(MANY + 1, 200)

    expect(store.purge(1)).toBe(2)

    expect(inspect('SELECT count(*) FROM places WHERE job NOT IN (SELECT id FROM jobs)')).toEqual([0])
    expect(kindsOf(other.enqueue(owner, [newJob(0), newJob(MANY)], 0))).toEqual(['queued'])
    expect(kindsOf(store.enqueue(owner, [newJob(0), newJob(MANY)], 0))).toEqual(['waiting'])
  })

  test('and each indexed place is written once', () => {
    store.enqueue(owner, newJobs(0, MANY), 0)
    store.enqueue(owner, newJobs(0, 1000), 0)
    store.enqueue(owner, newJobs(MANY, 2 * MANY), 0)

    expect(inspect('SELECT count(*), count(DISTINCT job) FROM places')).toEqual([2 * MANY, 2 * MANY])
  })
})
