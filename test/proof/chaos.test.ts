/**
 * Results as no provider should give them: ten thousand rows shuffled, doubled, missing, corrupt and nobody's, in downloads that break
 * off at fifty places. One seed by default, twenty with `OFFPEAK_PROOF=all npx vitest run test/proof/chaos`; `OFFPEAK_SEED=7` repeats one.
 */
import { expect, test } from 'vitest'
import { NetworkError } from '../../src/core/errors.ts'
import type { JobId } from '../../src/core/job.ts'
import type { Reply } from '../../src/core/reply.ts'
import { openai } from '../../src/providers/openai.ts'
import { codeOf, isAnswerTo, prompts, startWorld } from '../support/engine.ts'
import { LONGEST_MS, seeds } from '../support/proof-single/effort.ts'
import { lotsOf } from '../support/proof-single/lots.ts'
import {
  type Ending,
  SEPARATORS,
  spoiling,
  type SpoiledRows,
  spoilRows,
} from '../support/proof-single/spoiled-results.ts'

const ROWS = 10_000
const BREAKS = 50
/** Shares of rows that cannot be read, of the large batch and of the small ones in which they go out again. */
const GONE = 0.01
const GONE_AGAIN = 0.2
const BESIDE = 'gpt-4.1-mini'

test.each(seeds(1, 20))(
  'ten thousand rows in chaos end each call exactly once (seed %i)',
  async (seed) => {
    await using world = await startWorld({ batchMs: 600_000 })
    const lots = lotsOf(seed)
    const files: SpoiledRows[] = []
    const breaks = Array.from({ length: BREAKS }, (): Ending => ({ kind: 'broken', share: lots.below(1e6) / 1e6 }))
    const inChaos = spoiling(
      (handle, call) => openai.results(handle, call),
      (lines) => {
        const elsewhere = engine.eventsOf('request-queued').flatMap(({ model, job }) => (model === BESIDE ? [job] : []))
        const file = spoilRows(lines, lots, { goneShare: lines.length === ROWS ? GONE : GONE_AGAIN, elsewhere })
        files.push(file)
        return file.lines
      },
      // The last download but one seems to be whole.
      [...breaks, { kind: 'cut', share: 0.95 }],
    )
    const engine = world.engine({
      settings: { batchSize: ROWS },
      adapter: {
        results(handle, call) {
          const isBeside = engine
            .eventsOf('batch-submitted')
            .some(({ id, model }) => id === handle.id && model === BESIDE)
          if (!isBeside) return inChaos(handle, call)
          // Its jobs are open for as long as rows of another batch pretend to be theirs.
          if (engine.eventsOf('batch-completed').length < 2) throw new NetworkError('later')
          return openai.results(handle, call)
        },
      },
    })
    const asked = prompts(ROWS)
    const askedBeside = prompts(20)

    const [replies, beside] = await world.until(
      Promise.all([
        Promise.all(asked.map((prompt) => engine.ask(prompt))),
        Promise.all(askedBeside.map((prompt) => engine.ask(prompt, { model: BESIDE }))),
      ]),
    )
    await world.until(engine.manager.close())

    const [first, second] = files
    const missing = replies.filter((reply) => reply.status === 424 && codeOf(reply) === 'result_missing')
    const right = replies.filter((reply, index) => isAnswerTo(asked[index] ?? '', reply))
    expect(Object.values(first?.counts ?? {}).every((count) => count > 10)).toBe(true)
    expect(right.length + missing.length).toBe(ROWS)
    expect(new Set(missing.map(jobOf))).toEqual(new Set(second?.gone))
    expect(missing.length).toBeGreaterThan(0)
    expect(beside.map((reply, index) => isAnswerTo(askedBeside[index] ?? '', reply, BESIDE))).toEqual(
      beside.map(() => true),
    )
    expect(right.filter(({ body }) => body.includes(SEPARATORS))).toHaveLength(
      files.reduce((sum, { counts }) => sum + counts.lineSeparators, 0),
    )
    const settled = engine.eventsOf('request-settled').map(({ job }) => job)
    expect(settled).toHaveLength(ROWS + beside.length)
    expect(new Set(settled).size).toBe(settled.length)
    expect(engine.eventsOf('provider-unreachable').filter(({ reason }) => reason !== 'later')).toHaveLength(BREAKS)
    expect(engine.faults).toEqual([])
    // Rows that cannot be read twice are the one thing that is paid for again, once, and said.
    const again = first?.gone.length ?? 0
    const requeued = engine.eventsOf('request-requeued')
    expect(requeued).toHaveLength(again)
    expect(new Set(requeued.map(({ job }) => job))).toEqual(new Set(first?.gone))
    expect(requeued.every(({ possiblyBilled }) => possiblyBilled)).toBe(true)
    expect(world.simulator.ledger().executions).toMatchObject({ batch: ROWS + beside.length + again, repeated: again })
  },
  LONGEST_MS,
)

function jobOf({ headers }: Reply): JobId {
  return Number(headers['x-offpeak-job'])
}
