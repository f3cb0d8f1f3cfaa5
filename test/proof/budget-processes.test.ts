/**
 * Three processes share a budget on one store and are killed at random while their provider breaks off creates: whoever looks, and whenever,
 * what is spent and reserved together is within the limit, and in the end every answer was charged once. 6 kills by default, ten times 20 with
 * `OFFPEAK_PROOF=all npx vitest run test/proof/budget-processes.test.ts`; `OFFPEAK_SEED=7` draws other moments.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { BatchifyOptions } from '../../src/index.ts'
import { type Program, runProgram } from '../support/programs.ts'
import { DOES_ALL, LONGEST_MS, seeds } from '../support/proof-single/effort.ts'
import { lotsOf } from '../support/proof-single/lots.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

const KILLS = DOES_ALL ? 20 : 6
const PROCESSES = 3
/** Room for about half of what all of them could cost at the most: 2000 tokens of output each, at $0.30 a million. */
const LIMIT_USD = 0.02
const PROMPTS = Array.from({ length: 60 }, (_, index) => `question ${index}`)

interface Look {
  readonly used: number
  readonly reserved: number
}

test.each(seeds(1, 10))(
  'processes that share a budget stay within it although they are killed, and every answer is charged once (seed %i)',
  async (seed) => {
    const lots = lotsOf(seed)
    await using simulator = await startTestSimulator({ batchMs: 300, time: 'real', autoAdvance: false })
    using folder = tempFolder()
    const path = join(folder.path, 'store.db')
    simulator.fault({ kind: 'reset', operation: 'create', moment: 'after', every: 5 })
    simulator.fault({ kind: 'reset', operation: 'create', moment: 'before', every: 7 })
    const options: BatchifyOptions = {
      store: path,
      maxCostUsd: LIMIT_USD,
      batchSize: 5,
      batchWindowMs: 10,
      pollIntervalMs: 30,
      maxPollIntervalMs: 60,
      leaseMs: 500,
      settleMs: 200,
    }
    const start = (prompts: readonly string[]): Program =>
      runProgram('spend', {
        PROVIDER: simulator.baseUrl('openai'),
        PROMPTS: prompts.join(','),
        OPTIONS: JSON.stringify(options),
      })
    const looks: Look[] = []
    const stopped = new AbortController()
    const watching = watch(path, looks, stopped.signal)

    let kills = 0
    const ends = await Promise.all(
      Array.from({ length: PROCESSES }, async (_, index) => {
        // Each asks a part of its own, and some of what the next one asks.
        const prompts = PROMPTS.slice(index * 20, index * 20 + 25)
        for (;;) {
          const program = start(prompts)
          const isOver = await Promise.race([program.ended, delay(250 + lots.below(900), undefined, { ref: false })])
          if (isOver || kills >= KILLS) return await program.ended
          kills += 1
          program.child.kill('SIGKILL')
          await program.ended
        }
      }),
    )
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
    const last = start(PROMPTS)
    expect(await last.ended).toMatchObject({ code: 0, stderr: '' })
    stopped.abort()
    await watching

    const { spent, reserved, requests, spending } = sumsOf(path)
    const { executions } = simulator.ledger()
    console.info(
      `seed ${seed}: ${kills} kills, ${looks.length} looks, most ${Math.max(...looks.map(({ used }) => used)) / 1e9} of $${LIMIT_USD}, ${executions.batch} answers`,
    )
    expect(looks.length).toBeGreaterThan(20)
    expect(looks.filter(({ used }) => used > LIMIT_USD * 1e9)).toEqual([])
    expect(Math.max(...looks.map(({ reserved: held }) => held))).toBeGreaterThan(0)
    expect(last.lines.at(-1)).toMatch(/^(limited|whole)$/)
    expect({ reserved, spent }).toEqual({ reserved: 0, spent: spending })
    expect({ requests, repeated: executions.repeated }).toEqual({ requests: executions.batch, repeated: 0 })
  },
  LONGEST_MS,
)

/** Looks at the budget under way again and again, as somebody else would. */
async function watch(path: string, looks: Look[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(5)
    if (!existsSync(path)) continue
    const look = lookAt(path)
    if (look) looks.push(look)
  }
}

function lookAt(path: string): Look | undefined {
  const database = new Sqlite(path, { readonly: true })
  try {
    return database
      .prepare<[], Look>('SELECT spent + reserved AS used, reserved FROM budgets ORDER BY id DESC LIMIT 1')
      .get()
  } catch {
    // Its tables are being made.
    return undefined
  } finally {
    database.close()
  }
}

interface Sums {
  readonly spent: number
  readonly reserved: number
  readonly requests: number
  readonly spending: number
}

function sumsOf(path: string): Sums {
  const database = new Sqlite(path, { readonly: true })
  try {
    const sums = database
      .prepare<[], Sums>(
        `SELECT (SELECT sum(spent) FROM budgets) AS spent, (SELECT sum(reserved) FROM budgets) AS reserved,
           (SELECT sum(requests) FROM spending) AS requests, (SELECT sum(cost) FROM spending) AS spending`,
      )
      .get()
    if (!sums) throw new Error('the store has no sums')
    return sums
  } finally {
    database.close()
  }
}
