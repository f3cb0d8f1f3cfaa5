import { describe, expect, test } from 'vitest'
import { openai } from '../../src/providers/openai.ts'
import type { Fault } from '../../src/simulator/index.ts'
import { codeOf, isAnswerTo, prompts, startWorld, type Engine, type World } from '../support/engine.ts'

const PROMPTS = prompts(6)
const ONCE_EACH = { batch: PROMPTS.length, repeated: 0 }

async function answersOf(world: World, engine: Engine, all: readonly string[] = PROMPTS): Promise<number> {
  const replies = await world.until(Promise.all(all.map((prompt) => engine.ask(prompt))))
  return replies.filter((reply, index) => isAnswerTo(all[index] ?? '', reply)).length
}

function executions(world: World): { readonly batch: number; readonly repeated: number } {
  const { batch, repeated } = world.simulator.ledger().executions
  return { batch, repeated }
}

const TROUBLES: readonly (readonly [string, Fault])[] = [
  ['500', { kind: 'status', status: 500 }],
  ['429', { kind: 'status', status: 429, retryAfter: 30 }],
  ['401', { kind: 'status', status: 401 }],
  ['404', { kind: 'status', status: 404 }],
  ['a reset', { kind: 'reset', moment: 'before' }],
  ['half a body', { kind: 'cut', ending: 'broken' }],
  ['half a body that pretends to be whole', { kind: 'cut', ending: 'clean' }],
  ['something else than JSON', { kind: 'invalid-json' }],
]

describe('a call that fails', () => {
  for (const [how, fault] of TROUBLES) {
    test(`as a poll (${how}) never fails the batch`, async () => {
      await using world = await startWorld({ faults: [{ ...fault, operation: 'poll', times: 3 }] as Fault[] })
      const engine = world.engine()

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(engine.eventsOf('provider-unreachable').map(({ doing }) => doing)).toEqual(['poll', 'poll', 'poll'])
    })

    test(`as a download of results (${how}) is repeated, and no row is lost or settled twice`, async () => {
      const twice = how.includes('whole') || how.includes('JSON') ? 1 : 2
      await using world = await startWorld({ faults: [{ ...fault, operation: 'results', times: twice }] as Fault[] })
      const engine = world.engine()

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(engine.eventsOf('request-settled')).toHaveLength(PROMPTS.length)
      expect(engine.eventsOf('batch-completed').map(({ succeeded }) => succeeded)).toEqual([PROMPTS.length])
    })
  }

  test('for one of many batches leaves the others their pace', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { batchSize: 1 } })
    const all = Promise.all(PROMPTS.map((prompt) => engine.ask(prompt)))
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length === PROMPTS.length)
    const [first] = engine.eventsOf('batch-submitted')
    world.simulator.fault({ kind: 'status', status: 500, path: `/v1/batches/${first?.id}`, times: 5 })

    const replies = await world.until(all)

    expect(replies.map(({ status }) => status)).toEqual(PROMPTS.map(() => 200))
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(new Set(engine.eventsOf('provider-unreachable').map(({ doing }) => doing))).toEqual(new Set(['poll']))
  })

  test('because the list is not offered leaves many batches to be asked one by one', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', status: 404, operation: 'list' }] })
    const engine = world.engine({ settings: { batchSize: 1 } })
    const many = prompts(12)

    expect(await answersOf(world, engine, many)).toBe(12)
    expect(world.simulator.ledger().calls.poll).toBeGreaterThanOrEqual(12)
  })
})

