import { describe, expect, test } from 'vitest'
import { backOffMs, nextPollMs } from '../../../src/core/poll-policy.ts'

describe('the next poll', () => {
  const pace = { intervalMs: 10_000, maxIntervalMs: 60_000 }

  test('comes half as late again each time, up to the maximum', () => {
    expect([0, 1, 2, 3, 4, 5, 1000].map((polls) => nextPollMs(polls, pace, 0.5))).toEqual([
      10_000, 15_000, 22_500, 33_750, 50_625, 60_000, 60_000,
    ])
  })

  test('is spread by a tenth either way', () => {
    expect([nextPollMs(0, pace, 0), nextPollMs(0, pace, 0.999_999)]).toEqual([9000, 11_000])
  })

  test('is not before the provider wants it, and not later because of that', () => {
    expect(nextPollMs(0, pace, 0.5, 45_000)).toBe(45_000)
    expect(nextPollMs(0, pace, 0.5, 3000)).toBe(10_000)
  })
})

describe('the pause after failures', () => {
  test('doubles from a second to a minute', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 5000].map((failures) => backOffMs(failures, 0.5))).toEqual([
      1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000,
    ])
  })

  test('is spread by a quarter either way', () => {
    expect([backOffMs(1, 0), backOffMs(1, 0.999_999)]).toEqual([750, 1250])
  })

  test('is never shorter than Retry-After', () => {
    expect(backOffMs(1, 0.5, 90_000)).toBe(90_000)
    expect(backOffMs(9, 0.5, 1000)).toBe(60_000)
  })
})
