/** What a program sees of a limit of cost. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import Sqlite from 'better-sqlite3'
import OpenAI from 'openai'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parseArguments } from '../../src/cli/args.ts'
import { optionsOf, RUN_FLAGS } from '../../src/cli/run-flags.ts'
import { batchify, type BatchifyOptions, CostLimitError } from '../../src/index.ts'
import { openScene, type Scene } from '../support/clients-scene.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

const REGISTER = new URL('../../src/register.ts', import.meta.url).href
const PROGRAM = fileURLToPath(new URL('../support/run/programs/bounded.ts', import.meta.url))

/** Two requests of this size fit, a third does not: 0.3 cents each at the most. */
const LIMIT = { maxCostUsd: 0.0075 } satisfies BatchifyOptions

function clientOf({ connection }: Scene): (content: string) => Promise<unknown> {
  const client = new OpenAI({ apiKey: connection.apiKey, baseURL: connection.baseUrl })
  return (content) =>
    client.chat.completions.create({
      model: 'gpt-4o-mini',
      max_completion_tokens: 10_000,
      messages: [{ role: 'user', content }],
    })
}

const caught = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error)

describe('batchify with a limit of cost', () => {
  test('rejects with what was spent and refused, although the program swallowed every error, and its answers are stored', async () => {
    await using scene = await openScene(batchify)
    const ask = clientOf(scene)
    let swallowed: readonly PromiseSettledResult<unknown>[] = []

    const error = await caught(
      batchify({ ...scene.options, ...LIMIT }, async () => {
        swallowed = await Promise.allSettled(['a', 'b', 'c', 'd'].map(ask))
        return 'fine'
      }),
    )
    const after = await batchify(scene.options, () => ask('a'))

    expect(swallowed.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(error).toBeInstanceOf(CostLimitError)
    expect(error).toMatchObject({
      code: 'cost-limit',
      refused: 2,
      reserved: 0,
      message: expect.stringContaining('2 calls'),
    })
    expect((error as CostLimitError).spent).toBeGreaterThan(0)
    expect(after).toBeDefined()
    expect(scene.simulator.ledger().executions.batch).toBe(2)
  })

  test('waits for what runs before it rejects, and keeps the program’s own error as the cause', async () => {
    await using scene = await openScene(batchify)
    const ask = clientOf(scene)
    const answered: string[] = []

    const error = await caught(
      batchify({ ...scene.options, ...LIMIT }, () =>
        Promise.all(['a', 'b', 'c'].map((content) => ask(content).then(() => answered.push(content)))),
      ),
    )

    expect(error).toBeInstanceOf(CostLimitError)
    expect((error as CostLimitError).cause).toBeInstanceOf(OpenAI.APIError)
    expect((error as CostLimitError).cause).toMatchObject({ status: 402, code: 'cost_limit' })
    expect(answered).toEqual(['a', 'b'])
  })

  test('asks the SDK once for each: none is tried again', async () => {
    await using scene = await openScene(batchify)
    const ask = clientOf(scene)
    const seen: number[] = []
    const batch = await scene.open(LIMIT)
    batch.on('request-queued', ({ job }) => void seen.push(job))

    await Promise.allSettled(['a', 'b', 'c'].map((content) => batch.run(() => ask(content))))

    expect(new Set(seen).size).toBe(3)
    await expect(batch.close()).rejects.toBeInstanceOf(CostLimitError)
    expect(seen).toHaveLength(3)
  })

  test('in a block is thrown by its disposal, or by a close before it, once', async () => {
    await using scene = await openScene(batchify)
    const ask = clientOf(scene)

    const disposed = await caught(
      (async () => {
        await using batch = await scene.open(LIMIT)
        await Promise.allSettled(['a', 'b', 'c'].map((content) => batch.run(() => ask(content))))
      })(),
    )
    const closed = await caught(
      (async () => {
        await using batch = await scene.open(LIMIT)
        await Promise.allSettled(['d', 'e', 'f'].map((content) => batch.run(() => ask(content))))
        await batch.close()
      })(),
    )

    expect(disposed).toBeInstanceOf(CostLimitError)
    expect(closed).toBeInstanceOf(CostLimitError)
  })

  test('is silent where everything fits, and the report tells what it cost', async () => {
    await using scene = await openScene(batchify)
    const ask = clientOf(scene)
    const batch = await scene.open({ maxCostUsd: 1 })

    await Promise.all(['a', 'b'].map((content) => batch.run(() => ask(content))))
    await batch.close()

    const { costUsd = 0, savedUsd = 0, unpricedRequests } = batch.report()
    expect(costUsd).toBeGreaterThan(0)
    expect(savedUsd).toBeCloseTo(costUsd, 9)
    expect(unpricedRequests).toBe(0)
  })

  test('leaves behind what the run was, what it cost and what it has learned', async () => {
    await using scene = await openScene(batchify)
    const ask = clientOf(scene)

    await batchify({ ...scene.options, metadata: { team: 'search' } }, () => Promise.all(['a', 'b'].map(ask)))

    const { store } = scene.options
    if (typeof store !== 'string') throw new Error('the scene has no file')
    const database = new Sqlite(store, { readonly: true })
    const run = database
      .prepare('SELECT runs.*, (SELECT count(*) FROM intents WHERE run = runs.id) AS intents FROM runs')
      .get()
    const spending = database.prepare('SELECT requests, metadata, cost * 2 = live_cost AS half FROM spending').all()
    const learned = database.prepare<[], string>('SELECT state FROM learned').pluck().all()
    database.close()
    expect(run).toMatchObject({
      pid: process.pid,
      metadata: '{"team":"search"}',
      intents: 1,
      ended_at: expect.any(Number),
    })
    expect(spending).toEqual([{ requests: 2, metadata: '{"team":"search"}', half: 1 }])
    expect(learned.map((state): unknown => JSON.parse(state))).toMatchObject([{ input: { n: 2 } }])
  })
})

test('the limits are flags as well', () => {
  const args = ['--max-cost', '2.5', '--allow-unpriced', '--max-batches', '3', '--time-limit', '2h']

  const options = optionsOf(parseArguments(args, RUN_FLAGS).flags)

  expect(options).toEqual({ maxCostUsd: 2.5, allowUnpriced: true, maxBatchesInFlight: 3, timeLimitMs: 7_200_000 })
})

test.each(['0', '-1', '$5', '1e3', '5,5', ''])('%j is no amount', (text) => {
  expect(() => parseArguments([`--max-cost=${text}`], RUN_FLAGS)).toThrow('--max-cost must be an amount above 0')
})

describe.concurrent('a process with a limit of cost', () => {
  test.each(['careful', 'careless'])('ends with 4 when a %s program was refused something', async (manner) => {
    using folder = tempFolder()
    await using simulator = await startTestSimulator({ batchMs: 100 })
    const options = { ...LIMIT, batchWindowMs: 20, pollIntervalMs: 20, maxPollIntervalMs: 40, display: 'log' }
    const child = spawn(process.execPath, ['--no-warnings', '--import', REGISTER, PROGRAM, manner], {
      env: {
        PATH: process.env['PATH'],
        OFFPEAK_HOME: folder.path,
        OFFPEAK_OPTIONS: JSON.stringify(options),
        OPENAI_BASE_URL: simulator.baseUrl('openai'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))

    await once(child, 'close')

    expect({ code: child.exitCode, stdout }, stderr).toEqual({ code: 4, stdout: '402\n' })
    expect(stderr).toContain('1 call was not sent within the limit of $0.0075')
  })
})