describe('rows of results', () => {
  test('that are corrupt on the first reading are read again, and nothing is paid for twice', async () => {
    await using world = await startWorld({ faults: [{ kind: 'corrupt-row', rows: [1, 4], times: 1 }] })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(engine.eventsOf('rows-missing').map(({ missing }) => missing)).toEqual([2])
  })

  test('that are missing twice go out again once, flagged as possibly billed', async () => {
    await using world = await startWorld({ faults: [{ kind: 'missing-row', rows: [2], times: 2 }] })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual({ batch: PROMPTS.length + 1, repeated: 1 })
    expect(engine.eventsOf('request-requeued').map(({ possiblyBilled }) => possiblyBilled)).toEqual([true])
  })

  test('that never come are a typed error that says so, after one more try', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const lost = 'lost [[simulate:missing]]'

    const [reply, other] = await world.until(Promise.all([engine.ask(lost), engine.ask('kept')]))

    expect([reply.status, codeOf(reply)]).toEqual([424, 'result_missing'])
    expect(reply.body).toContain('may have been billed')
    expect(isAnswerTo('kept', other)).toBe(true)
    expect(executions(world)).toEqual({ batch: 3, repeated: 1 })
  })

  test('that come twice settle their job once', async () => {
    await using world = await startWorld({ faults: [{ kind: 'duplicate-row', rows: [1, 2, 6] }] })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(engine.eventsOf('request-settled')).toHaveLength(PROMPTS.length)
    expect(engine.eventsOf('batch-completed').map(({ succeeded }) => succeeded)).toEqual([PROMPTS.length])
  })

  test('that nobody asked for are left alone, whatever they pretend to be', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'unknown-row' }, { kind: 'unknown-row', customId: 'abcdefabcdef-1' }],
    })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(engine.eventsOf('request-settled')).toHaveLength(PROMPTS.length)
  })

  test('of another batch answer nobody here, even if they come first and name our jobs', async () => {
    await using world = await startWorld()
    const engine = world.engine({
      adapter: {
        async *results(handle, call) {
          const body = '{"id":"a stranger’s answer"}'
          const stranger = { kind: 'reply', status: 200, requestId: undefined, body, json: JSON.parse(body) } as const
          yield [1, 2, 3].map((job) => Object.assign({ customId: `zzzzzzzzzzzz-${job}` }, stranger))
          yield* openai.results(handle, call)
        },
      },
    })

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
  })

  test('whose files are gone for good count as missing, and nobody hangs', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', status: 404, operation: 'results' }] })
    const engine = world.engine()
    const answers = answersOf(world, engine)
    await world.untilTrue(() => engine.eventsOf('request-requeued').length > 0)
    world.simulator.clearFaults()

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual({ batch: PROMPTS.length * 2, repeated: PROMPTS.length })
    expect(engine.eventsOf('request-requeued').every(({ possiblyBilled }) => possiblyBilled)).toBe(true)
  })

  test('whose files are there only a quarter of an hour later are waited for, not paid for again', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', status: 404, operation: 'results' }] })
    const engine = world.engine()
    const answers = answersOf(world, engine)
    await world.untilTrue(() => engine.eventsOf('provider-unreachable').length > 0)
    const endedAt = world.clock.now()
    await world.untilTrue(() => world.clock.now() - endedAt > 15 * 60_000)
    world.simulator.clearFaults()

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual({ batch: PROMPTS.length, repeated: 0 })
  })

  test('whose files are named only after the batch says it is done are waited for, not paid for again', async () => {
    await using world = await startWorld()
    let lies = 1
    const engine = world.engine({
      adapter: {
        async poll(handles, call) {
          const states = await openai.poll(handles, call)
          return states.map((state) => {
            if (state.phase !== 'ended' || lies === 0) return state
            lies -= 1
            return Object.assign({}, state, { handle: { id: state.handle.id } })
          })
        },
      },
    })

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(lies).toBe(0)
  })

  for (const status of [429, 500, 503]) {
    test(`with ${status} go out again, and are answered late`, async () => {
      await using world = await startWorld({ faults: [{ kind: 'row-status', lines: [2, 3], status, times: 2 }] })
      const engine = world.engine()

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(engine.eventsOf('request-requeued').every(({ possiblyBilled }) => !possiblyBilled)).toBe(true)
    })
  }

  test('with 429 every time are their caller’s after two more tries', async () => {
    await using world = await startWorld()
    const engine = world.engine()

    const [limited, fine] = await world.until(Promise.all([engine.ask('x [[simulate:429]]'), engine.ask('fine')]))

    expect([limited.status, codeOf(limited)]).toEqual([429, 'rate_limit_exceeded'])
    expect(limited.headers['x-should-retry']).toBe('false')
    expect(isAnswerTo('fine', fine)).toBe(true)
    expect(world.simulator.ledger().batches.created).toBe(3)
    expect(executions(world)).toEqual({ batch: 1, repeated: 0 })
  })

  test('that go out again by the thousand cost a few transactions, not one each', async () => {
    await using world = await startWorld()
    let requeues = 0
    const engine = world.engine({
      wrapStore: (store) =>
        new Proxy(store, {
          get(target, name) {
            if (name === 'requeue') requeues += 1
            return Reflect.get(target, name) as unknown
          },
        }),
    })
    const many = prompts(1000, '[[simulate:503]]')

    const replies = await world.until(Promise.all(many.map((prompt) => engine.ask(prompt))))

    expect(replies.every(({ status }) => status === 503)).toBe(true)
    expect(requeues).toBeLessThan(30)
  })

  test('with 400 are their caller’s at once, with the provider’s own body and request id', async () => {
    await using world = await startWorld()
    const engine = world.engine()

    const [wrong, fine] = await world.until(Promise.all([engine.ask('x [[simulate:400]]'), engine.ask('fine')]))

    expect(wrong.status).toBe(400)
    expect(wrong.headers).toMatchObject({ 'x-should-retry': 'false', 'x-request-id': expect.stringMatching(/^req_/) })
    expect(isAnswerTo('fine', fine)).toBe(true)
    expect(world.simulator.ledger().batches.created).toBe(1)
  })
})

