/** What the next run of a program makes of what the last one left, as a person would expect it. */
import { describe, expect, test } from 'vitest'
import type { ManagerSettings } from '../../src/manager/context.ts'
import { type Engine, isAnswerTo, startWorld, type World } from '../support/engine.ts'

interface Run {
  /** Prompts that got their own answer. */
  readonly right: readonly string[]
  readonly statuses: readonly number[]
  /** How many came from what was there before. */
  readonly cached: number
  /** What this run cost: requests executed by the provider, and HTTP calls. */
  readonly executed: number
  readonly calls: number
}

/** A whole run of a program: asks, waits, closes. */
async function run(world: World, prompts: readonly string[], settings: Partial<ManagerSettings> = {}): Promise<Run> {
  const before = world.simulator.ledger()
  const engine = world.engine({ settings })
  const replies = await world.until(Promise.all(prompts.map((prompt) => engine.ask(prompt))))
  await world.until(engine.manager.close())
  const { executions, calls } = world.simulator.ledger()
  const sum = (some: typeof calls): number => Object.values(some).reduce((total, count) => total + count, 0)
  expect(engine.faults).toEqual([])
  return {
    right: prompts.filter((prompt, index) => {
      const reply = replies[index]
      return reply && isAnswerTo(prompt, reply)
    }),
    statuses: replies.map(({ status }) => status),
    cached: replies.filter(({ headers }) => headers['x-offpeak-cache'] === 'hit').length,
    executed: executions.batch - before.executions.batch,
    calls: sum(calls) - sum(before.calls),
  }
}

/** A run that dies as soon as something is true. */
async function runUntil(
  world: World,
  prompts: readonly string[],
  isTime: (engine: Engine) => boolean,
  settings: Partial<ManagerSettings> = {},
): Promise<void> {
  const engine = world.engine({ settings })
  for (const prompt of prompts) void engine.ask(prompt)
  await world.untilTrue(() => isTime(engine))
  engine.crash()
}

const same = (count: number): string[] => Array.from({ length: count }, () => 'the same')
const isSubmitted = (engine: Engine): boolean => engine.eventsOf('batch-submitted').length > 0

describe('equal prompts', () => {
  test('are as many jobs as there are prompts, found again by the next run; one more is new', async () => {
    await using world = await startWorld()

    const runs = [
      await run(world, same(10)),
      await run(world, same(10)),
      await run(world, same(11)),
      await run(world, same(4)),
    ]

    expect(runs.map(({ right }) => right.length)).toEqual([10, 10, 11, 4])
    expect(runs.map(({ executed }) => executed)).toEqual([10, 0, 1, 0])
    expect(runs.map(({ cached }) => cached)).toEqual([0, 10, 10, 4])
    expect(runs.map(({ calls }) => calls > 0)).toEqual([true, false, true, false])
  })

  test('of which a crash left some answered, some submitted and some queued are the same in the next run', async () => {
    await using world = await startWorld()
    let isHeld = false

    // Three batches of four would be full; the second one cannot be asked about, and the third waits for a fourth job.
    await runUntil(
      world,
      same(11),
      (engine) => {
        const [, second] = engine.eventsOf('batch-submitted')
        if (second && !isHeld) world.simulator.fault({ kind: 'status', status: 500, path: `/v1/batches/${second.id}` })
        isHeld ||= second !== undefined
        return engine.eventsOf('request-settled').length === 4
      },
      { batchSize: 4, batchWindowMs: 3_600_000 },
    )
    world.simulator.clearFaults()
    const { executed, right, cached } = await run(world, same(12), { batchSize: 4 })

    expect(right).toHaveLength(12)
    expect(world.simulator.ledger().executions.batch).toBe(12)
    expect(executed).toBeLessThanOrEqual(8)
    expect(cached).toBe(4)
  })
})

describe('prompts of another order, more of them and fewer', () => {
  test('find their own answers; only what is new is asked', async () => {
    await using world = await startWorld()

    const runs = [
      await run(world, ['a', 'b', 'c', 'd']),
      await run(world, ['d', 'new', 'b', 'a']),
      await run(world, ['c', 'new', 'newer']),
      await run(world, ['newer', 'd', 'c', 'b', 'a', 'new']),
    ]

    expect(runs.map(({ right }) => right.length)).toEqual([4, 4, 3, 6])
    expect(runs.map(({ executed }) => executed)).toEqual([4, 1, 1, 0])
  })

  test('count each kind of equal ones by itself', async () => {
    await using world = await startWorld()

    const runs = [
      await run(world, ['a', 'a', 'b']),
      await run(world, ['b', 'a']),
      await run(world, ['a', 'b', 'a', 'a', 'b']),
    ]

    expect(runs.map(({ executed }) => executed)).toEqual([3, 0, 2])
  })

  test('find what a crashed run had submitted, and keep what nobody asks for this time', async () => {
    await using world = await startWorld()

    await runUntil(world, ['a', 'b', 'c', 'd'], isSubmitted)
    const second = await run(world, ['new', 'd', 'a'])
    const third = await run(world, ['c', 'b'])

    expect([second.right.length, third.right.length]).toEqual([3, 2])
    expect(world.simulator.ledger()).toMatchObject({
      executions: { batch: 5, repeated: 0 },
      batches: { created: 2 },
    })
    expect(third).toMatchObject({ executed: 0, cached: 2, calls: 0 })
  })

  test('leave what a crashed run had only queued alone, until it is asked for again', async () => {
    await using world = await startWorld()

    await runUntil(world, ['a', 'b'], (engine) => engine.eventsOf('request-queued').length === 2, {
      batchWindowMs: 60_000,
    })
    const second = await run(world, ['b'])
    const third = await run(world, ['a', 'b'])

    expect([second.executed, third.executed]).toEqual([1, 1])
    expect(third.cached).toBe(1)
  })
})

