/** Limits of cost, of batches in flight and of time, by an engine over a provider that charges for every row. */
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/request.ts'
import type { Reply } from '../../src/core/reply.ts'
import { codeOf, type Engine, prompts, startWorld, type World } from '../support/engine.ts'

/** USD per token of gpt-4o-mini in a batch. */
const INPUT = 0.075e-6
const OUTPUT = 0.3e-6
/** So many tokens of output that the input is next to nothing: a request costs 0.3 cents at the most. */
const MOST = 10_000
const EACH = MOST * OUTPUT

function chat(prompt: string, change: JsonObject = {}): { readonly body: JsonObject } {
  const messages = [{ role: 'user', content: prompt }]
  return { body: { model: 'gpt-4o-mini', max_completion_tokens: MOST, messages, ...change } }
}

function limited(world: World, maxCostUsd: number, settings: Parameters<World['engine']>[0] = {}): Engine {
  return world.engine({ hasPrices: true, ...settings, settings: { maxCostUsd, ...settings.settings } })
}

function askAll(engine: Engine, asked: readonly string[], change: JsonObject = {}): Promise<readonly Reply[]> {
  return Promise.all(asked.map((prompt) => engine.ask(prompt, chat(prompt, change))))
}

const statuses = (replies: readonly Reply[]): number[] => replies.map(({ status }) => status)
const countOf = (replies: readonly Reply[], status: number): number =>
  replies.filter((reply) => reply.status === status).length

/** What these answers cost, worked out from what they say they used. */
function costOf(replies: readonly Reply[]): number {
  return replies.reduce((sum, { status, body }) => {
    if (status !== 200) return sum
    const { usage } = JSON.parse(body) as { usage: { prompt_tokens: number; completion_tokens: number } } // the simulator's own
    return sum + usage.prompt_tokens * INPUT + usage.completion_tokens * OUTPUT
  }, 0)
}

