import { describe, expect, test } from 'vitest'
import { codeOf, isAnswerTo, prompts, startWorld, type Engine, type World } from '../support/engine.ts'

const PROMPTS = prompts(5)

/** Asks everything, waits for every answer, and says how many are right. */
async function answersOf(world: World, engine: Engine, all: readonly string[] = PROMPTS): Promise<number> {
  const replies = await world.until(Promise.all(all.map((prompt) => engine.ask(prompt))))
  return replies.filter((reply, index) => isAnswerTo(all[index] ?? '', reply)).length
}

function executions(world: World): { readonly batch: number; readonly repeated: number } {
  const { batch, repeated } = world.simulator.ledger().executions
  return { batch, repeated }
}

const ONCE_EACH = { batch: PROMPTS.length, repeated: 0 }

describe('an upload that fails', () => {
  for (const [how, fault] of [
    ['is answered with 500', { kind: 'status', status: 500 }],
    ['is answered with 503 after it was stored', { kind: 'status', status: 503, moment: 'after' }],
    ['is reset before anything happened', { kind: 'reset', moment: 'before' }],
    ['is reset after it was stored', { kind: 'reset', moment: 'after' }],
    ['is answered with half a reply', { kind: 'cut', ending: 'broken' }],
    ['is answered with something else than JSON', { kind: 'invalid-json' }],
  ] as const) {
    test(`and ${how} is repeated, and nobody notices`, async () => {
      await using world = await startWorld({ faults: [{ ...fault, operation: 'upload', times: 2 }] })
      const engine = world.engine()

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(world.simulator.ledger().calls).toMatchObject({ upload: 3, create: 1 })
    })
  }

  test('because the file is too large goes out again in halves', async () => {
    await using world = await startWorld({ limits: { fileBytes: 700 } })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().batches.created).toBeGreaterThan(1)
  })

  test('because a single request is too large for any file is told to its caller', async () => {
    await using world = await startWorld({ limits: { fileBytes: 700 } })
    const engine = world.engine()
    const large = 'x'.repeat(1000)

    const [small, refused] = await world.until(Promise.all([engine.ask('small'), engine.ask(large)]))

    expect(isAnswerTo('small', small)).toBe(true)
    expect(refused.status).toBe(413)
    expect(refused.headers['x-should-retry']).toBe('false')
  })
})

