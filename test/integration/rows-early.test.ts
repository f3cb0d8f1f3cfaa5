import { expect, test } from 'vitest'
import type { Reply } from '../../src/core/reply.ts'
import { isAnswerTo, prompts, startWorld } from '../support/engine.ts'

const MINUTES = 60_000
const model = 'Qwen/Qwen3-30B-A3B'

function wrong(all: readonly string[], replies: readonly Reply[]): readonly Reply[] {
  return replies.filter((reply, index) => !isAnswerTo(all[index] ?? '', reply, model))
}

test('callers are answered as their rows finish, each once, where the provider shows them before the end', async () => {
  await using world = await startWorld({ batchMs: 30 * MINUTES })
  const engine = world.engine({ provider: 'doubleword', settings: { pollIntervalMs: MINUTES } })
  const all = prompts(40)
  const answeredAt: number[] = []

  const replies = await world.until(
    Promise.all(
      all.map(async (prompt) => {
        const reply = await engine.ask(prompt, { model })
        answeredAt.push(world.clock.now())
        return reply
      }),
    ),
  )
  await world.until(engine.manager.close())

  expect(wrong(all, replies)).toEqual([])
  // A poll each minute or so: not one moment at the end.
  expect(new Set(answeredAt).size).toBeGreaterThan(10)
  expect(engine.eventsOf('request-settled')).toHaveLength(40)
  expect(engine.eventsOf('batch-completed')).toMatchObject([{ succeeded: 40, failed: 0 }])
  expect(world.simulator.ledger()).toMatchObject({ batches: { created: 1 }, executions: { batch: 40, repeated: 0 } })
})

test('a row that failed early in a way that may pass is tried again at the end only', async () => {
  await using world = await startWorld({
    batchMs: 30 * MINUTES,
    faults: [{ kind: 'row-status', lines: [1, 2], status: 429, times: 1 }],
  })
  const engine = world.engine({ provider: 'doubleword', settings: { pollIntervalMs: MINUTES } })
  const all = prompts(10)

  const replies = await world.until(Promise.all(all.map((prompt) => engine.ask(prompt, { model }))))

  expect(wrong(all, replies)).toEqual([])
  expect(engine.eventsOf('request-requeued').map(({ reason }) => reason)).toEqual(['http-429', 'http-429'])
  expect(world.simulator.ledger()).toMatchObject({ batches: { created: 2 }, executions: { batch: 10, repeated: 0 } })
})

test('a program that leaves in the middle and comes back reads what has finished meanwhile, and runs nothing twice', async () => {
  await using world = await startWorld({ batchMs: 30 * MINUTES })
  const settings = { pollIntervalMs: MINUTES }
  const all = prompts(40)
  const first = world.engine({ provider: 'doubleword', settings })
  let early = 0
  for (const prompt of all) void first.ask(prompt, { model }).then(() => (early += 1))
  await world.untilTrue(() => early > 5)
  first.crash()
  const second = world.engine({ provider: 'doubleword', settings })

  const replies = await world.until(Promise.all(all.map((prompt) => second.ask(prompt, { model }))))

  expect(wrong(all, replies)).toEqual([])
  expect(second.eventsOf('request-cached').length).toBeGreaterThan(5)
  expect(world.simulator.ledger()).toMatchObject({ batches: { created: 1 }, executions: { batch: 40, repeated: 0 } })
})
