/** Deferring, in both forms, and a key that was changed between two runs: nothing is lost, nothing is paid twice, and it is said. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { batchify, type BatchifyOptions, DeferredExit } from '../../src/index.ts'
import { openScene, type Scene } from '../support/clients-scene.ts'
import { outcome } from '../support/intercept.ts'

/** Batches stand still until time is moved on by hand. */
const scene = (simulated: Parameters<typeof openScene>[1] = {}): Promise<Scene> =>
  openScene(batchify, { autoAdvance: false, ...simulated })

interface Said {
  readonly status: number
  readonly cache: string | null
  readonly code: unknown
}

async function ask({ connection }: Scene, prompt: string, apiKey: string = connection.apiKey): Promise<Said> {
  const response = await fetch(`${connection.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }),
  })
  const json = (await response.json()) as { error?: { code: unknown } } // an answer of the simulator or an error of ours
  return { status: response.status, cache: response.headers.get('x-offpeak-cache'), code: json.error?.code }
}

const PROMPTS = ['one', 'two', 'three']
const askAll = (of: Scene): Promise<readonly Said[]> => Promise.all(PROMPTS.map((prompt) => ask(of, prompt)))

const DEFERRED: BatchifyOptions = { deferred: { idleMs: 40 } }

/** The next run, when the batch has ended meanwhile. */
async function runAgain(of: Scene): Promise<readonly Said[]> {
  of.simulator.clearFaults()
  of.simulator.advance(10_000)
  return await batchify({ ...of.options, ...DEFERRED }, () => askAll(of))
}

function expectPaidOnce(of: Scene): void {
  const { executions, calls, batches } = of.simulator.ledger()
  expect(executions).toEqual({ live: 0, batch: PROMPTS.length, distinct: PROMPTS.length, repeated: 0 })
  expect([calls.upload, calls.create, batches.created]).toEqual([1, 1, 1])
}

describe('batchify(options, fn) that defers', () => {
  test('rejects with the batches that go on and how to resume; running it again answers everything', async () => {
    await using own = await scene()

    const first = await outcome(batchify({ ...own.options, ...DEFERRED }, () => askAll(own)))
    const second = await runAgain(own)

    const error = 'error' in first ? first.error : undefined
    expect(error).toBeInstanceOf(DeferredExit)
    expect(error).toMatchObject({
      code: 'deferred',
      pending: 3,
      batches: [{ provider: 'openai', id: expect.stringMatching(/^batch_/), jobs: 3 }],
      message: expect.stringMatching(/run the same program again .*store\.db/),
    })
    expect(second.map(({ status }) => status)).toEqual([200, 200, 200])
    expectPaidOnce(own)
  })

  test('rejects although the program swallows what its calls are told, and returns', async () => {
    await using own = await scene()
    let told: readonly Said[] = []

    const first = await outcome(
      batchify({ ...own.options, ...DEFERRED }, async () => {
        told = await askAll(own).catch(() => [])
        return 'all is well'
      }),
    )
    await vi.waitFor(() => expect(told).toHaveLength(3))

    expect(first).toMatchObject({ error: { code: 'deferred' } })
    expect(told.map(({ status, code }) => [status, code])).toEqual(PROMPTS.map(() => [424, 'deferred']))
    expect((await runAgain(own)).map(({ status }) => status)).toEqual([200, 200, 200])
    expectPaidOnce(own)
  })

  test('rejects although the program tries again and again, and lets none of that through at full price', async () => {
    await using own = await scene()
    const told: number[] = []
    const stop = new AbortController()

    const first = await outcome(
      batchify({ ...own.options, ...DEFERRED }, async () => {
        while (!stop.signal.aborted) {
          for (const { status } of await askAll(own)) told.push(status)
          await delay(5)
        }
      }),
    )
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(10))
    stop.abort()
    const outside = await ask(own, 'outside')

    expect(first).toMatchObject({ error: { code: 'deferred' } })
    expect(new Set(told)).toEqual(new Set([424]))
    // The program itself goes on as it likes.
    expect(outside).toMatchObject({ status: 200, cache: null })
    expect(own.simulator.ledger().executions.live).toBe(1)
    const second = await runAgain(own)
    expect(second.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(own.simulator.ledger().executions).toMatchObject({ batch: 3, repeated: 0 })
  })

  test('interrupts neither upload nor create, however long they take', async () => {
    await using own = await scene({
      faults: [
        { kind: 'slow', operation: 'upload', ms: 150 },
        { kind: 'slow', operation: 'create', ms: 150, moment: 'after' },
      ],
    })

    const first = await outcome(batchify({ ...own.options, deferred: { idleMs: 0 } }, () => askAll(own)))
    const second = await runAgain(own)

    expect(first).toMatchObject({ error: { code: 'deferred', batches: [{ jobs: 3 }] } })
    expect(second.map(({ status }) => status)).toEqual([200, 200, 200])
    expectPaidOnce(own)
  })

  test('does not defer while something is still to be sent', async () => {
    await using own = await scene()

    const first = await outcome(
      batchify({ ...own.options, ...DEFERRED, batchWindowMs: 150, batchSize: 2 }, () => askAll(own)),
    )

    expect(first).toMatchObject({ error: { code: 'deferred', batches: [{ jobs: 2 }, { jobs: 1 }] } })
  })

  test('that has its answers in time does not defer', async () => {
    await using own = await scene({ autoAdvance: true })

    const said = await batchify({ ...own.options, deferred: true }, () => askAll(own))

    expect(said.map(({ status }) => status)).toEqual([200, 200, 200])
  })
})

describe('the block form that defers', () => {
  test('tells the calls that wait, and throws when it is disposed; running it again answers everything', async () => {
    await using own = await scene()
    let told: readonly Said[] = []
    let tried: readonly Said[] = []
    const block = async (): Promise<void> => {
      await using _batch = batchify({ ...own.options, ...DEFERRED })
      told = await askAll(own)
      await delay(20)
      tried = await askAll(own)
    }

    const first = await outcome(block())
    const outside = await ask(own, 'outside')

    expect(first).toMatchObject({ error: { code: 'deferred', pending: 3, batches: [{ jobs: 3 }] } })
    expect(told.map(({ status, code }) => [status, code])).toEqual(PROMPTS.map(() => [424, 'deferred']))
    expect(tried.map(({ status, code }) => [status, code])).toEqual(PROMPTS.map(() => [424, 'deferred']))
    expect(outside).toMatchObject({ status: 200, cache: null })
    expect(own.simulator.ledger().executions.live).toBe(1)
    const second = await runAgain(own)
    expect(second.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(own.simulator.ledger().executions).toMatchObject({ batch: 3, repeated: 0 })
  })

  test('rejects a close that waits', async () => {
    await using own = await scene()
    const batch = await own.open(DEFERRED)
    const answers = batch.run(() => askAll(own))

    const closed = await outcome(batch.close())

    expect(closed).toMatchObject({ error: { code: 'deferred', pending: 3 } })
    expect((await answers).map(({ code }) => code)).toEqual(['deferred', 'deferred', 'deferred'])
  })
})

describe('a key that was changed between two runs', () => {
  test('is told whose batches are missed, fails nothing, and the old key collects them', async () => {
    await using own = await scene()
    await outcome(batchify({ ...own.options, ...DEFERRED }, () => askAll(own)))
    own.simulator.advance(10_000)
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const created = own.simulator.ledger().batches.created

    const asNew = batchify({ ...own.options }, () => ask(own, 'one', 'sk-rotated'))
    await vi.waitFor(() => expect(own.simulator.ledger().batches.created).toBe(created + 1))
    own.simulator.advance(10_000)
    const said = await asNew
    const old = await batchify(own.options, () => askAll(own))

    const list = await fetch(`${own.connection.baseUrl}/batches`, { headers: { authorization: 'Bearer sk-test' } })
    const { data } = (await list.json()) as { data: { id: string }[] } // as the simulator lists them
    expect(said.status).toBe(200)
    expect(warned.mock.calls.map(([text]) => String(text))).toEqual([
      expect.stringMatching(new RegExp(`3 requests .* another key.*${data[0]?.id}`)),
    ])
    expect(old.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(own.simulator.ledger().executions).toMatchObject({ batch: 4, repeated: 0 })
  })
})

afterEach(() => {
  vi.restoreAllMocks()
})
