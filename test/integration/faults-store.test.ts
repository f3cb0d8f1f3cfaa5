import { describe, expect, test } from 'vitest'
import { OffpeakError } from '../../src/core/errors.ts'
import type { Store } from '../../src/core/store.ts'
import {
  codeOf,
  isAnswerTo,
  prompts,
  startWorld,
  type Engine,
  type EngineOptions,
  type World,
} from '../support/engine.ts'

const PROMPTS = prompts(6)
const ONCE_EACH = { batch: PROMPTS.length, repeated: 0 }

async function answersOf(world: World, engine: Engine): Promise<number> {
  const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))
  return replies.filter((reply, index) => isAnswerTo(PROMPTS[index] ?? '', reply)).length
}

function executions(world: World): { readonly batch: number; readonly repeated: number } {
  const { batch, repeated } = world.simulator.ledger().executions
  return { batch, repeated }
}

/** A store whose disk is full as far as one method is concerned, from its n-th call on. */
function fullAt(method: keyof Store, from = 1): EngineOptions {
  let calls = 0
  return {
    wrapStore: (store) =>
      new Proxy(store, {
        get(target, name) {
          const found: unknown = Reflect.get(target, name)
          if (name !== method) return found
          return (...given: unknown[]): unknown => {
            calls += 1
            if (calls >= from) throw new OffpeakError('store-full', 'the disk is full')
            // Only methods are named.
            return Reflect.apply(found as () => unknown, target, given)
          }
        },
      }),
  }
}

describe('a store that is full', () => {
  test('when requests arrive is told to their callers, and nothing is sent', async () => {
    await using world = await startWorld()
    const engine = world.engine(fullAt('enqueue'))

    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))

    expect(replies.map((reply) => [reply.status, codeOf(reply)])).toEqual(PROMPTS.map(() => [424, 'store_full']))
    expect(world.simulator.ledger().calls).toMatchObject({ upload: 0, create: 0 })
  })

  for (const [when, options] of [
    ['an intent is to be written', fullAt('claim')],
    ['an upload is to be written down', fullAt('advance', 1)],
    ['a create is to be written ahead', fullAt('advance', 2)],
  ] as const) {
    test(`when ${when} stops before the create, and a later run with room answers everything`, async () => {
      await using world = await startWorld()
      const engine = world.engine(options)

      const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))
      const created = world.simulator.ledger().calls.create
      await world.until(engine.manager.close())
      const right = await answersOf(world, world.engine())

      expect(replies.map(codeOf)).toEqual(PROMPTS.map(() => 'store_full'))
      expect(created).toBe(0)
      expect(engine.faults).toHaveLength(1)
      expect(right).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
    })
  }

  for (const [when, options] of [
    ['a batch id is to be written down', fullAt('advance', 3)],
    ['the state of a batch is to be written down', fullAt('advance', 4)],
    ['results are to be written down', fullAt('settle')],
    ['missing rows are to be looked for', fullAt('unsettled')],
  ] as const) {
    test(`when ${when} leaves nobody hanging, and a later run with room finds the same batch`, async () => {
      await using world = await startWorld()
      const engine = world.engine(options)

      const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))
      await world.until(engine.manager.close())
      const right = await answersOf(world, world.engine())

      expect(replies.every(({ status }) => status === 424 || status === 200)).toBe(true)
      expect(right).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(world.simulator.ledger().calls.create).toBe(1)
    })
  }

  test('while only a lease is to be renewed does not end the program', async () => {
    await using world = await startWorld({ batchMs: 300_000 })
    const engine = world.engine(fullAt('renew'))

    // Its lease runs out meanwhile; nobody takes anything over.
    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('when others are to be looked at is told, and does not end the program', async () => {
    await using world = await startWorld()
    const first = world.engine()
    const all = Promise.all(PROMPTS.map((prompt) => first.ask(prompt)))
    await world.untilTrue(() => first.eventsOf('batch-submitted').length > 0)
    const second = world.engine(fullAt('version'))

    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => second.ask(prompt))))

    expect(replies.map(codeOf)).toEqual(PROMPTS.map(() => 'store_full'))
    expect((await world.until(all)).map(({ status }) => status)).toEqual(PROMPTS.map(() => 200))
  })

  test('when a scope is aborted still answers every caller', async () => {
    await using world = await startWorld()
    const engine = world.engine(fullAt('drop'))
    const all = Promise.all(PROMPTS.map((prompt) => engine.ask(prompt)))
    await world.untilTrue(() => engine.eventsOf('request-queued').length > 0)

    await world.until(engine.manager.abort())

    expect((await all).every(({ status }) => status >= 400)).toBe(true)
  })
})

