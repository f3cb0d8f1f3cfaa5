import { describe, expect, test } from 'vitest'
import type { Reply } from '../../../src/core/reply.ts'
import type { JsonObject } from '../../../src/core/request.ts'
import { startWorld, prompts, type Engine, type World } from '../../support/engine.ts'

/* What the relatives of OpenAI's batches look like from the engine. */

const PROMPTS = prompts(5)

interface Relative {
  readonly name: 'groq' | 'together' | 'doubleword' | 'xai'
  readonly path: string
  readonly model: string
  /** How many batches it takes to find the one bad row of five. */
  readonly batchesForOneBadRow: number
}

const RELATIVES: readonly Relative[] = [
  // The bad row is named in the completed batch of the others.
  { name: 'groq', path: '/openai/v1/chat/completions', model: 'llama-3.1-8b-instant', batchesForOneBadRow: 1 },
  // The batch fails and names the row, which goes out again alone, and the others together.
  {
    name: 'together',
    path: '/chat/completions',
    model: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
    batchesForOneBadRow: 3,
  },
  // The upload is refused: only the others become a batch.
  { name: 'doubleword', path: '/chat/completions', model: 'Qwen/Qwen3.5-9B', batchesForOneBadRow: 1 },
  { name: 'xai', path: '/chat/completions', model: 'grok-4.3', batchesForOneBadRow: 3 },
]

function ask(engine: Engine, { path, model }: Relative, content: string, change: JsonObject = {}): Promise<Reply> {
  return engine.ask(content, { path, body: { model, messages: [{ role: 'user', content }], ...change } })
}

function askAll(world: World, engine: Engine, relative: Relative): Promise<readonly Reply[]> {
  return world.until(Promise.all(PROMPTS.map((prompt) => ask(engine, relative, prompt))))
}

const statusesOf = (replies: readonly Reply[]): readonly number[] => replies.map(({ status }) => status)
const ANSWERED = PROMPTS.map(() => 200)

describe.each(RELATIVES.map((relative) => [relative.name, relative] as const))('batches of %s', (_, relative) => {
  test('are found again after a create that nobody answered, and not sent twice', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'reset', moment: 'after', operation: 'create', times: 1 }],
    })
    const engine = world.engine({ provider: relative.name })

    const replies = await askAll(world, engine, relative)

    expect(statusesOf(replies)).toEqual(ANSWERED)
    expect(world.simulator.ledger().executions).toMatchObject({ batch: PROMPTS.length, repeated: 0 })
    expect(engine.eventsOf('batch-recovered')).toMatchObject([{ how: 'adopted' }])
    expect(engine.faults).toEqual([])
  })

  test('are sent again after a create that never arrived', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'reset', moment: 'before', operation: 'create', times: 1 }],
    })
    const engine = world.engine({ provider: relative.name })

    const replies = await askAll(world, engine, relative)

    expect(statusesOf(replies)).toEqual(ANSWERED)
    expect(engine.eventsOf('batch-recovered')).toMatchObject([{ how: 'never-created' }])
    expect(world.simulator.ledger().executions).toMatchObject({ batch: PROMPTS.length, repeated: 0 })
  })

  test('answer everybody but the caller of a row that cannot be run', async () => {
    await using world = await startWorld()
    const engine = world.engine({ provider: relative.name })
    const asked = PROMPTS.with(2, '[[simulate:400]]')

    const replies = await world.until(Promise.all(asked.map((prompt) => ask(engine, relative, prompt))))

    expect(statusesOf(replies)).toEqual([200, 200, 400, 200, 200])
    expect(world.simulator.ledger().executions).toMatchObject({ batch: 4, repeated: 0 })
  })

  test('refuse a row that no validation lets through, and no other', async () => {
    await using world = await startWorld()
    const engine = world.engine({ provider: relative.name })

    const replies = await world.until(
      Promise.all(PROMPTS.map((prompt, index) => ask(engine, relative, prompt, index === 2 ? { stream: true } : {}))),
    )

    expect(statusesOf(replies)).toEqual([200, 200, 400, 200, 200])
    expect(world.simulator.ledger().executions).toMatchObject({ batch: 4, repeated: 0 })
    expect(world.simulator.ledger().batches.created).toBe(relative.batchesForOneBadRow)
  })

  test('leave nothing uploaded behind', async () => {
    await using world = await startWorld()
    const engine = world.engine({ provider: relative.name })

    await askAll(world, engine, relative)
    await world.untilTrue(() => world.simulator.ledger().calls.delete === world.simulator.ledger().calls.upload)

    expect(world.simulator.ledger().calls.delete).toBe(1)
  })
})

test('a model that Doubleword does not have is refused to those who ask for it, whoever shares their batch', async () => {
  await using world = await startWorld()
  const engine = world.engine({ provider: 'doubleword' })
  const asked = prompts(24)
  const models = ['Qwen/Qwen3.5-9B', 'nosuch']

  const replies = await world.until(
    Promise.all(
      asked.map((content, index) =>
        engine.ask(content, {
          path: '/chat/completions',
          body: { model: models[index % 2] ?? '', messages: [{ role: 'user', content }] },
        }),
      ),
    ),
  )

  expect(statusesOf(replies)).toEqual(asked.map((_, index) => (index % 2 === 0 ? 200 : 403)))
  // All of them, then each model by itself.
  expect(world.simulator.ledger().calls.upload).toBe(3)
  expect(world.simulator.ledger().batches.created).toBe(1)
})

describe.each(
  RELATIVES.filter(({ name }) => name === 'doubleword' || name === 'xai').map((it) => [it.name, it] as const),
)('while a batch of %s runs', (_, relative) => {
  test('callers whose rows have finished are answered', async () => {
    await using world = await startWorld({ batchMs: 300_000 })
    const engine = world.engine({ provider: relative.name })
    const answered: number[] = []
    const asked = PROMPTS.map(async (prompt, index) => {
      const reply = await ask(engine, relative, prompt)
      answered.push(index)
      return reply
    })
    const all = Promise.all(asked)

    await world.untilTrue(() => answered.length > 0)
    const early = answered.length
    const ended = engine.eventsOf('batch-completed').length
    const replies = await world.until(all)

    expect(early).toBeLessThan(PROMPTS.length)
    expect(ended).toBe(0)
    expect(statusesOf(replies)).toEqual(ANSWERED)
    expect(world.simulator.ledger().executions).toMatchObject({ batch: PROMPTS.length, repeated: 0 })
  })
})
