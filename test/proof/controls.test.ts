/** What the other proofs are worth: in the same harness an engine in the wrong order pays twice, and a provider later than its settle time is caught. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Fault } from '../../src/simulator/index.ts'
import { isAnswerTo, prompts, startWorld, type Engine } from '../support/engine.ts'
import { type Children, startChildren } from '../support/proof-processes/children.ts'
import { storm } from '../support/proof-processes/storm.ts'
import { adapterFor, type Tagging } from '../support/proof-processes/taggings.ts'
import { sweep } from '../support/proof-processes/sweep.ts'
import { lotsOf } from '../support/proof-single/lots.ts'

let children: Children
beforeAll(() => void (children = startChildren()))
afterAll(() => children[Symbol.asyncDispose]())

describe('an engine that writes down a create after it', { timeout: 60_000 }, () => {
  test('pays twice when it is killed between the two, and the crash sweep sees it', async () => {
    // The first two batches of the sweep are refused whole, and cost nothing however often they are made.
    const killed = { point: 'call.create', moment: 'after', nth: 3, blow: 'killed', tagging: 'metadata' } as const

    const { isHit, twice } = await sweep(killed, children, true)

    expect(isHit).toBe(true)
    expect(twice).toBeGreaterThan(0)
  })

  test('and sends again what broke off pays twice among random kills, and their proof sees it', async () => {
    const after = await storm({ requests: 300, kills: 2, lots: lotsOf(1), isNaive: true }, children)

    expect(after.twice).toBeGreaterThan(0)
  })
})

describe('a list that is later than the settle time', () => {
  const PROMPTS = prompts(5)
  const SETTLE_MS = 5000

  /** A create that had its effect and no reply, and a list that does not show it in time. */
  async function late(lagMs: number, batchMs: number, tagging: Tagging = 'metadata') {
    const faults: readonly Fault[] = [
      { kind: 'reset', operation: 'create', moment: 'after', times: 1 },
      { kind: 'list-lag', ms: lagMs, times: 1 },
    ]
    await using world = await startWorld({ faults, batchMs })
    const engine: Engine = world.engine({ settings: { settleMs: SETTLE_MS }, adapter: adapterFor(tagging) })
    const replies = await world.until(Promise.all(PROMPTS.map((prompt) => engine.ask(prompt))))
    await world.until(engine.manager.close())
    const { calls, batches, executions } = world.simulator.ledger()
    return {
      right: replies.filter((reply, index) => isAnswerTo(PROMPTS[index] ?? '', reply)).length,
      twins: engine.eventsOf('batch-cancelled').map(({ reason }) => reason),
      cancels: calls.cancel,
      created: batches.created,
      twice: executions.repeated,
    }
  }

  test('makes a twin, which is cancelled and told before any of it has run', async () => {
    expect(await late(4 * SETTLE_MS, 600_000)).toEqual({
      right: PROMPTS.length,
      twins: ['twin'],
      cancels: 1,
      created: 2,
      twice: 0,
    })
  })

  test('makes a twin that is told although some of it has run by then', async () => {
    const { right, twins, created, twice } = await late(12 * SETTLE_MS, 100_000)

    expect({ right, twins, created }).toEqual({ right: PROMPTS.length, twins: ['twin'], created: 2 })
    expect(twice).toBeGreaterThan(0)
  })

  test('makes a twin that is told once its results show whose it is, where batches carry no tag', async () => {
    const { right, twins, created, cancels } = await late(12 * SETTLE_MS, 100_000, 'none')

    expect({ right, twins, created, cancels }).toEqual({
      right: PROMPTS.length,
      twins: ['twin'],
      created: 2,
      cancels: 0,
    })
  })
})