describe('a limit of cost', () => {
  test('sends the part that fits, and tells the others in a way that no SDK retries', async () => {
    await using world = await startWorld()
    const engine = limited(world, 4.5 * EACH)

    const replies = await world.until(askAll(engine, prompts(10)))
    await world.until(engine.manager.close())

    const refused = replies.slice(4)
    expect(statuses(replies)).toEqual([200, 200, 200, 200, 402, 402, 402, 402, 402, 402])
    expect(refused.map(codeOf)).toEqual(refused.map(() => 'cost_limit'))
    expect(refused.every(({ headers }) => headers['x-should-retry'] === 'false')).toBe(true)
    expect(world.simulator.ledger().executions.batch).toBe(4)
    expect(engine.manager.costLimit()).toMatchObject({ code: 'cost-limit', refused: 6, reserved: 0 })
    expect(engine.manager.costLimit()?.spent).toBeCloseTo(costOf(replies), 8)
  })

  test('sends nothing at all when nothing fits', async () => {
    await using world = await startWorld()
    const engine = limited(world, EACH / 2)

    const replies = await world.until(askAll(engine, prompts(3)))
    await world.until(engine.manager.close())

    expect(statuses(replies)).toEqual([402, 402, 402])
    expect(world.simulator.ledger().calls.upload).toBe(0)
    expect(engine.manager.costLimit()).toMatchObject({ refused: 3, spent: 0, reserved: 0 })
  })

  test('counts what ended batches did cost, not what they could have', async () => {
    await using world = await startWorld()
    const engine = limited(world, 4.5 * EACH)

    const first = await world.until(askAll(engine, prompts(4)))
    const second = await world.until(askAll(engine, prompts(4, 'other')))
    await world.until(engine.manager.close())

    expect(countOf([...first, ...second], 200)).toBe(8)
    expect(engine.manager.costLimit()).toBeUndefined()
  })

  test('once reached, refuses whatever comes later, answers from the store excepted', async () => {
    await using world = await startWorld()
    const [known = ''] = prompts(1, 'known')
    const before = world.engine()
    await world.until(askAll(before, [known]))
    await world.until(before.manager.close())
    const engine = limited(world, EACH * 1.5)
    await world.until(askAll(engine, prompts(2)))

    const later = await world.until(askAll(engine, ['cheap', known], { max_completion_tokens: 1 }))
    const again = await world.until(engine.ask(known, chat(known)))
    await world.until(engine.manager.close())

    expect(statuses(later)).toEqual([402, 402])
    expect(again).toMatchObject({ status: 200, headers: { 'x-offpeak-cache': 'hit' } })
  })

  test('refuses what nobody can price, and says why', async () => {
    await using world = await startWorld()
    const engine = limited(world, 100)

    const replies = await world.until(
      Promise.all([
        engine.ask('a', chat('a', { model: 'gpt-unheard-of' })),
        engine.ask('b', chat('b', { max_completion_tokens: undefined })),
        engine.ask('c', chat('c')),
      ]),
    )
    await world.until(engine.manager.close())

    expect(statuses(replies)).toEqual([402, 402, 200])
    expect(replies[0]?.body).toContain('no price of gpt-unheard-of is known')
    expect(replies[1]?.body).toContain('no maximum of output tokens')
    expect(engine.manager.costLimit()).toMatchObject({ refused: 2 })
  })

  test('lets what nobody can price through when it is allowed, at a guess where there is one', async () => {
    await using world = await startWorld()
    const engine = limited(world, 100, { settings: { allowUnpriced: true } })

    const replies = await world.until(
      Promise.all([
        engine.ask('a', chat('a', { model: 'gpt-unheard-of' })),
        engine.ask('b', chat('b', { max_completion_tokens: undefined })),
      ]),
    )
    await world.until(engine.manager.close())

    expect(statuses(replies)).toEqual([200, 200])
    expect(engine.store.spending()).toMatchObject([
      { model: 'gpt-4o-mini', requests: 1, unpriced: 0 },
      { model: 'gpt-unheard-of', requests: 1, unpriced: 1, costUsd: 0 },
    ])
  })

  test('is shared by two programs at once', async () => {
    await using world = await startWorld()
    const [one, two] = [limited(world, 5.5 * EACH), limited(world, 5.5 * EACH)]

    const [first, second] = await world.until(
      Promise.all([askAll(one, prompts(4, 'one')), askAll(two, prompts(4, 'two'))]),
    )
    await world.until(Promise.all([one.manager.close(), two.manager.close()]))

    expect(countOf([...first, ...second], 200)).toBe(5)
    expect(world.simulator.ledger().executions.batch).toBe(5)
  })

  test('is shared by a run that was killed and the one after it, and afresh for the next', async () => {
    await using world = await startWorld()
    const killed = limited(world, 4.5 * EACH, { onAnswered: ({ path }) => path.endsWith('/batches') && killed.crash() })
    void askAll(killed, prompts(3))
    await world.untilTrue(() => world.simulator.ledger().batches.created === 1)

    const rerun = limited(world, 4.5 * EACH)
    const replies = await world.until(askAll(rerun, [...prompts(3), ...prompts(3, 'more')]))
    await world.until(rerun.manager.close())
    const next = limited(world, 4.5 * EACH)
    const fresh = await world.until(askAll(next, prompts(4, 'month')))
    await world.until(next.manager.close())

    // While the killed run's three are under way, one more fits.
    expect(statuses(replies)).toEqual([200, 200, 200, 200, 402, 402])
    expect(countOf(fresh, 200)).toBe(4)
    expect(world.simulator.ledger().executions).toMatchObject({ batch: 8, repeated: 0 })
  })

  test('splits a refused batch without reserving for its parts twice', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', operation: 'upload', status: 413, times: 1 }] })
    const engine = limited(world, 4.5 * EACH)

    const replies = await world.until(askAll(engine, prompts(4)))
    await world.until(engine.manager.close())

    expect(statuses(replies)).toEqual([200, 200, 200, 200])
  })

  test('holds for a batch that a run without one was about to create', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'reset', moment: 'before', operation: 'create', times: 1 }],
    })
    // It dies when it begins to look for what it may have created.
    const killed = world.engine({
      onCall({ method, path }) {
        if (method === 'GET' && path.endsWith('/batches')) killed.crash()
      },
    })
    void askAll(killed, prompts(4))
    await world.untilTrue(() => killed.eventsOf('provider-unreachable').length > 0)

    const rerun = limited(world, 2.5 * EACH)
    const replies = await world.until(askAll(rerun, prompts(4)))
    await world.until(rerun.manager.close())

    expect(statuses(replies)).toEqual([200, 200, 402, 402])
    expect(world.simulator.ledger().executions).toMatchObject({ batch: 2, repeated: 0 })
  })

  test('prices each answer of a batch by its own model', async () => {
    await using world = await startWorld()
    const engine = limited(world, 10, { provider: 'anthropic' })
    const body = (model: string): JsonObject => ({
      model,
      max_tokens: 1000,
      messages: [{ role: 'user', content: 'hi' }],
    })

    await world.until(
      Promise.all(
        ['claude-haiku-4-5', 'claude-sonnet-4-6', 'claude-haiku-4-5'].map((model, index) =>
          engine.ask(`${index}`, {
            path: '/v1/messages',
            headers: { 'x-api-key': 'key', 'anthropic-version': '2023-06-01' },
            body: { ...body(model), system: `${index}` },
          }),
        ),
      ),
    )
    await world.until(engine.manager.close())

    const [haiku, sonnet] = engine.store.spending()
    expect(world.simulator.ledger().batches.created).toBe(1)
    expect([haiku, sonnet]).toMatchObject([
      { model: 'claude-haiku-4-5', requests: 2, unpriced: 0 },
      { model: 'claude-sonnet-4-6', requests: 1, unpriced: 0 },
    ])
    const perToken = ({ costUsd = 0, outputTokens = 0, inputTokens = 0 } = {}): number =>
      costUsd / (outputTokens * 5 + inputTokens)
    // Of both, output costs five times what input does, and Sonnet costs three times what Haiku does.
    expect(perToken(sonnet) / perToken(haiku)).toBeCloseTo(3, 3)
    expect(
      engine
        .eventsOf('request-settled')
        .map(({ model }) => model)
        .toSorted(),
    ).toEqual(['claude-haiku-4-5', 'claude-haiku-4-5', 'claude-sonnet-4-6'])
  })

  test('keeps what a row could have cost that came back unreadable', async () => {
    await using world = await startWorld({ faults: [{ kind: 'corrupt-row', rows: [1] }] })
    const engine = limited(world, 3.5 * EACH)

    const replies = await world.until(askAll(engine, prompts(2)))
    await world.until(engine.manager.close())

    // It went out again, and came back unreadable again: twice it may have been billed.
    const readable = replies.filter(({ status }) => status === 200)
    expect(readable).toHaveLength(1)
    const state = engine.store.budgetOf(1)
    expect(state?.reservedUsd).toBe(0)
    expect(state?.spentUsd).toBeGreaterThan(2 * EACH)
  })
})