describe('a create whose outcome is unknown', () => {
  const AFTER = [
    ['500 after the batch was made', { kind: 'status', status: 500, moment: 'after' }],
    ['504 after the batch was made', { kind: 'status', status: 504, moment: 'after' }],
    ['408 after the batch was made', { kind: 'status', status: 408, moment: 'after' }],
    ['a reset after the batch was made', { kind: 'reset', moment: 'after' }],
    ['half a reply', { kind: 'cut', ending: 'broken' }],
    ['half a reply that pretends to be whole', { kind: 'cut', ending: 'clean' }],
    ['200 with something else than JSON', { kind: 'invalid-json' }],
  ] as const
  for (const [how, fault] of AFTER) {
    test(`(${how}) is looked for and adopted by its tag, and run once`, async () => {
      await using world = await startWorld({ faults: [{ ...fault, operation: 'create', times: 1 }] })
      const engine = world.engine()

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(world.simulator.ledger().calls.create).toBe(1)
      expect(engine.eventsOf('batch-recovered').map(({ how: found }) => found)).toEqual(['adopted'])
    })
  }

  test('is found although the list shows it only after a while', async () => {
    await using world = await startWorld({
      faults: [
        { kind: 'reset', moment: 'after', operation: 'create', times: 1 },
        { kind: 'list-lag', ms: 100_000, times: 1 },
      ],
    })
    const engine = world.engine()

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().calls.create).toBe(1)
  })

  test('is made after days from a new upload: the first may be gone by then', async () => {
    await using world = await startWorld({
      faults: [
        { kind: 'reset', moment: 'before', operation: 'create', times: 1 },
        { kind: 'status', status: 503, operation: 'list', retryAfter: 3600 },
      ],
    })
    // Leases that are renewed every third of an hour: each is a step of the clock.
    const engine = world.engine({ settings: { leaseMs: 3_600_000 } })
    const startedAt = world.clock.now()
    const answers = answersOf(world, engine)
    await world.untilTrue(() => world.clock.now() - startedAt >= 40 * 3_600_000)
    world.simulator.clearFaults()

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().calls).toMatchObject({ upload: 2, create: 2 })
  })

  test('is found among more than a page of other batches', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'reset', moment: 'after', operation: 'create', times: 1 }],
    })
    const engine = world.engine({ settings: { batchSize: 1, settleMs: 0 } })
    const many = prompts(120)

    expect(await answersOf(world, engine, many)).toBe(120)
    expect(executions(world)).toEqual({ batch: 120, repeated: 0 })
    expect(world.simulator.ledger().calls.create).toBe(120)
  })

  for (const [how, fault] of [
    ['500 before anything happened', { kind: 'status', status: 500 }],
    ['a reset before anything happened', { kind: 'reset', moment: 'before' }],
  ] as const) {
    test(`(${how}) is repeated once nothing has turned up for the settle time`, async () => {
      await using world = await startWorld({ faults: [{ ...fault, operation: 'create', times: 1 }] })
      const engine = world.engine({ settings: { settleMs: 300 } })

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(world.simulator.ledger().calls).toMatchObject({ upload: 1, create: 2 })
      expect(engine.eventsOf('batch-recovered').map(({ how: found }) => found)).toEqual(['never-created'])
    })
  }

  test('is not repeated before the provider has been looked at for the whole settle time, however long it was down', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { settleMs: 100_000 } })
    world.simulator.fault({ kind: 'reset', moment: 'after', operation: 'create', times: 1 })
    world.simulator.fault({ kind: 'list-lag', ms: 3_650_000, times: 1 })
    world.simulator.fault({ kind: 'down', operation: 'list' })
    const startedAt = world.clock.now()
    const answers = answersOf(world, engine)

    // Down for an hour; its list is late by fifty seconds when it comes back.
    await world.untilTrue(() => world.clock.now() - startedAt >= 3_600_000)
    world.simulator.clearFaults()

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().calls.create).toBe(1)
  })

  test('is repeated at once with onAmbiguous: resubmit, after one look', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'reset', moment: 'before', operation: 'create', times: 1 }],
    })
    const engine = world.engine({ settings: { onAmbiguous: 'resubmit' } })
    const startedAt = world.clock.now()

    const right = await answersOf(world, engine)

    const [submitted] = engine.eventsOf('batch-submitted')
    // Well within the settle time.
    expect(submitted?.at).toBeLessThan(startedAt + 60_000)
    expect(right).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().calls.create).toBe(2)
    // Before the second create, and with each poll after it, lest the first turn up late.
    expect(world.simulator.ledger().calls.list).toBeGreaterThan(1)
  })

  test('is told to its callers with onAmbiguous: fail, and found by the next run', async () => {
    await using world = await startWorld({
      faults: [
        { kind: 'reset', moment: 'after', operation: 'create', times: 1 },
        { kind: 'list-lag', ms: 60_000, times: 1 },
      ],
    })
    const first = world.engine({ settings: { onAmbiguous: 'fail' } })

    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => first.ask(prompt))))
    await world.until(first.manager.close())
    const second = world.engine()
    const right = await answersOf(world, second)

    expect(replies.map(({ status }) => status)).toEqual(PROMPTS.map(() => 424))
    expect(replies.map(codeOf)).toEqual(PROMPTS.map(() => 'ambiguous_create'))
    expect(right).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('that had an effect twice is answered from the batch that is further on, and the other is cancelled at once', async () => {
    await using world = await startWorld({
      faults: [
        { kind: 'reset', moment: 'after', operation: 'create', times: 2 },
        // The list is later than anybody was told to wait; when it is looked at again both are there.
        { kind: 'list-lag', ms: 20_500, times: 1 },
        { kind: 'status', status: 500, operation: 'list', after: 3, times: 1 },
      ],
    })
    const engine = world.engine({ settings: { settleMs: 20_000 } })

    expect(await answersOf(world, engine)).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().batches).toMatchObject({ created: 2, completed: 1, cancelled: 1 })
    expect(engine.eventsOf('batch-cancelled').map(({ reason }) => reason)).toEqual(['twin'])
  })
})

