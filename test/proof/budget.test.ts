/**
 * Programs that share a budget, three at a time over connections of their own, killed anywhere, with a provider that fails in all its
 * ways: what is spent and reserved together is never above the limit, and each answer is charged once. Two schedules by default, a
 * thousand with `OFFPEAK_PROOF=all npx vitest run test/proof/budget`; `OFFPEAK_SEED=7` repeats one.
 */
import Sqlite from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/request.ts'
import type { Reply } from '../../src/core/reply.ts'
import type { Store } from '../../src/core/store.ts'
import type { Fault } from '../../src/simulator/index.ts'
import { type Engine, type EngineOptions, prompts, startWorld, type World } from '../support/engine.ts'
import { LONGEST_MS, seeds } from '../support/proof-single/effort.ts'
import { lotsOf, type Lots } from '../support/proof-single/lots.ts'

const PROMPTS = prompts(18)
const MODELS = ['gpt-4o-mini', 'gpt-4.1-mini'] as const
/** USD per million tokens in a batch. */
const RATES: Readonly<Record<string, { readonly input: number; readonly output: number }>> = {
  'gpt-4o-mini': { input: 0.075, output: 0.3 },
  'gpt-4.1-mini': { input: 0.2, output: 0.8 },
}
/** Binary fractions of nano-dollars. */
const NOISE = 1e-9

const modelOf = (index: number): string => MODELS[index % MODELS.length] ?? ''
/** Between a hundredth of a cent and some tenths. */
const mostTokensOf = (index: number): number => 300 + ((index * 7919) % 9000)

function bodyOf(prompt: string, index: number): JsonObject {
  const messages = [{ role: 'user', content: prompt }]
  return { model: modelOf(index), max_completion_tokens: mostTokensOf(index), messages }
}

/** None refuses a row for good, and none loses an answer without a sign: what may have been billed unseen has a test of its own. */
function someFaults(lots: Lots): readonly Fault[] {
  const operations = ['upload', 'create', 'poll', 'list', 'results', 'delete'] as const
  const calls = Array.from({ length: lots.below(7) }, (): Fault => {
    const timing = { operation: lots.pick(operations), times: 1 + lots.below(2), after: lots.below(3) }
    const moment = lots.pick(['before', 'after'] as const)
    const fault = lots.pick<Fault>([
      { kind: 'status', status: 500 + lots.below(5), moment },
      { kind: 'status', status: 429, retryAfter: 1 + lots.below(90) },
      { kind: 'reset', moment },
      { kind: 'cut', ending: 'broken' },
    ])
    return { ...fault, ...timing }
  })
  const others: readonly Fault[] = [
    { kind: 'list-lag', ms: lots.below(150_000), times: 2 },
    { kind: 'expire', afterRows: lots.below(5), times: 1, after: lots.below(3) },
    { kind: 'token-limit', times: 1 + lots.below(2), after: lots.below(3) },
    { kind: 'row-status', lines: [1, 2 + lots.below(3)], status: 503, times: 1, after: lots.below(3) },
    { kind: 'duplicate-row', rows: [1 + lots.below(3)], times: 2 },
    { kind: 'unknown-row', times: 1 },
  ]
  return [...calls, ...others.filter(() => lots.chance(0.4))]
}

/** Looks at the budget of everybody after every change. */
function watching(limitUsd: number, seen: { most: number; looks: number }): (store: Store) => Store {
  return (store) => {
    const owners: number[] = []
    function look(): void {
      for (const owner of owners) {
        const budget = store.budgetOf(owner)
        if (!budget) throw new Error('a program with a limit has no budget')
        const used = budget.spentUsd + budget.reservedUsd
        seen.looks += 1
        seen.most = Math.max(seen.most, used)
        expect(used).toBeLessThanOrEqual(limitUsd + NOISE)
        expect(budget.reservedUsd).toBeGreaterThanOrEqual(0)
      }
    }
    return Object.assign(Object.create(store) as Store, {
      enter: (...args: Parameters<Store['enter']>) => {
        const owner = store.enter(...args)
        owners.push(owner)
        look()
        return owner
      },
      claim: (...args: Parameters<Store['claim']>) => looked(store.claim(...args), look),
      settle: (...args: Parameters<Store['settle']>) => looked(store.settle(...args), look),
      requeue: (...args: Parameters<Store['requeue']>) => looked(store.requeue(...args), look),
      advance: (...args: Parameters<Store['advance']>) => looked(store.advance(...args), look),
    } satisfies Partial<Store>)
  }
}