describe('a limit of batches in flight', () => {
  test('lets the next one begin when one has ended', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { batchSize: 2, maxBatchesInFlight: 2 } })
    let most = 0

    const asked = askAll(engine, prompts(11))
    asked.catch(() => undefined)
    const done = asked.then(() => engine.manager.close())
    let isDone = false
    done.then(
      () => (isDone = true),
      () => (isDone = true),
    )
    await world.untilTrue(() => {
      most = Math.max(most, engine.store.openIntents().length)
      return isDone
    })

    expect(statuses(await asked)).toEqual(Array(11).fill(200))
    expect(most).toBe(2)
    expect(world.simulator.ledger().batches.created).toBe(6)
  })

  test('counts those of other programs on the same store', async () => {
    await using world = await startWorld()
    const first = world.engine({ settings: { maxBatchesInFlight: 1 } })
    const second = world.engine({ settings: { maxBatchesInFlight: 1 } })
    let most = 0
    const asked = Promise.all([askAll(first, prompts(2, 'first')), askAll(second, prompts(2, 'second'))])
    let isDone = false
    asked.then(
      () => (isDone = true),
      () => (isDone = true),
    )

    await world.untilTrue(() => {
      most = Math.max(most, first.store.openIntents().length)
      return isDone
    })

    expect((await asked).flatMap(statuses)).toEqual([200, 200, 200, 200])
    expect(most).toBe(1)
  })
})

