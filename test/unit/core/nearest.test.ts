import { describe, expect, test } from 'vitest'
import { nearest } from '../../../src/core/nearest.ts'

const OPTIONS = ['batchSize', 'batchWindowMs', 'pollIntervalMs', 'cache', 'store', 'scope', 'display', 'maxCostUsd']

describe('nearest', () => {
  test.each([
    ['batchsize', 'batchSize'],
    ['batchSzie', 'batchSize'],
    ['batch-size', 'batchSize'],
    ['batchWindow', 'batchWindowMs'],
    ['cahce', 'cache'],
    ['cached', 'cache'],
    ['stor', 'store'],
    ['poll', 'pollIntervalMs'],
    ['maxCost', 'maxCostUsd'],
    ['displays', 'display'],
  ])('%s was meant to be %s', (word, meant) => {
    expect(nearest(word, OPTIONS)).toBe(meant)
  })

  test.each(['', 'x', 'temperature', 'zzzzzz'])('nothing is near %j', (word) => {
    expect(nearest(word, OPTIONS)).toBeUndefined()
  })

  test('an exact name is nearest to itself, even beside a longer one', () => {
    expect(nearest('store', ['stores', 'store'])).toBe('store')
  })

  test('of two equally near candidates the first is named', () => {
    expect(nearest('bat', ['cat', 'hat'])).toBe('cat')
  })

  test('without candidates there is no suggestion', () => {
    expect(nearest('store', [])).toBeUndefined()
  })
})
