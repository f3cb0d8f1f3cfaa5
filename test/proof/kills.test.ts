/**
 * Three processes on one store are killed at random while their provider leaves creates unanswered and shows its batches late. By default
 * 600 requests and 12 kills for one seed; 10,000 requests, 60 kills and ten seeds with `OFFPEAK_PROOF=all npx vitest run
 * test/proof/kills.test.ts`, a thousand seeds with `OFFPEAK_SEEDS=1000` beside it, one of them again with `OFFPEAK_SEED=7`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Children, startChildren } from '../support/proof-processes/children.ts'
import { storm } from '../support/proof-processes/storm.ts'
import { DOES_ALL, seeds } from '../support/proof-single/effort.ts'
import { lotsOf } from '../support/proof-single/lots.ts'

const REQUESTS = DOES_ALL ? 10_000 : 600
const KILLS = DOES_ALL ? 60 : 12
const PATIENCE_MS = DOES_ALL ? 60 * 60_000 : 5 * 60_000

let children: Children
beforeAll(() => void (children = startChildren()))
afterAll(() => children[Symbol.asyncDispose]())

describe('three processes on one store, killed at random', { timeout: PATIENCE_MS }, () => {
  test.each(seeds(1, Number(process.env['OFFPEAK_SEEDS'] ?? 10)))(
    'lose nothing and pay nothing twice (seed %i)',
    async (seed) => {
      const after = await storm({ requests: REQUESTS, kills: KILLS, lots: lotsOf(seed) }, children)

      console.info(`seed ${seed}: ${JSON.stringify(after)}`)
      expect(after).toMatchObject({ lost: 0, twice: 0 })
      expect(after.kills).toBeGreaterThanOrEqual(KILLS)
      expect(after.executed).toBeGreaterThanOrEqual(REQUESTS)
      expect(after.ambiguousCreates).toBeGreaterThanOrEqual(after.creates / 10)
    },
  )
})
