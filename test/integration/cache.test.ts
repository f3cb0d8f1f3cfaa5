import Sqlite from 'better-sqlite3'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseArguments } from '../../src/cli/args.ts'
import { parseDuration } from '../../src/cli/duration.ts'
import { aligned, formatBytes } from '../../src/cli/sizes.ts'
import { OffpeakError } from '../../src/core/errors.ts'
import type { NewJob, Store } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import { cli } from '../support/cli.ts'
import { tempFolder } from '../support/store.ts'

const HOUR = 60 * 60_000
const DAY = 24 * HOUR

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['2s', 2000],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', '7', 'd', '0d', '-1d', '1.5h', '7 d', '7D', '1w', '1h30m', '9999999999d', '007d'])(
    '%j is none',
    (text) => {
      expect(parseDuration(text)).toBeUndefined()
    },
  )

  test('are a kind of flag, and a wrong one says what they look like', () => {
    const flags = { 'older-than': { kind: 'duration' } } as const

    expect(parseArguments(['--older-than', '10m'], flags).flags).toEqual({ 'older-than': 600_000 })
    expect(() => parseArguments(['--older-than', 'week'], flags)).toThrow(
      new OffpeakError('usage', '--older-than must be a duration such as 2s, 10m, 24h or 7d, not "week"'),
    )
  })
})

test('sizes are short, and columns stand below each other', () => {
  expect([0, 999, 1000, 1_540_000, 150_000_000, 2.5e12].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 KB',
    '1.5 MB',
    '150 MB',
    '2.5 TB',
  ])
  expect(aligned([['a', 'bcd', 'e'], ['fgh', 'i', 'jk'], ['l']])).toEqual(['a    bcd  e', 'fgh  i    jk', 'l'])
})

