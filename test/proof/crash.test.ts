/**
 * A program is killed, frozen (and taken over, and woken up) or fails before and after every transaction of its store and every call to
 * its provider, with providers that take a tag, name our upload, or give us nothing to recognise a batch by. Others carry on what it
 * began: nobody loses an answer, and by the provider's own ledger nothing is executed twice.
 *
 * By default each fail point is met in one of the ways, the next in another. All of them, and also the second time a point is reached:
 * `OFFPEAK_PROOF=all npx vitest run test/proof/crash.test.ts`.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { openai } from '../../src/providers/openai.ts'
import { type Children, startChildren } from '../support/proof-processes/children.ts'
import { MOMENTS } from '../support/proof-processes/fail-points.ts'
import { BLOWS, type Case, isOfNoReturn, pointsOfCode, pointsReached, sweep } from '../support/proof-processes/sweep.ts'
import { TAGGINGS, type Tagging } from '../support/proof-processes/taggings.ts'
import { DOES_ALL } from '../support/proof-single/effort.ts'

/** Cases at once: most of each is waiting for a lease to run out. */
const AT_ONCE = 8
/** Has no divisor in common with the eighteen ways to meet a point. */
const STRIDE = 5
/** Longer than all of them take one after the other. */
const PATIENCE_MS = DOES_ALL ? 60 * 60_000 : 5 * 60_000

let children: Children
const reached = new Map<Tagging, ReadonlySet<string>>()

beforeAll(async () => {
  children = startChildren()
  for (const tagging of TAGGINGS) reached.set(tagging, await pointsReached(tagging))
})
afterAll(() => children[Symbol.asyncDispose]())

/** The points of a row of the fault table: what stands after its colon. */
function pointsInTable(id: string, kind: string): readonly string[] {
  const rows = parse(readFileSync(new URL('../faults.yaml', import.meta.url), 'utf8')) as {
    readonly id: string
    readonly fault: string
  }[] // its own test checks its shape
  const [, points = ''] = rows.find((row) => row.id === id)?.fault.split(': ') ?? []
  return points.split(', ').map((point) => `${kind}.${point}`)
}

const STORE_POINTS = pointsInTable('fail-points-of-the-store', 'store')
const CALL_POINTS = pointsInTable('fail-points-of-calls', 'call')

function casesAt(points: readonly string[]): readonly Case[] {
  const all = points.flatMap((point) =>
    MOMENTS.flatMap((moment) =>
      BLOWS.flatMap((blow) => TAGGINGS.map((tagging) => ({ point, moment, blow, tagging, nth: 1 }))),
    ),
  )
  const possible = all.filter(({ point, tagging }) => reached.get(tagging)?.has(point))
  if (DOES_ALL) return possible.flatMap((one) => [one, { ...one, nth: 2 }])
  // Another combination for each point, in turn.
  return points.flatMap((point, index) => {
    // One that nothing can stop any more takes half a minute: `processes.test.ts` has it.
    const here = possible.filter((one) => one.point === point && !isOfNoReturn(one))
    return here[(index * STRIDE) % here.length] ?? []
  })
}

interface Failure extends Case {
  readonly what: string
}

/** Tries them all, several at once, and says what went wrong. */
async function failuresAt(points: readonly string[]): Promise<readonly Failure[]> {
  const cases = [...casesAt(points)]
  const failures: Failure[] = []
  const times = new Map<string, number>()
  async function work(): Promise<void> {
    for (let one = cases.shift(); one; one = cases.shift()) {
      try {
        const { isHit, lost, twice } = await sweep(one, children)
        times.set(one.blow, (times.get(one.blow) ?? 0) + Number(isHit))
        // Not everything happens a second time.
        if (!isHit && one.nth === 1) failures.push({ ...one, what: 'never reached' })
        if (lost > 0) failures.push({ ...one, what: `lost ${lost}` })
        if (twice > 0) failures.push({ ...one, what: `paid ${twice} twice` })
      } catch (error) {
        failures.push({ ...one, what: error instanceof Error ? error.message : String(error) })
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  console.info(`fail points met: ${[...times].map(([blow, count]) => `${count} ${blow}`).join(', ')}`)
  for (const blow of BLOWS) expect(times.get(blow)).toBeGreaterThan(0)
  return failures
}

describe('a program that is killed, frozen or failing', { timeout: PATIENCE_MS }, () => {
  test('before or after any transaction of its store loses nothing and pays nothing twice', async () => {
    expect(await failuresAt(STORE_POINTS)).toEqual([])
  })

  test('before or after any call to its provider loses nothing and pays nothing twice', async () => {
    expect(await failuresAt(CALL_POINTS)).toEqual([])
  })
})

describe('the fail points of the fault table', () => {
  test('are the transactions of a real store and the calls a real adapter makes', () => {
    expect([...STORE_POINTS, ...CALL_POINTS].toSorted()).toEqual(pointsOfCode(openai))
  })

  test('are all met by a program that nothing happens to', () => {
    const met = new Set([...reached.values()].flatMap((points) => points.values().toArray()))

    expect([...met].toSorted()).toEqual([...STORE_POINTS, ...CALL_POINTS].toSorted())
  })
})
