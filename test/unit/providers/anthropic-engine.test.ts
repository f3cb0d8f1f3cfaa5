import { describe, expect, test } from 'vitest'
import type { Reply } from '../../../src/core/reply.ts'
import { prompts, startWorld, type Engine, type World } from '../../support/engine.ts'

/* Anthropic's batches under the engine: what no other provider's look like from there. */

const PROMPTS = prompts(5)
const ONCE_EACH = { batch: PROMPTS.length, repeated: 0 }

const message = (content: string, model = 'claude-haiku-4-5') => ({
  model,
  max_tokens: 64,
  messages: [{ role: 'user', content }],
})

interface How {
  readonly model?: string
  readonly headers?: Readonly<Record<string, string>>
}

function ask(engine: Engine, prompt: string, { model, headers }: How = {}): Promise<Reply> {
  return engine.ask(prompt, {
    path: '/v1/messages',
    body: message(prompt, model),
    headers: { 'anthropic-version': '2023-06-01', ...headers },
  })
}

async function statusesOf(world: World, engine: Engine, all: readonly string[] = PROMPTS): Promise<readonly number[]> {
  const replies = await world.until(Promise.all(all.map((prompt) => ask(engine, prompt))))
  return replies.map(({ status }) => status)
}

const ANSWERED = PROMPTS.map(() => 200)

function executions(world: World): object {
  const { batch, repeated } = world.simulator.ledger().executions
  return { batch, repeated }
}

describe('a create that nobody answered', () => {
  test.each([
    ['a reset', { kind: 'reset', moment: 'after' }],
    ['half a reply', { kind: 'cut', ending: 'broken' }],
    ['500', { kind: 'status', status: 500, moment: 'after' }],
  ] as const)('but by %s is found again by its results, and not sent twice', async (_, fault) => {
    await using world = await startWorld({ faults: [{ ...fault, operation: 'create', times: 1 }] })
    const engine = world.engine({ provider: 'anthropic' })

    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().batches.created).toBe(1)
    expect(engine.eventsOf('batch-recovered')).toMatchObject([{ how: 'adopted' }])
  })

  test('because it never arrived is sent again', async () => {
    const faults = [{ kind: 'reset', moment: 'before', operation: 'create', times: 1 }] as const
    await using world = await startWorld({ faults })
    const engine = world.engine({ provider: 'anthropic' })

    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(engine.eventsOf('batch-recovered')).toMatchObject([{ how: 'never-created' }])
  })

  test('does not leave while nobody answers: whether it arrived would be unknown', async () => {
    await using world = await startWorld({ faults: [{ kind: 'down', times: 3 }] })
    const engine = world.engine({ provider: 'anthropic' })

    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(engine.eventsOf('provider-unreachable').map(({ doing }) => doing)).toEqual(['upload', 'upload', 'upload'])
    expect(engine.eventsOf('batch-recovered')).toEqual([])
  })

  test('is not mistaken for a stranger’s of the same size', async () => {
    await using world = await startWorld()
    const stranger = world.simulator.baseUrl('anthropic')
    const requests = PROMPTS.map((prompt, index) => ({ custom_id: `stranger-${index}`, params: message(prompt) }))
    const headers = { authorization: 'Bearer sk-test', 'anthropic-version': '2023-06-01' }
    const made = await fetch(`${stranger}/v1/messages/batches`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ requests }),
    })
    world.simulator.fault({ kind: 'reset', moment: 'before', operation: 'create', times: 1 })
    const engine = world.engine({ provider: 'anthropic' })

    expect(made.status).toBe(200)
    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(world.simulator.ledger().batches.created).toBe(2)
    expect(engine.eventsOf('batch-recovered')).toMatchObject([{ how: 'never-created' }])
  })
})

describe('a batch', () => {
  test('is shared by models, and by nobody with other betas or another version', async () => {
    await using world = await startWorld()
    const engine = world.engine({ provider: 'anthropic' })
    const version = { 'anthropic-version': '2026-10-21' }

    const replies = await world.until(
      Promise.all([
        ask(engine, 'one'),
        ask(engine, 'two', { model: 'claude-opus-5-5' }),
        ask(engine, 'three', { headers: { 'anthropic-beta': 'a,b' } }),
        ask(engine, 'four', { headers: { 'anthropic-beta': 'b, a' } }),
        ask(engine, 'five', { headers: version }),
        ask(engine, 'six', { headers: { 'anthropic-workspace-id': 'wrkspc_1' } }),
      ]),
    )

    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200))
    expect(
      engine
        .eventsOf('batch-submitted')
        .map(({ jobs }) => jobs)
        .toSorted((a, b) => a - b),
    ).toEqual([1, 1, 2, 2])
  })

  test('tells no counts before it has ended, and all of them then', async () => {
    await using world = await startWorld()
    const engine = world.engine({ provider: 'anthropic' })

    await statusesOf(world, engine)

    const told = engine.eventsOf('batch-progress').map(({ counts, status }) => [status, counts])
    expect(told.filter(([status]) => status !== 'ended').every(([, counts]) => counts === undefined)).toBe(true)
    expect(told.at(-1)).toEqual(['ended', { total: 5, completed: 5, failed: 0 }])
  })

  test('that is refused for its size goes out again in halves', async () => {
    await using world = await startWorld({ limits: { bytes: 500 } })
    const engine = world.engine({ provider: 'anthropic' })

    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(executions(world)).toEqual(ONCE_EACH)
    expect(world.simulator.ledger().batches.created).toBeGreaterThan(1)
  })

  test('for which there is no room waits until there is', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', status: 429, operation: 'create', times: 2 }] })
    const engine = world.engine({ provider: 'anthropic' })

    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('that expires gives what it has, and the rest goes out again', async () => {
    await using world = await startWorld({ faults: [{ kind: 'expire', afterRows: 2, times: 1 }] })
    const engine = world.engine({ provider: 'anthropic' })

    expect(await statusesOf(world, engine)).toEqual(ANSWERED)
    expect(executions(world)).toEqual(ONCE_EACH)
  })

  test('whose row fails tells its caller in Anthropic’s own words', async () => {
    await using world = await startWorld()
    const engine = world.engine({ provider: 'anthropic' })

    const [answer, failure] = await world.until(Promise.all([ask(engine, 'one'), ask(engine, '[[simulate:400]]')]))

    expect(answer.status).toBe(200)
    expect(failure).toMatchObject({ status: 400, headers: { 'request-id': expect.stringMatching(/./) } })
    expect(JSON.parse(failure.body)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } })
  })
})