describe('a create that is refused', () => {
  test('with 401 is told to callers now, and the jobs stay stored for a run whose key works', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'status', status: 401, operation: 'create', times: 1 }],
    })
    const first = world.engine()

    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => first.ask(prompt))))
    const later = await world.until(first.ask('asked later'))
    await world.until(first.manager.close())
    const second = world.engine()
    const right = await answersOf(world, second)

    expect(replies.map(({ status }) => status)).toEqual(PROMPTS.map(() => 401))
    expect(replies.map(codeOf)).toEqual(PROMPTS.map(() => 'invalid_api_key'))
    expect(later.status).toBe(401)
    expect(right).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('because of the key does not touch the callers of another key', async () => {
    await using world = await startWorld()
    const engine = world.engine()

    const [refused, answered] = await world.until(
      Promise.all([engine.ask('one', { key: 'sk-invalid-key' }), engine.ask('one', { key: 'sk-good' })]),
    )

    expect(refused.status).toBe(401)
    expect(isAnswerTo('one', answered)).toBe(true)
  })

  test('because the quota is spent is told to callers now, although it is a 429', async () => {
    const body = JSON.stringify({
      error: { message: 'Spent.', type: 'insufficient_quota', code: 'insufficient_quota' },
    })
    await using world = await startWorld({
      faults: [{ kind: 'status', status: 429, operation: 'create', body }],
    })
    const engine = world.engine()

    const reply = await world.until(engine.ask('one'))

    expect([reply.status, codeOf(reply)]).toEqual([429, 'insufficient_quota'])
    expect(world.simulator.ledger().calls.create).toBe(1)
  })

  test('with 429 waits as long as Retry-After says and goes out again', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'status', status: 429, retryAfter: 120, operation: 'create', times: 1 }],
    })
    const engine = world.engine()
    const startedAt = world.clock.now()

    const right = await answersOf(world, engine)

    const [submitted] = engine.eventsOf('batch-submitted')
    expect(submitted?.at).toBeGreaterThanOrEqual(startedAt + 120_000)
    expect(right).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().calls).toMatchObject({ upload: 1, create: 2 })
  })

  test('with 400 is told to every caller of the batch with the provider’s own words', async () => {
    const body = JSON.stringify({
      error: { message: 'No batches for you.', type: 'invalid_request_error', code: 'nope' },
    })
    await using world = await startWorld({
      faults: [{ kind: 'status', status: 400, operation: 'create', times: 1, body }],
    })
    const engine = world.engine()

    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))

    expect(replies.map(({ status, body: told }) => [status, told])).toEqual(PROMPTS.map(() => [400, body]))
    expect(executions(world)).toEqual({ batch: 0, repeated: 0 })
  })

  test('with a page that is no JSON reaches callers in the envelope their SDK reads', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'status', status: 422, operation: 'create', times: 1, body: '<h1>Unprocessable</h1>' }],
    })
    const engine = world.engine()

    const reply = await world.until(engine.ask('one'))

    expect([reply.status, codeOf(reply)]).toEqual([422, 'http_422'])
  })

  for (const status of [301, 307, 308]) {
    test(`with a redirect (${status}) is a refusal: a create is never sent to another place`, async () => {
      await using world = await startWorld({
        faults: [
          {
            kind: 'status',
            status,
            operation: 'create',
            times: 1,
            headers: { location: 'http://127.0.0.1:1/v1/batches' },
          },
        ],
      })
      const engine = world.engine()

      const reply = await world.until(engine.ask('one'))

      expect(reply.status).toBe(400)
      expect(world.simulator.ledger().calls.create).toBe(1)
    })
  }

  for (const [how, fault] of [
    ['413', { kind: 'status', status: 413, operation: 'create', times: 1 }],
    [
      'a code that says so',
      {
        kind: 'status',
        status: 400,
        operation: 'create',
        times: 1,
        body: JSON.stringify({ error: { message: 'Too large.', code: 'file_too_large' } }),
      },
    ],
  ] as const) {
    test(`for its size, with ${how}, goes out again in halves`, async () => {
      await using world = await startWorld({ faults: [fault] })
      const engine = world.engine()

      expect(await answersOf(world, engine)).toBe(PROMPTS.length)
      expect(executions(world)).toEqual(ONCE_EACH)
      expect(world.simulator.ledger().batches.created).toBe(2)
    })
  }
})

describe('a provider that is down', () => {
  test('for an hour is told in events, and everything goes on when it is back', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    world.simulator.fault({ kind: 'down' })
    const startedAt = world.clock.now()
    const answers = answersOf(world, engine)

    await world.untilTrue(() => world.clock.now() - startedAt >= 3_600_000)
    const trouble = engine.eventsOf('provider-unreachable')
    world.simulator.clearFaults()

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(trouble.length).toBeGreaterThan(30)
    expect(trouble.length).toBeLessThan(120)
    expect(new Set(trouble.map(({ since }) => since)).size).toBe(1)
  })

  test('while a batch runs costs no answer', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const answers = answersOf(world, engine)
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length > 0)
    world.simulator.fault({ kind: 'down', status: 503 })
    const downAt = world.clock.now()

    await world.untilTrue(() => world.clock.now() - downAt >= 3_600_000)
    world.simulator.clearFaults()

    expect(await answers).toBe(PROMPTS.length)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(engine.eventsOf('batch-failed')).toEqual([])
  })

  test('for one account keeps no other account waiting', async () => {
    await using world = await startWorld()
    const engine = world.engine({ settings: { batchSize: 1 } })
    // The simulator refuses by address, and one account has an address of its own.
    world.simulator.fault({ kind: 'status', status: 500, operation: 'upload', times: 40 })
    const stuck = prompts(8, 'stuck').map((prompt) => engine.ask(prompt, { key: 'sk-stuck' }))
    await world.untilTrue(() => world.simulator.ledger().calls.upload >= 40)

    const answered = await world.until(engine.ask('free', { key: 'sk-free' }))

    expect(isAnswerTo('free', answered)).toBe(true)
    expect((await world.until(Promise.all(stuck))).map(({ status }) => status)).toEqual(stuck.map(() => 200))
  })
})
