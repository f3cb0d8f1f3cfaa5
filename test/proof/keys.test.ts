/**
 * Five keys whose requests arrive interleaved in ten thousand ways: no batch holds requests of two, no answer goes from one to another.
 * One seed by default, ten with `OFFPEAK_PROOF=all npx vitest run test/proof/keys`; `OFFPEAK_SEED=7` repeats one.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Reply } from '../../src/core/reply.ts'
import { type Engine, isAnswerTo, startWorld, type World } from '../support/engine.ts'
import { LONGEST_MS, seeds } from '../support/proof-single/effort.ts'
import { type Lots, lotsOf } from '../support/proof-single/lots.ts'

/** As alike as keys can be: beginnings, endings and cases of each other, and one key in two projects. */
const KEYS = [
  { key: 'sk-alike' },
  { key: 'sk-alike1' },
  { key: 'sk-Alike' },
  { key: 'sk-alike', headers: { 'openai-project': 'proj_1' } },
  { key: 'sk-alike', headers: { 'openai-organization': 'proj_1' } },
] as const
type Key = (typeof KEYS)[number]

const RUNS = 10
const WAYS_PER_RUN = 1000

interface Asked {
  readonly key: Key
  readonly prompt: string
  readonly reply: Promise<Reply>
}

interface Told {
  readonly key: Key
  readonly prompt: string
  readonly reply: Reply
}

/** Requests of all five in a random order. Half the prompts are asked by several keys. */
function askInterleaved(engine: Engine, lots: Lots, way: number): readonly Asked[] {
  return lots.shuffle([...KEYS, ...KEYS.slice(0, lots.below(3))]).map((key) => {
    const prompt = lots.chance(0.5) ? `shared ${way}` : `of ${KEYS.indexOf(key)} in ${way}`
    return { key, prompt, reply: engine.ask(prompt, key) }
  })
}

/** A run asks new things, and some of what this or an earlier run has asked. */
async function runOnce(world: World, lots: Lots, run: number): Promise<readonly Told[]> {
  // Sizes and turns that cut the interleaving elsewhere each time.
  const engine = world.engine({ settings: { batchSize: 50 + lots.below(800) } })
  const asked: Asked[] = []
  for (let way = run * WAYS_PER_RUN; way < (run + 1) * WAYS_PER_RUN; way += 1) {
    asked.push(...askInterleaved(engine, lots, lots.chance(0.8) ? way : lots.below(way + 1)))
    if (lots.chance(0.02)) await turn()
  }
  const told = await world.until(
    Promise.all(asked.map(async ({ key, prompt, reply }) => ({ key, prompt, reply: await reply }))),
  )
  await world.until(engine.manager.close())
  expect(engine.faults).toEqual([])
  return told
}

test.each(seeds(1, 10))(
  'five keys interleaved 10,000 ways stay apart (seed %i)',
  async (seed) => {
    await using world = await startWorld()
    const lots = lotsOf(seed)
    const wanted = new Map<string, number>()
    const batches = new Map<string, Set<Key>>()
    const wrong: Told[] = []

    for (let run = 0; run < RUNS; run += 1) {
      const inRun = new Map<string, number>()
      for (const told of await runOnce(world, lots, run)) {
        if (!isAnswerTo(told.prompt, told.reply)) wrong.push(told)
        const name = `${accountOf(told.key)} ${told.prompt}`
        const times = (inRun.get(name) ?? 0) + 1
        inRun.set(name, times)
        // What an earlier run asked as often is answered by its work.
        wanted.set(name, Math.max(wanted.get(name) ?? 0, times))
        const id = told.reply.headers['x-offpeak-batch'] ?? ''
        batches.set(id, (batches.get(id) ?? new Set()).add(told.key))
      }
    }

    const { executions, accounts } = world.simulator.ledger()
    const all = [...wanted.values()].reduce((sum, count) => sum + count, 0)
    console.log(`seed ${seed}: ${RUNS * WAYS_PER_RUN} ways, ${all} requests paid for, ${batches.size} batches`)
    expect(wrong).toEqual([])
    expect(executions).toMatchObject({ live: 0, batch: all, distinct: wanted.size })
    expect(new Set(accounts.map(({ account }) => account))).toEqual(new Set(KEYS.map(accountOf)))
    // Every batch answered one key, and to that key the provider knows it.
    const owners = [...batches].flatMap(([id, keys]) => [...keys].map((key) => [id, key] as const))
    const statuses = await Promise.all(owners.map(([id, key]) => statusOf(world, id, key)))
    expect(owners).toHaveLength(batches.size)
    expect(new Set(statuses)).toEqual(new Set([200]))
  },
  LONGEST_MS,
)

/** As the simulator names it. */
function accountOf(key: Key): string {
  const headers: Readonly<Record<string, string | undefined>> = 'headers' in key ? key.headers : {}
  const parts = ['openai', key.key, headers['openai-organization'] ?? '', headers['openai-project'] ?? '']
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 12)
}

async function statusOf(world: World, batch: string, key: Key): Promise<number> {
  const headers = { authorization: `Bearer ${key.key}`, ...('headers' in key ? key.headers : {}) }
  const response = await fetch(`${world.simulator.baseUrl('openai')}/batches/${batch}`, { headers })
  await response.text()
  return response.status
}
