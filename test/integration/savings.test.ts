import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import Sqlite from 'better-sqlite3'
import { join } from 'node:path'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import { cli } from '../support/cli.ts'
import { tempFolder } from '../support/store.ts'

const DAY = 24 * 60 * 60_000
const NOW = Date.now()

interface Told {
  readonly at?: number
  readonly model?: string
  readonly provider?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly costUsd?: number
}

describe('offpeak savings', () => {
  let folder: ReturnType<typeof tempFolder>
  let path: string
  beforeEach(() => {
    folder = tempFolder()
    path = join(folder.path, 'store.db')
  })
  afterEach(() => folder[Symbol.dispose]())

  /** Settles an answer for each of these. */
  function spend(...all: readonly Told[]): void {
    using store = openSqliteStore({ path })
    const owner = store.enter({ pid: 1, leaseUntil: NOW + 1000 }, NOW)
    for (const [index, { at = NOW, model = 'gpt-5', provider = 'openai', metadata = {}, costUsd }] of all.entries()) {
      const target = {
        provider,
        baseUrl: 'http://p',
        endpoint: '/v1/e',
        model,
        account: 'a',
        queueKey: `${provider} ${model}`,
      }
      const fingerprint = `${index}-${model}`.padEnd(22, '_')
      const [placed] = store.enqueue(owner, [{ target, fingerprint, occurrence: 1, body: '{}' }], at)
      const tag = `tag${index}`.padEnd(12, '0')
      const intent = placed && store.claim(owner, { tag, target, window: '24h', metadata }, [placed.job], at)
      if (!intent) throw new Error('nothing was claimed')
      const cost = costUsd === undefined ? undefined : { costUsd, liveCostUsd: 2 * costUsd }
      const usage = { input: 1000, output: 100, cachedInput: 10, reasoning: 20 }
      store.settle(intent, [{ job: placed.job, status: 200, requestId: undefined, body: '{}', usage, cost }], at)
    }
  }

  async function told(...args: readonly string[]) {
    const { code, stdout } = await cli(['savings', '--store', path, '--json', ...args])
    expect(code).toBe(0)
    const { lines, total } = JSON.parse(stdout) as { lines: readonly Line[]; total: Line } // what the command prints
    return { lines, total }
  }

  test('sums up what answers cost by model, the dearest first, and all together', async () => {
    spend({ costUsd: 1 }, { costUsd: 0.5 }, { model: 'gpt-5-mini', costUsd: 4 })

    const { lines, total } = await told()

    expect(lines).toMatchObject([
      { key: 'openai gpt-5-mini', requests: 1, costUsd: 4, liveCostUsd: 8, savedUsd: 4 },
      { key: 'openai gpt-5', requests: 2, costUsd: 1.5, liveCostUsd: 3, savedUsd: 1.5 },
    ])
    expect(total).toMatchObject({ requests: 3, unpriced: 0, costUsd: 5.5, inputTokens: 3000, reasoningTokens: 60 })
  })

  test.each([
    ['provider', ['anthropic', 'openai']],
    ['day', [day(NOW - 3 * DAY), day(NOW)]],
    ['tag', ['run=7 team=search', '(none)']],
  ])('groups by %s', async (by, keys) => {
    spend(
      { costUsd: 1 },
      { costUsd: 2, provider: 'anthropic', metadata: { team: 'search', run: '7' }, at: NOW - 3 * DAY },
    )

    const { lines } = await told('--by', by)

    expect(lines.map(({ key }) => key)).toEqual(keys)
  })

  test('leaves out what is longer ago', async () => {
    spend({ costUsd: 1 }, { costUsd: 2, at: NOW - 3 * DAY })

    expect((await told('--since', '2d')).total).toMatchObject({ requests: 1, costUsd: 1 })
    expect((await told('--since', '3d')).total).toMatchObject({ requests: 2, costUsd: 3 })
  })

  test('never takes an unknown price for zero', async () => {
    spend({ costUsd: 1 }, { model: 'new' }, { model: 'new' })

    const { lines, total } = await told()
    const { stdout, stderr } = await cli(['savings', '--store', path])

    expect(lines[1]).toMatchObject({ key: 'openai new', unpriced: 2, costUsd: null, liveCostUsd: null, savedUsd: null })
    expect(total).toMatchObject({ requests: 3, unpriced: 2, costUsd: 1 })
    expect(stdout).toMatch(/openai new +2 +2,000 +200 +unknown +unknown +unknown/)
    expect(stderr).toContain('2 requests have no known price')
  })

  test('prints a table with a total', async () => {
    spend({ costUsd: 1 }, { model: 'gpt-5-mini', costUsd: 4 })

    const { stdout, stderr } = await cli(['savings', '--store', path])

    expect(stdout).toMatchInlineSnapshot(`
      "model              requests  input  output  live    batch  saved
      openai gpt-5-mini  1         1,000  100     $8.00   $4.00  $4.00 (50 %)
      openai gpt-5       1         1,000  100     $2.00   $1.00  $1.00 (50 %)
      total              2         2,000  200     $10.00  $5.00  $5.00 (50 %)
      "
    `)
    expect(stderr).toBe('')
  })

  test('outlives the answers', async () => {
    spend({ costUsd: 1 })
    await cli(['cache', 'purge', '--all', '--store', path])

    expect((await told()).total).toMatchObject({ requests: 1, costUsd: 1 })
  })

  test('says so when there is no store, and makes none', async () => {
    const outcome = await cli(['savings', '--store', path])

    expect(outcome).toMatchObject({ code: 0, stdout: '' })
    expect(outcome.stderr).toContain('no store')
    expect((await cli(['savings', '--store', path])).stderr).toContain('no store')
  })

  test('knows that a store of an older version has none to tell', async () => {
    spend({ costUsd: 1 })
    const database = new Sqlite(path)
    database.exec('DROP TABLE spending; PRAGMA user_version = 1')
    database.close()

    expect((await told()).lines).toEqual([])
  })

  test('refuses another grouping, naming the nearest', async () => {
    const { code, stderr } = await cli(['savings', '--by', 'modle'])

    expect(code).toBe(2)
    expect(stderr).toContain('did you mean model?')
  })
})

interface Line {
  readonly key: string
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
