import { expect, test } from 'vitest'
import type { Estimated } from '../../../src/core/dry-run.ts'
import { Tally } from '../../../src/manager/dry-run/tally.ts'

const known = (low: number, likely: number, high: number | undefined) => ({ kind: 'known', low, likely, high }) as const
const unknown = (because: string) => ({ kind: 'unknown', because }) as const

function estimated(change: Partial<Estimated> = {}): Estimated {
  return {
    input: { tokens: 10, uncounted: [] },
    output: { low: 1, likely: 5, high: 20 },
    live: known(2, 4, 8),
    batch: known(1, 2, 4),
    ...change,
  }
}

function sumsOf(...requests: readonly Estimated[]) {
  const tally = new Tally()
  for (const request of requests) tally.add(request)
  return tally.sums()
}

test('sums are those of all requests, end by end', () => {
  expect(sumsOf(estimated(), estimated())).toEqual({
    requests: 2,
    cached: 0,
    joined: 0,
    batches: 0,
    tokens: { input: 20, output: { low: 2, likely: 10, high: 40 } },
    uncountedRequests: 0,
    liveCostUsd: { low: 4, likely: 8, high: 16 },
    batchCostUsd: { low: 2, likely: 4, high: 8 },
    savedUsd: { low: 2, likely: 4, high: 8 },
    unpriced: { live: 0, batch: 0, because: [] },
  })
})

test('one request without an upper end leaves the sum without one', () => {
  const open = estimated({
    output: { low: 1, likely: 5, high: undefined },
    live: known(2, 4, undefined),
    batch: known(1, 2, undefined),
  })

  const sums = sumsOf(estimated(), open, estimated())

  expect(sums.tokens.output).toEqual({ low: 3, likely: 15 })
  expect(sums.liveCostUsd).toEqual({ low: 6, likely: 12 })
  expect(sums.savedUsd).toEqual({ low: 3, likely: 6 })
})

test('what has one price and not the other is in that sum, and in no saving', () => {
  const sums = sumsOf(
    estimated({ batch: unknown('its batch price is secret') }),
    estimated({ live: unknown('no list') }),
  )

  expect(sums).toMatchObject({
    liveCostUsd: { likely: 4 },
    batchCostUsd: { likely: 2 },
    unpriced: { live: 1, batch: 1, because: ['its batch price is secret', 'no list'] },
  })
  expect(sums).not.toHaveProperty('savedUsd')
})

test('requests that hold what cannot be counted are told apart, each reason once', () => {
  const picture = estimated({
    input: { tokens: 3, uncounted: ['a file', 'audio'] },
    live: unknown('nobody can count a file'),
    batch: unknown('nobody can count a file'),
  })

  expect(sumsOf(picture, picture)).toMatchObject({
    tokens: { input: 6 },
    uncountedRequests: 2,
    unpriced: { live: 2, batch: 2, because: ['nobody can count a file'] },
  })
})

test('stored answers and jobs under way are requests that cost nothing', () => {
  const tally = new Tally()
  tally.found('answered')
  tally.found('waiting')

  expect(tally.sums()).toMatchObject({ requests: 2, cached: 1, joined: 1, tokens: { input: 0, output: { high: 0 } } })
  expect(tally.sums()).not.toHaveProperty('batchCostUsd')
})
