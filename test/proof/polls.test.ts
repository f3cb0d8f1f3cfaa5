/** Five hundred polls in a row come to nothing, in every way they can: it costs time, and nothing else. */
import { describe, expect, test } from 'vitest'
import type { Fault } from '../../src/simulator/index.ts'
import { isAnswerTo, prompts, startWorld } from '../support/engine.ts'

const ERRORS = 500

const ENVELOPE = JSON.stringify({ error: { message: 'No batch found with that id.', code: 'batch_not_found' } })
const FAILURES: readonly Fault[] = [
  { kind: 'status', status: 500 },
  { kind: 'status', status: 429, retryAfter: 90 },
  { kind: 'status', status: 404, body: ENVELOPE },
  { kind: 'status', status: 401 },
  { kind: 'status', status: 503, body: '<h1>Bad gateway</h1>' },
  { kind: 'reset', moment: 'before' },
  { kind: 'reset', moment: 'after' },
  { kind: 'cut', ending: 'broken' },
  { kind: 'cut', ending: 'clean' },
  { kind: 'invalid-json' },
]

/** One failure after the other, each so often that all together are at least five hundred. */
function inTurn(operation: 'poll' | 'list' | 'results', failures: readonly Fault[] = FAILURES): readonly Fault[] {
  return failures.map((fault): Fault => ({ ...fault, operation, times: Math.ceil(ERRORS / failures.length) }) as Fault) // the same kind as before
}

/** Renewing a lease every ten seconds of a simulated day would only write to the disk. */
const SETTINGS = { leaseMs: 3_600_000 }

describe(`${ERRORS} errors in a row`, () => {
  test('of the polls of a batch fail nothing and submit nothing again', async () => {
    await using world = await startWorld({ faults: inTurn('poll') })
    const engine = world.engine({ settings: SETTINGS })
    const asked = prompts(5)

    const replies = await world.until(Promise.all(asked.map((prompt) => engine.ask(prompt))))

    expect(replies.map((reply, index) => isAnswerTo(asked[index] ?? '', reply))).toEqual(asked.map(() => true))
    const trouble = engine.eventsOf('provider-unreachable')
    expect(trouble).toHaveLength(ERRORS)
    expect(new Set(trouble.map(({ doing }) => doing))).toEqual(new Set(['poll']))
    expect(new Set(trouble.map(({ since }) => since)).size).toBe(1)
    expect(Math.max(...trouble.map(({ retryInMs }) => retryInMs))).toBeLessThanOrEqual(90_000)
    expect(engine.eventsOf('batch-failed')).toEqual([])
    expect(engine.eventsOf('request-requeued')).toEqual([])
    expect(world.simulator.ledger()).toMatchObject({
      executions: { batch: asked.length, repeated: 0 },
      calls: { upload: 1, create: 1, poll: ERRORS + 1 },
    })
  })

  test('of the list that many batches are polled by fail nothing and submit nothing again', async () => {
    // What says that there is no such list is not an error: they are asked one by one.
    const failures = FAILURES.filter((fault) => !(fault.kind === 'status' && fault.status === 404))
    await using world = await startWorld({ faults: inTurn('list', failures) })
    const engine = world.engine({ settings: { ...SETTINGS, batchSize: 1 } })
    const asked = prompts(10)

    const replies = await world.until(Promise.all(asked.map((prompt) => engine.ask(prompt))))

    expect(replies.map((reply, index) => isAnswerTo(asked[index] ?? '', reply))).toEqual(asked.map(() => true))
    expect(engine.eventsOf('batch-failed')).toEqual([])
    expect(world.simulator.ledger()).toMatchObject({
      executions: { batch: asked.length, repeated: 0 },
      calls: { upload: 10, create: 10, poll: 0 },
    })
    expect(world.simulator.ledger().calls.list).toBeGreaterThan(ERRORS)
  })

  test('of the download of results fail nothing and submit nothing again', async () => {
    await using world = await startWorld({
      faults: inTurn('results', [
        { kind: 'status', status: 500 },
        { kind: 'status', status: 429, retryAfter: 90 },
        { kind: 'status', status: 401 },
        { kind: 'reset', moment: 'before' },
        { kind: 'cut', ending: 'broken' },
      ]),
    })
    const engine = world.engine({ settings: SETTINGS })
    const asked = prompts(5)

    const replies = await world.until(Promise.all(asked.map((prompt) => engine.ask(prompt))))

    expect(replies.map((reply, index) => isAnswerTo(asked[index] ?? '', reply))).toEqual(asked.map(() => true))
    expect(engine.eventsOf('provider-unreachable')).toHaveLength(ERRORS)
    expect(engine.eventsOf('request-settled')).toHaveLength(asked.length)
    expect(world.simulator.ledger()).toMatchObject({
      executions: { batch: asked.length, repeated: 0 },
      calls: { upload: 1, create: 1 },
    })
  })
})
