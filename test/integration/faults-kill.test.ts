import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/core/store.ts'
import { type Engine, isAnswerTo, prompts, startWorld, type World } from '../support/engine.ts'

const PROMPTS = prompts(6)
/** Two models make two batches, so that one is killed in the middle of the other. */
const modelOf = (index: number): string => (index % 2 === 0 ? 'gpt-4o-mini' : 'gpt-4.1-mini')

function askAll(engine: Engine): Promise<readonly boolean[]> {
  return Promise.all(
    PROMPTS.map(async (prompt, index) =>
      isAnswerTo(prompt, await engine.ask(prompt, { model: modelOf(index) }), modelOf(index)),
    ),
  )
}

/** Runs the program again until everybody has an answer, and says what it cost. */
async function runAgain(world: World): Promise<void> {
  const second = world.engine()
  const answers = await world.until(askAll(second))
  await world.until(second.manager.close())

  expect(answers).toEqual(PROMPTS.map(() => true))
  expect(second.faults).toEqual([])
  const { executions } = world.simulator.ledger()
  expect(executions).toEqual({ live: 0, batch: PROMPTS.length, distinct: PROMPTS.length, repeated: 0 })
}

/** Carries a first run to its end or to its death, whichever comes first. */
async function runUntilDeath(world: World, engine: Engine, isDead: () => boolean): Promise<void> {
  let isOver = false
  const over = (): void => void (isOver = true)
  askAll(engine)
    .then(() => engine.manager.close())
    .then(over, over)
  await world.untilTrue(() => isOver || isDead())
}

type Moment = 'before' | 'after'

async function killAtCall(nth: number, moment: Moment): Promise<boolean> {
  await using world = await startWorld()
  let calls = 0
  let isDead = false
  const die = (): void => {
    isDead = true
    engine.crash()
  }
  const count = (): void => {
    calls += 1
    if (calls === nth) die()
  }
  const engine: Engine = world.engine(moment === 'before' ? { onCall: count } : { onAnswered: count })
  await runUntilDeath(world, engine, () => isDead)
  await runAgain(world)
  return isDead
}

class Killed extends Error {}

/** A store whose n-th writing call is the last: done (`after`) or not (`before`). */
function mortal(store: Store, nth: number, moment: Moment, die: () => void): Store {
  const WRITES = new Set([
    'enter',
    'renew',
    'leave',
    'enqueue',
    'drop',
    'reclaim',
    'claim',
    'advance',
    'takeOver',
    'settle',
    'requeue',
  ])
  let writes = 0
  let isDead = false
  return new Proxy(store, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name)
      if (typeof found !== 'function') return found
      return (...given: unknown[]): unknown => {
        if (isDead) throw new Killed()
        const isLast = WRITES.has(String(name)) && (writes += 1) === nth
        isDead ||= isLast
        if (isLast && moment === 'before') {
          die()
          throw new Killed()
        }
        const result: unknown = Reflect.apply(found, target, given)
        if (!isLast) return result
        die()
        throw new Killed()
      }
    },
  })
}

async function killAtWrite(nth: number, moment: Moment): Promise<boolean> {
  await using world = await startWorld()
  let isDead = false
  let engine: Engine | undefined
  const die = (): void => {
    isDead = true
    engine?.crash()
  }
  // The first write, entering, is part of the construction: one that dies there never comes to anything.
  engine = world.engine({ wrapStore: (store) => mortal(store, nth + 1, moment, die) })
  await runUntilDeath(world, engine, () => isDead)
  await runAgain(world)
  return isDead
}

describe('a process killed at any moment', () => {
  for (const moment of ['before', 'after'] as const) {
    test(`${moment} any of its HTTP calls is carried on by the next run, and nothing is paid twice`, async () => {
      let kills = 0

      for (let nth = 1; await killAtCall(nth, moment); nth += 1) kills = nth

      // Upload, create, polls, results, release, for two batches.
      expect(kills).toBeGreaterThanOrEqual(12)
    })

    test(`${moment} any write to its store is carried on by the next run, and nothing is paid twice`, async () => {
      let kills = 0

      for (let nth = 1; await killAtWrite(nth, moment); nth += 1) kills = nth

      // Enqueue, claim, uploaded, creating, created, statuses, settle, ended.
      expect(kills).toBeGreaterThanOrEqual(15)
    })
  }
})