describe('a batch that ends early', () => {
  test('expired keeps its answers, and the rest goes out again', async () => {
    await using world = await startWorld({ faults: [{ kind: 'expire', afterRows: 2, times: 1 }] })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().batches).toMatchObject({ created: 2, expired: 1, completed: 1 })
  })

  test('expired again and again is a typed error in the end', async () => {
    await using world = await startWorld({ faults: [{ kind: 'expire', afterRows: 0 }] })
    const engine = world.engine()

    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))

    expect(replies.map((reply) => [reply.status, codeOf(reply)])).toEqual(PROMPTS.map(() => [424, 'batch_expired']))
    expect(world.simulator.ledger().batches).toMatchObject({ created: 3, expired: 3 })
    expect(executions(world)).toEqual({ batch: 0, repeated: 0 })
  })

  test('expired with a row that cannot be read is read again before anything goes out', async () => {
    await using world = await startWorld({
      faults: [
        { kind: 'expire', afterRows: 3, times: 1 },
        { kind: 'corrupt-row', times: 1 },
      ],
    })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('cancelled by somebody keeps its answers and tells the rest', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const all = Promise.all(PROMPTS.map((prompt) => engine.ask(prompt)))
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length > 0)
    world.clock.advance(15_000)
    const [batch] = engine.eventsOf('batch-submitted')
    await fetch(`${world.simulator.url}/v1/batches/${batch?.id}/cancel`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-test' },
    })

    const replies = await world.until(all)

    const right = replies.filter((reply, index) => isAnswerTo(PROMPTS[index] ?? '', reply)).length
    const told = replies.filter((reply) => reply.status === 499 && codeOf(reply) === 'batch_cancelled').length
    expect(right).toBeGreaterThan(0)
    expect(told).toBeGreaterThan(0)
    expect(right + told).toBe(PROMPTS.length)
    expect(executions(world)).toEqual({ batch: right, repeated: 0 })
  })
})

describe('a scope that is aborted with cancelOnAbort', () => {
  test('cancels the batches nobody waits for any more', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { cancelOnAbort: true } })
    const all = Promise.all(PROMPTS.map((prompt) => engine.ask(prompt)))
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length > 0)

    await world.until(engine.manager.abort())

    expect((await all).map(codeOf)).toEqual(PROMPTS.map(() => 'scope_closed'))
    expect(world.simulator.ledger().calls.cancel).toBe(1)
  })

  test('is no reason for the next run to go without: what was cancelled is sent again', async () => {
    await using world = await startWorld()
    const first = world.engine({ settings: { cancelOnAbort: true } })
    const all = Promise.all(PROMPTS.map((prompt) => first.ask(prompt)))
    await world.untilTrue(() => first.eventsOf('batch-submitted').length > 0)
    await world.until(first.manager.abort())
    await all

    const second = world.engine()

    expect(await answersOf(world, second)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  for (const [how, fault] of TROUBLES) {
    test(`and whose cancel fails (${how}) ends all the same`, async () => {
      await using world = await startWorld({ faults: [{ ...fault, operation: 'cancel' }] as Fault[] })
      const engine = world.engine({ settings: { cancelOnAbort: true } })
      const all = Promise.all(PROMPTS.map((prompt) => engine.ask(prompt)))
      await world.untilTrue(() => engine.eventsOf('batch-submitted').length > 0)

      await world.until(engine.manager.abort())

      expect((await all).map(({ status }) => status)).toEqual(PROMPTS.map(() => 499))
      expect(engine.faults).toEqual([])
    })
  }
})