describe('a computer that slept longer than its lease', () => {
  test('carries on what nobody took over', async () => {
    await using world = await startWorld({ batchMs: 60_000 })
    const engine = world.engine()
    const answers = answersOf(world, engine)
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length > 0)

    world.clock.suspend(3_600_000)

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('while its jobs were queued submits them once', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { batchWindowMs: 60_000 } })
    const answers = answersOf(world, engine)
    await world.untilTrue(() => engine.eventsOf('request-queued').length === PROMPTS.length)

    world.clock.suspend(50_000)

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('between upload and create creates nothing under the lease it has lost', async () => {
    await using world = await startWorld()
    let isAsleep = false
    const engine = world.engine({
      onAnswered({ path }) {
        if (path !== '/v1/files' || isAsleep) return
        isAsleep = true
        world.clock.suspend(600_000)
      },
    })

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    // Begun anew, since another might have taken it over.
    expect(world.simulator.ledger().calls).toMatchObject({ upload: 2, create: 1 })
  })

  test('while its create was on the way finds that batch', async () => {
    await using world = await startWorld()
    let isAsleep = false
    const engine = world.engine({
      onAnswered({ method, path }) {
        if (method !== 'POST' || path !== '/v1/batches' || isAsleep) return
        isAsleep = true
        world.clock.suspend(600_000)
      },
    })

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().calls.create).toBe(1)
  })

  test('leaves to another process what that has taken over, and still answers its callers', async () => {
    await using world = await startWorld({ batchMs: 120_000 })
    const first = world.engine()
    const early = Promise.all(PROMPTS.map((prompt) => first.ask(prompt)))
    await world.untilTrue(() => first.eventsOf('batch-submitted').length > 0)
    world.clock.suspend(40_000)
    const second = world.engine()
    const late = Promise.all(PROMPTS.map((prompt) => second.ask(prompt)))
    await world.untilTrue(() => second.eventsOf('batch-recovered').length > 0)

    const replies = await world.until(Promise.all([early, late]))

    expect(replies.flat().map(({ status }) => status)).toEqual([...PROMPTS, ...PROMPTS].map(() => 200))
    expect(executions(world)).toEqual(ONCE_EACH)
  })
})

describe('two programs on one store', () => {
  test('that ask the same at once pay for it once', async () => {
    await using world = await startWorld()
    const [first, second] = [world.engine(), world.engine()]

    const [early, late] = await world.until(
      Promise.all([
        Promise.all(PROMPTS.map((prompt) => first.ask(prompt))),
        Promise.all(PROMPTS.map((prompt) => second.ask(prompt))),
      ]),
    )

    for (const replies of [early, late]) {
      expect(replies.filter((reply, index) => isAnswerTo(PROMPTS[index] ?? '', reply))).toHaveLength(PROMPTS.length)
    }
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('of which the one that queued aborts leave its jobs to the other', async () => {
    await using world = await startWorld()
    const first = world.engine({ settings: { batchWindowMs: 60_000 } })
    const early = Promise.all(PROMPTS.map((prompt) => first.ask(prompt)))
    await world.untilTrue(() => first.eventsOf('request-queued').length === PROMPTS.length)
    const second = world.engine()
    const late = Promise.all(PROMPTS.map((prompt) => second.ask(prompt)))
    await world.untilTrue(() => second.eventsOf('request-joined').length === PROMPTS.length)

    await world.until(first.manager.abort())
    const replies = await world.until(late)

    expect((await early).map(({ status }) => status)).toEqual(PROMPTS.map(() => 499))
    expect(replies.map(({ status }) => status)).toEqual(PROMPTS.map(() => 200))
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('of which one dies are answered by the other, once its lease has run out', async () => {
    await using world = await startWorld()
    const first = world.engine()
    void Promise.all(PROMPTS.map((prompt) => first.ask(prompt)))
    await world.untilTrue(() => first.eventsOf('batch-submitted').length > 0)
    const second = world.engine()
    const late = Promise.all(PROMPTS.map((prompt) => second.ask(prompt)))
    await world.untilTrue(() => second.eventsOf('request-joined').length === PROMPTS.length)

    first.crash()
    const replies = await world.until(late)

    expect(replies.map(({ status }) => status)).toEqual(PROMPTS.map(() => 200))
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(second.eventsOf('batch-recovered').map(({ how }) => how)).toEqual(['resumed'])
  })
})

describe('a caller who leaves', () => {
  test('before its request was submitted takes it out of the batch', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const cancel = { cancelled: false, onCancel: (): void => {} }
    void engine.ask('leaves', { cancel })
    const stays = engine.ask('stays')
    await world.untilTrue(() => engine.eventsOf('request-queued').length === 2)

    cancel.cancelled = true
    cancel.onCancel()

    expect(isAnswerTo('stays', await world.until(stays))).toBe(true)
    expect(executions(world)).toEqual({ batch: 1, repeated: 0 })
  })

  test('after its request was submitted leaves the answer to the next run', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const cancel = { cancelled: false, onCancel: (): void => {} }
    void engine.ask('leaves', { cancel })
    const stays = engine.ask('stays')
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length > 0)

    cancel.cancelled = true
    cancel.onCancel()
    await world.until(stays)
    await world.until(engine.manager.close())
    const again = await world.until(world.engine().ask('leaves'))

    expect(isAnswerTo('leaves', again)).toBe(true)
    expect(again.headers['x-offpeak-cache']).toBe('hit')
    expect(executions(world)).toEqual({ batch: 2, repeated: 0 })
  })
})
