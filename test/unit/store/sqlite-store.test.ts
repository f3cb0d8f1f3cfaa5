import Sqlite from 'better-sqlite3'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { NewJob, Store } from '../../../src/core/store.ts'
import { connect, connectionOver } from '../../../src/store/connection.ts'
import { openSqliteStore, storeOver } from '../../../src/store/sqlite-store.ts'
import { tempFolder, tempStore } from '../../support/store.ts'

const target = { provider: 'p', baseUrl: 'http://p', endpoint: '/e', model: 'm', account: 'a', queueKey: 'q' }

function newJobs(count: number, size = 10): NewJob[] {
  return Array.from({ length: count }, (_, n) => ({
    target,
    fingerprint: `job-${n}`.padEnd(22, '_'),
    occurrence: 1,
    body: 'x'.repeat(size),
  }))
}

function enter(store: Store): number {
  return store.enter({ pid: 1, leaseUntil: 1000 }, 0)
}

const refused = (code: string, message: RegExp | string): Error =>
  expect.objectContaining({ name: 'OffpeakError', code, message: expect.stringMatching(message) })

describe('a SQLite store', () => {
  test('syncs every commit to the disk and keeps a write-ahead log', () => {
    using folder = tempFolder()
    const connection = connect(join(folder.path, 'store.sqlite'))

    const settings = ['journal_mode', 'synchronous'].map((name) => connection.database.pragma(name, { simple: true }))
    connection.close()

    expect(settings).toEqual(['wal', 2])
  })

  test('keeps its files to this user', () => {
    using temporary = tempStore()
    temporary.store.enqueue(enter(temporary.store), newJobs(10), 0)

    const modes = ['', '-wal', '-shm'].map((end) => statSync(temporary.path + end).mode & 0o777)

    expect(modes).toEqual([0o600, 0o600, 0o600])
    expect(temporary.store.location).toBe(temporary.path)
    expect(temporary.store.folder).toBe(temporary.folder)
  })

  test('is found again as it was left, with the same salt', () => {
    using folder = tempFolder()
    const path = join(folder.path, 'store.sqlite')
    const first = openSqliteStore({ path })
    const owner = enter(first)
    const jobs = first.enqueue(owner, newJobs(3), 0).map(({ job }) => job)
    const intent = first.claim(owner, { tag: 'abcdefghijkl', target, window: '24h', metadata: { a: 'b' } }, jobs, 5)
    first[Symbol.dispose]()

    using second = openSqliteStore({ path })

    expect(second.salt).toEqual(first.salt)
    expect(intent && second.intent(intent.id)).toEqual(intent)
    expect(second.openIntents()).toEqual([intent])
    expect(enter(second)).toBeGreaterThan(owner)
  })

  test('notices what another connection wrote, and not what it wrote itself', () => {
    using temporary = tempStore()
    using other = openSqliteStore({ path: temporary.path })
    const owner = enter(temporary.store)
    const otherOwner = enter(other)
    const before = temporary.store.version()

    temporary.store.enqueue(owner, newJobs(3), 0)
    const afterOwn = temporary.store.version()
    other.drop(otherOwner, [])
    other.enqueue(otherOwner, newJobs(5), 0)

    expect(afterOwn).toBe(before)
    expect(temporary.store.version()).not.toBe(before)
  })

  test('can be written through two connections by turns, while one is being read', () => {
    using temporary = tempStore()
    using other = openSqliteStore({ path: temporary.path })
    const owner = enter(temporary.store)
    const otherOwner = enter(other)
    const jobs = temporary.store.enqueue(owner, newJobs(600), 0).map(({ job }) => job)
    const intent = temporary.store.claim(owner, { tag: 'abcdefghijkl', target, window: '24h', metadata: {} }, jobs, 0)
    if (!intent) throw new Error('nothing was claimed')
    let read = 0

    for (const { job } of temporary.store.bodies(intent.id)) {
      read += 1
      if (job % 10 === 0) other.enqueue(otherOwner, newJobs(job), 0)
      if (job % 10 === 5) {
        temporary.store.settle(intent, [{ job, status: 200, requestId: undefined, body: '{}' }], 0)
      }
    }

    expect(read).toBe(600)
    expect(other.unsettled(intent.id)).toHaveLength(540)
  })

  test('can be closed twice, and says so when it is used after', () => {
    using temporary = tempStore()
    temporary.store[Symbol.dispose]()
    temporary.store[Symbol.dispose]()

    expect(() => temporary.store.version()).toThrow(refused('store-unusable', /has been closed/))
    expect(() => temporary.store.enqueue(1, newJobs(1), 0)).toThrow(refused('store-unusable', /has been closed/))
    expect(() => temporary.store.purge(0)).toThrow(refused('store-unusable', /has been closed/))
  })

  test('leaves no log behind when it is closed', () => {
    using temporary = tempStore()
    temporary.store.enqueue(enter(temporary.store), newJobs(10), 0)

    temporary.store[Symbol.dispose]()

    expect(existsSync(`${temporary.path}-wal`)).toBe(false)
  })
})