function looked<T>(result: T, look: () => void): T {
  look()
  return result
}

function ask(engine: Engine, indexes: readonly number[]): Promise<readonly Reply[]> {
  return Promise.all(
    indexes.map((index) => {
      const prompt = PROMPTS[index] ?? ''
      return engine.ask(prompt, { body: bodyOf(prompt, index), model: modelOf(index) })
    }),
  )
}

/** A program that asks some of the prompts in one or two goes, and is killed at some call or comes to its end. */
async function runProgram(world: World, lots: Lots, options: EngineOptions): Promise<void> {
  let left = lots.chance(0.6) ? 1 + lots.below(14) : Number.POSITIVE_INFINITY
  let isOver = false
  const count = (): void => {
    left -= 1
    if (left > 0 || isOver) return
    isOver = true
    engine.crash()
  }
  const engine: Engine = world.engine({ ...options, ...(lots.chance(0.5) ? { onCall: count } : { onAnswered: count }) })
  const order = lots.shuffle(PROMPTS.map((_, index) => index))
  const cut = lots.below(order.length)
  const over = (): void => void (isOver = true)
  ask(engine, order.slice(0, cut))
    .then(() => ask(engine, order.slice(cut, cut + lots.below(order.length))))
    .then(() => engine.manager.close())
    .then(over, over)
  await world.untilTrue(() => isOver)
  expect(engine.faults).toEqual([])
}

function costOf(replies: readonly Reply[]): number {
  return replies.reduce((sum, { status, body }, index) => {
    const rate = RATES[modelOf(index)]
    if (status !== 200 || !rate) return sum
    const { usage } = JSON.parse(body) as { usage: { prompt_tokens: number; completion_tokens: number } } // the simulator's own
    return sum + (usage.prompt_tokens * rate.input + usage.completion_tokens * rate.output) / 1e6
  }, 0)
}

test.each(seeds(2, 1000))(
  'programs that share a budget never go beyond it, and every answer is charged once (schedule %i)',
  async (seed) => {
    const lots = lotsOf(seed)
    const all = PROMPTS.reduce(
      (sum, _, index) => sum + (mostTokensOf(index) * (RATES[modelOf(index)]?.output ?? 0)) / 1e6,
      0,
    )
    // From so little that hardly anything fits to more than everything can cost.
    const limitUsd = all * (0.02 + 1.2 * (lots.below(1000) / 1000))
    const seen = { most: 0, looks: 0 }
    await using world = await startWorld({ faults: someFaults(lots) })
    const optionsOf = (): EngineOptions => ({
      hasPrices: true,
      settings: { maxCostUsd: limitUsd, batchSize: 2 + lots.below(8) },
      wrapStore: watching(limitUsd, seen),
    })

    for (let rounds = 1 + lots.below(2); rounds > 0; rounds -= 1) {
      await Promise.all([1, 2, 3].map(() => runProgram(world, lots, optionsOf())))
    }
    const last = world.engine(optionsOf())
    const replies = await world.until(
      ask(
        last,
        PROMPTS.map((_, index) => index),
      ),
    )
    await world.until(last.manager.close())

    const database = new Sqlite(world.path, { readonly: true })
    const sums = database
      .prepare<[], Sums>(
        `SELECT (SELECT sum(requests) FROM spending) AS requests, (SELECT sum(cost) FROM spending) AS spending,
           (SELECT sum(cost) FROM answers) AS answers, (SELECT sum(spent) FROM budgets) AS spent,
           (SELECT sum(reserved) FROM budgets) AS reserved`,
      )
      .get()
    database.close()
    const { executions } = world.simulator.ledger()
    expect(last.faults).toEqual([])
    expect(replies.every(({ status }) => status === 200 || status === 402)).toBe(true)
    expect(seen.looks).toBeGreaterThan(10)
    expect(last.store.openIntents()).toEqual([])
    expect(executions.repeated).toBe(0)
    expect(sums?.requests ?? 0).toBe(executions.batch)
    expect(sums?.answers).toBe(sums?.spending)
    expect(sums?.spent).toBe(sums?.spending ?? 0)
    expect(sums?.reserved).toBe(0)
    expect(costOf(replies) * 1e9).toBeCloseTo(sums?.spending ?? 0, -2)
  },
  LONGEST_MS,
)

interface Sums {
  readonly requests: number | null
  readonly spending: number | null
  readonly answers: number | null
  readonly spent: number
  readonly reserved: number
}