describe('a limit of time', () => {
  test('cancels what runs, keeps the answers that came, and tells the others that it expired', async () => {
    await using world = await startWorld({ batchMs: 100_000 })
    const engine = world.engine({ hasPrices: true, settings: { timeLimitMs: 60_000 } })

    const replies = await world.until(askAll(engine, prompts(10)))
    await world.until(engine.manager.close())

    const answered = countOf(replies, 200)
    expect(answered).toBeGreaterThan(0)
    expect(answered).toBeLessThan(10)
    expect(countOf(replies, 424)).toBe(10 - answered)
    expect(replies.filter(({ status }) => status === 424).map(codeOf)).toEqual(
      Array(10 - answered).fill('batch_expired'),
    )
    expect(world.simulator.ledger().batches.cancelled).toBe(1)
    expect(engine.store.spending()).toMatchObject([{ requests: answered }])
    expect(engine.store.openIntents()).toEqual([])
  })

  test('sends nothing more: what waits in a queue, and what is asked later, is told so at once', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { timeLimitMs: 1000, batchWindowMs: 5000 } })

    const queued = await world.until(askAll(engine, prompts(3)))
    const later = await world.until(askAll(engine, ['later']))
    await world.until(engine.manager.close())

    expect(statuses([...queued, ...later])).toEqual([424, 424, 424, 424])
    expect(world.simulator.ledger().calls.upload).toBe(0)
  })

  test('ends the attempts to upload a batch', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', operation: 'upload', status: 503 }] })
    const engine = world.engine({ settings: { timeLimitMs: 60_000 } })

    const replies = await world.until(askAll(engine, prompts(3)))
    await world.until(engine.manager.close())

    expect(statuses(replies)).toEqual([424, 424, 424])
    expect(world.simulator.ledger().calls.create).toBe(0)
    expect(engine.store.openIntents()).toEqual([])
  })

  test('has a batch whose create is unknown found, and cancelled', async () => {
    await using world = await startWorld({
      batchMs: 500_000,
      faults: [
        { kind: 'status', operation: 'create', status: 503, moment: 'after', times: 1 },
        { kind: 'list-lag', ms: 100_000 },
      ],
    })
    const engine = world.engine({ settings: { timeLimitMs: 60_000 } })

    const replies = await world.until(askAll(engine, prompts(3)))
    await world.until(engine.manager.close())

    expect(countOf(replies, 424) + countOf(replies, 200)).toBe(3)
    expect(world.simulator.ledger().batches).toMatchObject({ created: 1, cancelled: 1 })
  })

  test('tries again when the provider does not take the cancel', async () => {
    await using world = await startWorld({
      batchMs: 500_000,
      faults: [{ kind: 'status', operation: 'cancel', status: 503, times: 2 }],
    })
    const engine = world.engine({ settings: { timeLimitMs: 30_000 } })

    await world.until(askAll(engine, prompts(3)))
    await world.until(engine.manager.close())

    expect(world.simulator.ledger().batches.cancelled).toBe(1)
    expect(engine.eventsOf('provider-unreachable').filter(({ doing }) => doing === 'cancel')).toHaveLength(2)
  })

  test('the next run asks again for what was not run', async () => {
    await using world = await startWorld({ batchMs: 100_000 })
    const engine = world.engine({ settings: { timeLimitMs: 60_000 } })
    const first = await world.until(askAll(engine, prompts(10)))
    await world.until(engine.manager.close())

    const next = world.engine()
    const second = await world.until(askAll(next, prompts(10)))
    await world.until(next.manager.close())

    expect(statuses(second)).toEqual(Array(10).fill(200))
    expect(countOf(first, 200)).toBeLessThan(10)
    expect(world.simulator.ledger().executions).toMatchObject({ batch: 10, repeated: 0 })
  })
})
