/**
 * Every call the engine makes to its provider fails once: the first, the second, … the last, in every way a call can fail.
 * By default of the further scenes only some calls in each way; with `OFFPEAK_PROOF=all npx vitest run test/proof/every-call` all.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Fault, Ledger } from '../../src/simulator/index.ts'
import { type EngineOptions, isAnswerTo, prompts, startWorld, type World } from '../support/engine.ts'
import { DOES_ALL, LONGEST_MS } from '../support/proof-single/effort.ts'

/** Once the reply is this late, nobody waits for it any more. Instead of two minutes, so that a test can wait that long. */
const REPLY_TIMEOUT_MS = 60
const REAL_REPLY_TIMEOUT_MS = 120_000

const TROUBLES: Readonly<Record<string, Fault>> = {
  '429': { kind: 'status', status: 429, retryAfter: 3 },
  '500 before it has an effect': { kind: 'status', status: 500, moment: 'before' },
  '500 after it had its effect': { kind: 'status', status: 500, moment: 'after' },
  'a reset before it has an effect': { kind: 'reset', moment: 'before' },
  'a reset after it had its effect': { kind: 'reset', moment: 'after' },
  'half a body and a reset': { kind: 'cut', ending: 'broken' },
  'half a body that pretends to be whole': { kind: 'cut', ending: 'clean' },
  'no reply in time': { kind: 'slow', ms: REPLY_TIMEOUT_MS * 2, moment: 'after' },
  'a reply that is not JSON': { kind: 'invalid-json' },
}

interface Scene {
  readonly engine: EngineOptions
  /** Two models make two queues. */
  readonly models: readonly string[]
  readonly prompts: number
  readonly batches: number
  /** What goes wrong anyway. */
  readonly faults: readonly Fault[]
  /** Every so many calls are tried. */
  readonly stride: number
}

const TWO_BATCHES: Scene = {
  engine: {},
  models: ['gpt-4o-mini', 'gpt-4.1-mini'],
  prompts: 6,
  batches: 2,
  faults: [],
  stride: 1,
}

const SCENES: Readonly<Record<string, Scene>> = {
  'two batches': TWO_BATCHES,
  'two batches, while the outcome of a create is unknown': {
    ...TWO_BATCHES,
    faults: [{ kind: 'reset', moment: 'after', operation: 'create', times: 1 }],
    stride: DOES_ALL ? 1 : 3,
  },
  'ten batches that are polled by the list': {
    engine: { settings: { batchSize: 1 } },
    models: ['gpt-4o-mini'],
    prompts: 10,
    batches: 10,
    faults: [],
    stride: DOES_ALL ? 1 : Object.keys(TROUBLES).length,
  },
}

/** Runs the scene with its k-th call going wrong; false when there was no k-th call. */
async function failOnce(world: World, scene: Scene, k: number, trouble: Fault): Promise<boolean> {
  const { simulator } = world
  const before = simulator.ledger()
  simulator.clearFaults()
  for (const fault of [{ ...trouble, after: k - 1, times: 1 }, ...scene.faults]) simulator.fault(fault)
  const engine = world.engine(scene.engine)
  const asked = prompts(scene.prompts, `prompt of run ${k}`)
  const modelOf = (index: number): string => scene.models[index % scene.models.length] ?? ''

  const answers = await world.until(
    Promise.all(
      asked.map(async (prompt, index) =>
        isAnswerTo(prompt, await engine.ask(prompt, { model: modelOf(index) }), modelOf(index)),
      ),
    ),
  )
  await world.until(engine.manager.close())

  const { calls, executions, batches } = simulator.ledger()
  const about = `with call ${k} failing`
  const all = before.executions.batch + scene.prompts
  expect(answers, about).toEqual(asked.map(() => true))
  expect(executions, about).toEqual({ live: 0, batch: all, distinct: all, repeated: 0 })
  expect(batches.created - before.batches.created, about).toBe(scene.batches)
  expect(engine.faults, about).toEqual([])
  return countOf(calls) - countOf(before.calls) >= k
}

function countOf(calls: Ledger['calls']): number {
  return Object.values(calls).reduce((sum, some) => sum + some, 0)
}

describe.each(Object.entries(SCENES))('of %s', (_, scene) => {
  test.each(Object.entries(TROUBLES).map(([how, trouble], nth) => [how, trouble, nth] as const))(
    'each call fails once with %s: nothing is lost or paid twice',
    async (_how, trouble, nth) => {
      const timeout = AbortSignal.timeout.bind(AbortSignal)
      vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) =>
        timeout(ms === REAL_REPLY_TIMEOUT_MS ? REPLY_TIMEOUT_MS : ms),
      )
      await using world = await startWorld()
      let k = 1 + (nth % scene.stride)

      while (await failOnce(world, scene, k, trouble)) k += scene.stride

      // Upload, create, results and release of each batch, and polls.
      expect(k).toBeGreaterThan(4 * scene.batches)
    },
    LONGEST_MS,
  )
})

afterEach(() => {
  vi.restoreAllMocks()
})
