import { describe, expect, test } from 'vitest'
import { batchFit, shouldFlush, type FlushLimits } from '../../../src/core/flush-policy.ts'

const limits: FlushLimits = { batchSize: 100, batchWindowMs: 2000, maxJobs: 50_000, maxBytes: 1000 }
const now = 1_000_000

describe('a queue becomes a batch', () => {
  const queue = { jobs: 1, weight: 1, bytes: 10, oldestAt: now }

  test.each([
    ['never while it is empty', { jobs: 0, weight: 0, bytes: 0, oldestAt: 0 }, { flush: false, inMs: Infinity }],
    ['when its window has passed, not before', queue, { flush: false, inMs: 2000 }],
    ['… a millisecond before', { ...queue, oldestAt: now - 1999 }, { flush: false, inMs: 1 }],
    ['… on time', { ...queue, oldestAt: now - 2000 }, { flush: true, reason: 'window' }],
    ['… and long after', { ...queue, oldestAt: 0 }, { flush: true, reason: 'window' }],
    ['at the batch size', { ...queue, jobs: 100, weight: 100 }, { flush: true, reason: 'size' }],
    ['not below it', { ...queue, jobs: 99, weight: 99 }, { flush: false, inMs: 2000 }],
    [
      'at the provider’s limit of jobs, weighed',
      { ...queue, jobs: 30, weight: 50_000 },
      { flush: true, reason: 'size' },
    ],
    ['at the provider’s limit of bytes', { ...queue, bytes: 1000 }, { flush: true, reason: 'bytes' }],
    ['although the clock was set back', { ...queue, oldestAt: now + 500 }, { flush: false, inMs: 2500 }],
  ] as const)('%s', (_, size, verdict) => {
    expect(shouldFlush(size, limits, now)).toEqual(verdict)
  })
})

describe('what fits one batch', () => {
  test.each([
    ['nothing of nothing', [], [], 0],
    ['everything below the limits', [10, 10], [1, 1], 2],
    ['up to the bytes, exactly', [500, 500, 1], [1, 1, 1], 2],
    ['not a byte more', [500, 501], [1, 1], 1],
    ['one that is too large alone', [5000, 1], [1, 1], 1],
    ['one that weighs too much alone', [1, 1], [60_000, 1], 1],
    ['up to the weight, exactly', [1, 1, 1], [49_999, 1, 1], 2],
  ] as const)('is %s', (_, bytes, weights, fit) => {
    expect(batchFit(bytes, weights, limits)).toBe(fit)
  })

  test('is never more than the batch size', () => {
    const ones = Array.from({ length: 500 }, () => 1)

    expect(batchFit(ones, ones, limits)).toBe(100)
  })

  test('cuts any queue into batches that keep every limit and lose no job', () => {
    let seed = 7
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let round = 0; round < 200; round += 1) {
      const bytes = Array.from({ length: random(300) }, () => 1 + random(900))
      const weights = bytes.map(() => 1 + random(400))
      const cut = { ...limits, batchSize: 1 + random(50), maxJobs: 1000 }
      let done = 0
      while (done < bytes.length) {
        const fit = batchFit(bytes.slice(done), weights.slice(done), cut)
        const sum = (list: readonly number[]): number => list.slice(done, done + fit).reduce((a, b) => a + b, 0)
        const isWithin = fit <= cut.batchSize && sum(bytes) <= cut.maxBytes && sum(weights) <= cut.maxJobs
        expect(fit).toBeGreaterThanOrEqual(1)
        expect(isWithin).toBe(true)
        done += fit
      }
      expect(done).toBe(bytes.length)
    }
  })
})