describe('a file that cannot be a store', () => {
  test('is refused when a newer offpeak wrote it, naming both versions and the file', () => {
    using temporary = tempStore()
    temporary.store[Symbol.dispose]()
    const database = new Sqlite(temporary.path)
    database.pragma('user_version = 99')
    database.close()
    const before = readFileSync(temporary.path)

    expect(() => openSqliteStore({ path: temporary.path })).toThrow(
      refused('store-too-new', `${temporary.path} has store version 99, this offpeak knows 2`),
    )
    expect(readFileSync(temporary.path)).toEqual(before)
  })

  test('is left alone when it is no database', () => {
    using folder = tempFolder()
    const path = join(folder.path, 'store.sqlite')
    writeFileSync(path, 'Dear diary, '.repeat(1000))

    expect(() => openSqliteStore({ path })).toThrow(refused('store-unusable', `${path} is not .* left alone`))
    expect(readFileSync(path, 'utf8')).toBe('Dear diary, '.repeat(1000))
  })

  test('is left alone when it is the database of another program', () => {
    using folder = tempFolder()
    const path = join(folder.path, 'store.sqlite')
    const database = new Sqlite(path)
    database.exec('CREATE TABLE jobs (x)')
    database.close()
    const before = readFileSync(path)

    expect(() => openSqliteStore({ path })).toThrow(
      refused('store-unusable', `${path} is a database of another program: it was left alone`),
    )
    expect(readFileSync(path)).toEqual(before)
  })

  test('is reported as damaged, and left alone, when its pages are', () => {
    using temporary = tempStore()
    temporary.store.enqueue(enter(temporary.store), newJobs(1000, 100), 0)
    temporary.store[Symbol.dispose]()
    const bytes = readFileSync(temporary.path)
    bytes.fill(0xff, 2 * 4096)
    writeFileSync(temporary.path, bytes)

    const use = (): void => {
      using store = openSqliteStore({ path: temporary.path })
      store.enqueue(1, newJobs(1000), 0)
    }

    expect(use).toThrow(refused('store-unusable', `${temporary.path} is damaged: it was left alone`))
    expect(readFileSync(temporary.path)).toEqual(bytes)
  })

  test('is reported as such when it cannot be written', () => {
    using temporary = tempStore()
    const readonly = connectionOver(new Sqlite(temporary.path, { readonly: true }), temporary.path)
    const store = storeOver(readonly, { location: temporary.path, folder: undefined })

    expect(() => enter(store)).toThrow(refused('store-unusable', `${temporary.path} cannot be written.*permissions`))
    store[Symbol.dispose]()
  })
})

test('a full disk stops a group as a whole, is told as such, and does no harm once there is room', () => {
  using folder = tempFolder()
  const path = join(folder.path, 'store.sqlite')
  const connection = connect(path)
  using store = storeOver(connection, { location: path, folder: folder.path })
  const owner = enter(store)
  store.enqueue(owner, newJobs(100), 0)
  const pages = Number(connection.database.pragma('page_count', { simple: true }))
  connection.database.pragma(`max_page_count = ${pages + 5}`)

  expect(() => store.enqueue(owner, newJobs(2000, 200), 0)).toThrow(
    refused('store-full', `There is no room left to write ${path}`),
  )

  connection.database.pragma('max_page_count = 100000')
  const placements = store.enqueue(owner, newJobs(2000, 200), 0)
  expect(placements.filter(({ kind }) => kind === 'queued')).toHaveLength(1900)
  expect(placements.at(-1)?.job).toBe(2000)
  expect(connection.database.pragma('integrity_check', { simple: true })).toBe('ok')
})

test('a target that a full disk took back is written again', () => {
  using folder = tempFolder()
  const path = join(folder.path, 'store.sqlite')
  const connection = connect(path)
  using store = storeOver(connection, { location: path, folder: folder.path })
  const owner = enter(store)
  const pages = Number(connection.database.pragma('page_count', { simple: true }))
  connection.database.pragma(`max_page_count = ${pages}`)
  expect(() => store.enqueue(owner, newJobs(2000, 200), 0)).toThrow(refused('store-full', /no room/))

  connection.database.pragma('max_page_count = 100000')
  const jobs = store.enqueue(owner, newJobs(10), 0).map(({ job }) => job)
  const intent = store.claim(owner, { tag: 'abcdefghijkl', target, window: '24h', metadata: {} }, jobs, 0)

  expect(intent).toMatchObject({ ...target, jobs: 10 })
})