describe('offpeak cache', () => {
  const now = Date.now()
  let folder: ReturnType<typeof tempFolder>
  let path: string

  beforeEach(() => {
    folder = tempFolder()
    path = join(folder.path, 'store.db')
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    folder[Symbol.dispose]()
  })

  const target = (model: string): NewJob['target'] => ({
    provider: 'openai',
    baseUrl: 'http://p/v1',
    endpoint: '/v1/responses',
    model,
    account: 'a',
    queueKey: model,
  })
  const newJobs = (name: string, count: number, model: string, size = 100): NewJob[] =>
    Array.from({ length: count }, (_, n) => ({
      target: target(model),
      fingerprint: `${name}-${n}`,
      occurrence: 1,
      body: JSON.stringify({ model, input: 'x'.repeat(size) }),
    }))

  /** Jobs that were answered so long ago, in a batch that is over. */
  function answer(store: Store, name: string, count: number, model: string, at: number, size = 100): void {
    const owner = store.enter({ pid: 1, leaseUntil: at + 1000 }, at)
    const jobs = store.enqueue(owner, newJobs(name, count, model, size), at).map(({ job }) => job)
    const intent = store.claim(
      owner,
      { tag: name.padEnd(12, 'x'), target: target(model), window: '24h', metadata: {} },
      jobs,
      at,
    )
    if (!intent) throw new Error('nothing was claimed')
    const body = JSON.stringify({ text: 'y'.repeat(size) })
    store.settle(
      intent,
      jobs.map((job) => ({ job, status: 200, requestId: undefined, body })),
      at,
    )
    store.advance(intent, { state: 'ended', endedAt: at })
    store.leave(owner, at)
  }

  /** Twelve answers of two models and three ages, one failure, four queued jobs and three submitted ones of processes long gone. */
  function fill(): void {
    using store = openSqliteStore({ path })
    answer(store, 'old', 6, 'gpt-5', now - 40 * DAY)
    answer(store, 'middle', 4, 'gpt-5', now - 10 * DAY)
    answer(store, 'young', 2, 'gpt-5-mini', now - HOUR)
    const owner = store.enter({ pid: 1, leaseUntil: now - 50 * DAY + 1000 }, now - 50 * DAY)
    store.enqueue(owner, newJobs('queued', 4, 'gpt-5'), now - 50 * DAY)
    const jobs = store.enqueue(owner, newJobs('sent', 3, 'gpt-5'), now - 50 * DAY).map(({ job }) => job)
    store.claim(
      owner,
      { tag: 'submittedxxx', target: target('gpt-5'), window: '24h', metadata: {} },
      jobs,
      now - 50 * DAY,
    )
  }

  const held = async (): Promise<Record<string, unknown>> => {
    const { stdout } = await cli(['cache', '--store', path, '--json'])
    return JSON.parse(stdout)
  }

  test('shows what the store holds, by provider and model', async () => {
    fill()

    const { code, stdout, stderr } = await cli(['cache', '--store', path])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['store', path],
      ['size', expect.stringMatching(/^\d+ KB$/)],
      ['answers', '12 (1.3 KB)'],
      ['', 'openai gpt-5', '10 (1.1 KB), the oldest 40d 00h ago'],
      ['', 'openai gpt-5-mini', expect.stringMatching(/^2 \(222 bytes\), the oldest 1h 0\dm ago$/)],
      ['oldest', '40d 00h ago'],
      ['unfinished', '4 queued, 3 submitted in 1 batch'],
      ['no answers', '0 failed, 0 dropped'],
      [''],
    ])
  })

  test('prints the same as one line of JSON, and leaves the files as they were', async () => {
    fill()
    const before = readFileSync(path)

    const { stdout } = await cli(['cache', '--json', '--store', path])

    expect(stdout.trimEnd()).not.toContain('\n')
    expect(JSON.parse(stdout)).toMatchObject({
      path,
      exists: true,
      answers: 12,
      oldestAt: now - 40 * DAY,
      models: [
        { provider: 'openai', model: 'gpt-5', answers: 10, bytes: 1110, oldestAt: now - 40 * DAY },
        { provider: 'openai', model: 'gpt-5-mini', answers: 2 },
      ],
      jobs: { queued: 4, submitted: 3, answered: 12, failed: 0, dropped: 0 },
      openIntents: 1,
    })
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  test('looks where OFFPEAK_HOME says, and makes nothing where there is nothing', async () => {
    vi.stubEnv('OFFPEAK_HOME', join(folder.path, 'home'))

    const { code, stdout, stderr } = await cli(['cache'])

    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toBe(`There is no store at ${join(folder.path, 'home', 'store.db')} yet; the first run makes it.\n`)
    expect(existsSync(join(folder.path, 'home'))).toBe(false)
    expect(await held()).toEqual({ path, exists: false })
  })

  test('names a file that is no store, and leaves it alone', async () => {
    writeFileSync(path, 'Dear diary, '.repeat(1000))

    expect(await cli(['cache', '--store', path])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(`offpeak: ${path} is not an offpeak store`),
    })
  })

  describe('purge', () => {
    test('removes answers of 30 days ago by default, and says what it kept and why', async () => {
      fill()

      const { code, stdout } = await cli(['cache', 'purge', '--store', path])

      expect(code).toBe(0)
      expect(stdout.split('\n')).toEqual([
        expect.stringMatching(/^removed 6 jobs, freed /),
        'kept 6 jobs settled within the last 30d 00h',
        'kept 4 queued jobs: not sent yet',
        'kept 3 submitted jobs in 1 open batch: paid for, or about to be',
        '',
      ])
      expect(await held()).toMatchObject({ answers: 6, jobs: { queued: 4, submitted: 3 }, openIntents: 1 })
    })

    test('removes what is older than it is told', async () => {
      fill()

      const { stdout } = await cli(['cache', 'purge', '--older-than', '7d', '--store', path, '--json'])

      expect(JSON.parse(stdout)).toMatchObject({
        removedJobs: 10,
        kept: { answered: 2, queued: 4, submitted: 3 },
        openIntents: 1,
      })
      expect(await held()).toMatchObject({ answers: 2 })
    })

    test('removes all that is settled, and never what is not', async () => {
      fill()

      const { stdout } = await cli(['cache', 'purge', '--all', '--store', path])

      expect(stdout.split('\n')).toEqual([
        expect.stringMatching(/^removed 12 jobs, freed /),
        'kept 4 queued jobs: not sent yet',
        'kept 3 submitted jobs in 1 open batch: paid for, or about to be',
        '',
      ])
      using store = openSqliteStore({ path })
      expect(store.openIntents()).toMatchObject([{ tag: 'submittedxxx', jobs: 3 }])
      const owner = store.enter({ pid: 2, leaseUntil: now + HOUR }, now)
      const kinds = store.enqueue(owner, [...newJobs('queued', 4, 'gpt-5'), ...newJobs('old', 1, 'gpt-5')], now)
      expect(kinds.map(({ job }) => job)).toEqual([13, 14, 15, 16, 20])
    })

    test('gives the room on the disk back', async () => {
      using store = openSqliteStore({ path })
      answer(store, 'old', 2000, 'gpt-5', now - 40 * DAY, 2000)
      store[Symbol.dispose]()
      const before = statSync(path).size

      const { stdout } = await cli(['cache', 'purge', '--store', path])

      const after = statSync(path).size
      expect(before).toBeGreaterThan(8_000_000)
      expect(after).toBeLessThan(400_000)
      expect(stdout).toMatch(/^removed 2,000 jobs, freed (8|9)\.\d MB\n$/)
    })

    test('spares the latest answers, and the size, while a process is at work', async () => {
      fill()
      using store = openSqliteStore({ path })
      answer(store, 'big', 1000, 'gpt-5', now - 20 * DAY, 2000)
      answer(store, 'fresh', 3, 'gpt-5', now - 1000)
      store.enter({ pid: 4711, leaseUntil: now + HOUR }, now)

      const { code, stdout, stderr } = await cli(['cache', 'purge', '--all', '--store', path])

      expect(code).toBe(0)
      expect(stdout).toContain('removed 1,012 jobs')
      expect(stdout).toMatch(
        /kept 3 jobs settled within the last 1h 00m: process 4711 is at work and may not have read them yet\n/,
      )
      expect(stderr).toContain('keeps its size while process 4711 uses it')
      expect(store.renew(store.enter({ pid: 1, leaseUntil: now + 1000 }, now), now + 2000, now)).toBe(true)
    })

    test('never takes the lease of a process that is at work', async () => {
      using store = openSqliteStore({ path })
      const owner = store.enter({ pid: 4711, leaseUntil: now + HOUR }, now)

      await cli(['cache', 'purge', '--all', '--store', path])

      expect(store.renew(owner, now + 2 * HOUR, now)).toBe(true)
    })

    test('refuses while it cannot get the lock, and removes nothing', async () => {
      fill()
      const other = new Sqlite(path)
      other.exec('BEGIN IMMEDIATE')

      const outcome = await cli(['cache', 'purge', '--all', '--wait', '1s', '--store', path])
      other.exec('ROLLBACK')
      other.close()

      expect(outcome).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining('locked by another process'),
      })
      expect(await held()).toMatchObject({ answers: 12 })
    })

    test('says that there is no store where there is none, and makes none', async () => {
      expect(await cli(['cache', 'purge', '--store', path])).toEqual({
        code: 1,
        stdout: '',
        stderr: `offpeak: there is no store at ${path}, and nothing to purge\n`,
      })
      expect(existsSync(path)).toBe(false)
    })
  })

  test.each([
    [['cache', 'purg'], 'unknown word "purg", did you mean purge?'],
    [['cache', 'purge', 'now'], 'offpeak cache takes one word at most, and was given "now" as well'],
    [['cache', 'purge', '--all', '--older-than', '7d'], '--all and --older-than exclude each other'],
    [['cache', '--all'], '--all goes with purge: offpeak cache purge --all'],
    [['cache', '--older-than', '7d'], '--older-than goes with purge: offpeak cache purge --older-than …'],
    [['cache', '--stor', 'x'], 'unknown option --stor, did you mean --store?'],
  ])('%j: %s', async (args, message) => {
    expect(await cli(args)).toEqual({
      code: 2,
      stdout: '',
      stderr: `offpeak: ${message}\nTry: offpeak cache --help\n`,
    })
  })
})
