import { describe, expect, test } from 'vitest'
import type { Fault } from '../../src/simulator/index.ts'
import { type Engine, isAnswerTo, prompts, startWorld, type World } from '../support/engine.ts'

const PROMPTS = prompts(24)
const MODELS = ['gpt-4o-mini', 'gpt-4.1-mini', 'gpt-5-mini']
const modelOf = (index: number): string => MODELS[index % MODELS.length] ?? ''

/** The same numbers for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed * 7919 + 17
  return (below) => (state = (state * 48_271) % 2_147_483_647) % below
}

/**
 * Faults of calls, batches and rows. None refuses a row for good, and at most one download is spoiled without a sign of it: rows
 * missing twice may be paid for twice, as they must.
 */
function someFaults(random: (below: number) => number): readonly Fault[] {
  const operations = ['upload', 'create', 'poll', 'list', 'results', 'delete'] as const
  const calls = Array.from({ length: 3 + random(6) }, (): Fault => {
    const timing = {
      operation: operations[random(operations.length)] ?? 'poll',
      times: 1 + random(2),
      after: random(3),
    }
    const moment = random(2) === 0 ? 'before' : 'after'
    const loud = [
      { kind: 'status', status: 500 + random(5), moment },
      { kind: 'status', status: 429, retryAfter: 1 + random(90) },
      { kind: 'reset', moment },
      { kind: 'cut', ending: 'broken' },
    ] as const satisfies readonly Fault[]
    const silent = [{ kind: 'cut', ending: 'clean' }, { kind: 'invalid-json' }] as const satisfies readonly Fault[]
    const kinds = timing.operation === 'results' ? loud : [...loud, ...silent]
    return { ...(kinds[random(kinds.length)] ?? loud[0]), ...timing }
  })
  const others: readonly Fault[] = [
    { kind: 'list-lag', ms: random(150_000), times: 2 },
    { kind: 'expire', afterRows: random(5), times: 1, after: random(3) },
    { kind: 'token-limit', times: 1 + random(2), after: random(3) },
    { kind: 'row-status', lines: [1, 2 + random(3)], status: 503, times: 1, after: random(3) },
    { kind: 'duplicate-row', rows: [1 + random(3)], times: 2 },
    { kind: 'corrupt-row', rows: [1 + random(3)], times: 1 },
    { kind: 'unknown-row', times: 1 },
  ]
  return [...calls, ...others.filter(() => random(2) === 0)]
}

function askAll(engine: Engine): Promise<readonly { readonly prompt: string; readonly isAnswered: boolean }[]> {
  return Promise.all(
    PROMPTS.map(async (prompt, index) => {
      const reply = await engine.ask(prompt, { model: modelOf(index) })
      return { prompt, isAnswered: isAnswerTo(prompt, reply, modelOf(index)) }
    }),
  )
}

/** A run that is killed at some call. */
async function runToDeath(world: World, random: (below: number) => number): Promise<void> {
  let left = 1 + random(14)
  let isOver = false
  const count = (): void => {
    left -= 1
    if (left > 0) return
    isOver = true
    engine.crash()
  }
  const engine: Engine = world.engine({
    settings: { batchSize: 4 + random(8) },
    ...(random(2) === 0 ? { onCall: count } : { onAnswered: count }),
  })
  const over = (): void => void (isOver = true)
  askAll(engine)
    .then(() => engine.manager.close())
    .then(over, over)
  await world.untilTrue(() => isOver)
}

describe('everything at once', () => {
  test.each(Array.from({ length: 16 }, (_, index) => [index + 1]))(
    'faults of every kind and runs killed anywhere leave every answer with its caller, paid for once (%i)',
    async (seed) => {
      const random = seeded(seed)
      await using world = await startWorld({ faults: someFaults(random) })

      for (let runs = 1 + random(3); runs > 0; runs -= 1) await runToDeath(world, random)
      const last = world.engine()
      const answers = await world.until(askAll(last))
      await world.until(last.manager.close())

      const { executions } = world.simulator.ledger()
      expect(last.faults).toEqual([])
      expect(answers.filter(({ isAnswered }) => !isAnswered)).toEqual([])
      expect(executions).toEqual({ live: 0, batch: PROMPTS.length, distinct: PROMPTS.length, repeated: 0 })
    },
  )
})