describe('failures', () => {
  test('are not answers: the next run asks again, and only for what failed', async () => {
    await using world = await startWorld({ faults: [{ kind: 'row-status', lines: [2], status: 400, times: 1 }] })

    const runs = [
      await run(world, ['a', 'b', 'c']),
      await run(world, ['a', 'b', 'c']),
      await run(world, ['a', 'b', 'c']),
    ]

    expect(runs.map(({ statuses }) => statuses)).toEqual([
      [200, 400, 200],
      [200, 200, 200],
      [200, 200, 200],
    ])
    expect(runs.map(({ executed }) => executed)).toEqual([2, 1, 0])
    expect(runs.map(({ cached }) => cached)).toEqual([0, 2, 3])
  })

  test('are told again within a scope, without a second batch', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const refused = 'no [[simulate:400]]'

    const first = await world.until(engine.ask(refused))
    const again = await world.until(engine.ask(refused))
    const retried = await world.until(engine.ask(refused, { headers: { 'x-stainless-retry-count': '1' } }))

    expect([first.status, again.status, retried.status]).toEqual([400, 400, 400])
    expect(world.simulator.ledger().batches.created).toBe(1)
  })

  test('of every kind are asked again: refused at create, expired, missing, cancelled', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'status', status: 422, operation: 'create', times: 1 }],
    })

    const refused = await run(world, ['a'])
    world.simulator.fault({ kind: 'expire', afterRows: 0, times: 3 })
    const expired = await run(world, ['a'])
    world.simulator.fault({ kind: 'missing-row', times: 4 })
    const missing = await run(world, ['a'])
    world.simulator.clearFaults()
    const answered = await run(world, ['a'])

    expect([refused, expired, missing, answered].map(({ statuses }) => statuses)).toEqual([[422], [424], [424], [200]])
    expect(answered.cached).toBe(0)
  })
})

describe('with cache: false', () => {
  const NO_CACHE = { cache: false }

  test('nothing of a run that ended is reused', async () => {
    await using world = await startWorld()

    const runs = [await run(world, ['a', 'b'], NO_CACHE), await run(world, ['a', 'b'], NO_CACHE)]

    expect(runs.map(({ executed }) => executed)).toEqual([2, 2])
    expect(runs.map(({ cached }) => cached)).toEqual([0, 0])
  })

  test('what a crash left with the provider is resumed, and paid for once', async () => {
    await using world = await startWorld()

    await runUntil(world, ['a', 'b'], isSubmitted, NO_CACHE)
    const second = await run(world, ['a', 'b'], NO_CACHE)
    const third = await run(world, ['a', 'b'], NO_CACHE)

    expect(second.right).toHaveLength(2)
    expect(world.simulator.ledger().executions.batch).toBe(4)
    // The second run ended, so that the third asks anew.
    expect(third.executed).toBe(2)
  })

  test('what a crash left queued goes out with the next run', async () => {
    await using world = await startWorld()

    await runUntil(world, ['a', 'b'], (engine) => engine.eventsOf('request-queued').length === 2, NO_CACHE)
    const second = await run(world, ['a', 'b'], NO_CACHE)

    expect(second.executed).toBe(2)
    expect(world.simulator.ledger().batches.created).toBe(1)
  })

  test('answers that were stored and never delivered are delivered by the next run, without a call', async () => {
    await using world = await startWorld()
    let isStored = false
    const first: Engine = world.engine({
      settings: NO_CACHE,
      wrapStore: (store) =>
        new Proxy(store, {
          get(target, name) {
            if (name !== 'settle') return Reflect.get(target, name) as unknown
            return (...given: Parameters<typeof store.settle>) => {
              target.settle(...given)
              isStored = true
              first.crash()
              throw new Error('killed before anybody was told')
            }
          },
        }),
    })
    const told: unknown[] = []
    for (const prompt of ['a', 'b']) void first.ask(prompt).then((reply) => told.push(reply))
    await world.untilTrue(() => isStored)
    const toldByFirst = told.filter((reply) => (reply as { status: number }).status === 200).length

    const second = await run(world, ['a', 'b'], NO_CACHE)
    const third = await run(world, ['a', 'b'], NO_CACHE)

    expect(toldByFirst).toBe(0)
    expect(second).toMatchObject({ right: ['a', 'b'], executed: 0, cached: 2 })
    expect(third).toMatchObject({ right: ['a', 'b'], executed: 2, cached: 0 })
  })

  test('answers of a run that was delivered some and crashed before its end are delivered again', async () => {
    await using world = await startWorld()

    await runUntil(world, ['a', 'b'], (engine) => engine.eventsOf('request-settled').length === 2, NO_CACHE)
    const second = await run(world, ['b', 'a', 'c'], NO_CACHE)

    expect(second).toMatchObject({ executed: 1, cached: 2 })
    expect(second.right).toHaveLength(3)
  })
})
