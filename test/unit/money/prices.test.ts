import { calcPrice } from '@pydantic/genai-prices'
import { describe, expect, test } from 'vitest'
import type { Usage } from '../../../src/core/reply.ts'
import { listPrice } from '../../../src/money/prices.ts'

const TODAY = Date.UTC(2026, 10, 20)

function byTheList(model: string, usage: Usage): number | undefined {
  const tokens = {
    input_tokens: usage.input,
    cache_read_tokens: usage.cachedInput ?? 0,
    output_tokens: usage.output,
  }
  return calcPrice(tokens, model, { providerId: 'openai', timestamp: new Date(TODAY) })?.total_price
}

describe('the list price', () => {
  test('is per million tokens, with cached input at its own price', () => {
    const price = listPrice('openai', 'gpt-4o-mini', TODAY)

    expect(price?.({ input: 1_000_000, output: 0 })).toBeCloseTo(0.15, 10)
    expect(price?.({ input: 0, output: 1_000_000 })).toBeCloseTo(0.6, 10)
    expect(price?.({ input: 1_000_000, output: 0, cachedInput: 1_000_000 })).toBeCloseTo(0.075, 10)
  })

  test.each([
    'gpt-4o-mini-2024-07-18',
    'gpt-5-mini',
    'gpt-4.1',
    'o3',
    'gpt-5-pro',
    'gpt-3.5-turbo-instruct',
    'gpt-5.4',
  ])('%s costs to the last digit what the list says', (model) => {
    const price = listPrice('openai', model, TODAY)

    for (const usage of [
      { input: 1, output: 1 },
      { input: 12_345, output: 678, cachedInput: 2000 },
      { input: 271_998, output: 10, cachedInput: 271_998 },
      { input: 271_999, output: 10_000 },
      { input: 272_000, output: 10_000, cachedInput: 1 },
      { input: 900_000, output: 10_000, cachedInput: 300_000 },
    ]) {
      expect(price?.(usage)).toBeCloseTo(byTheList(model, usage) ?? Number.NaN, 10)
    }
  })

  test('of a dated model is that of the model', () => {
    const usage = { input: 1000, output: 100 }

    expect(listPrice('openai', 'gpt-5-mini-2025-08-07', TODAY)?.(usage)).toBe(
      listPrice('openai', 'gpt-5-mini', TODAY)?.(usage),
    )
  })

  test('of an embedding is that of its input', () => {
    expect(listPrice('openai', 'text-embedding-3-small', TODAY)?.({ input: 1_000_000, output: 0 })).toBeCloseTo(
      0.02,
      10,
    )
  })

  test('of tokens the list has no price for is unknown', () => {
    expect(listPrice('openai', 'text-embedding-3-small', TODAY)?.({ input: 10, output: 10 })).toBeUndefined()
  })

  test.each(['nonsense', 'my-deployment', '', 'dall-e-3'])('of %j is unknown', (model) => {
    expect(listPrice('openai', model, TODAY)).toBeUndefined()
  })

  test('of a model that is listed without a price is unknown, not zero', () => {
    expect(listPrice('openai', 'omni-moderation-latest', TODAY)).toBeUndefined()
  })

  test('of a provider nobody lists is unknown', () => {
    expect(listPrice('nobody', 'gpt-5', TODAY)).toBeUndefined()
  })

  test('more cached tokens than tokens cost no less than all of them cached', () => {
    const price = listPrice('openai', 'gpt-4o-mini', TODAY)

    expect(price?.({ input: 1000, output: 0, cachedInput: 5000 })).toBe(
      price?.({ input: 1000, output: 0, cachedInput: 1000 }),
    )
  })

  test('that depends on the day is that of the day', () => {
    const usage = { input: 1_000_000, output: 0 }
    const before = listPrice('openai', 'o3', Date.UTC(2025, 4, 1))?.(usage)

    expect(before).toBeGreaterThan(listPrice('openai', 'o3', TODAY)?.(usage) ?? Number.NaN)
  })

  test('writing into the cache has a price of its own, and for an hour another', () => {
    const price = listPrice('anthropic', 'claude-haiku-4-5', TODAY)

    expect(price?.({ input: 1_000_000, output: 0, cacheWrite: 1_000_000 })).toBeCloseTo(1.25, 10)
    expect(price?.({ input: 1_000_000, output: 0, cacheWrite: 1_000_000, cacheWriteHour: 1_000_000 })).toBeCloseTo(
      2,
      10,
    )
  })

  test('writing into the cache costs what reading costs where the list does not tell them apart', () => {
    const price = listPrice('openai', 'gpt-4o-mini', TODAY)

    expect(price?.({ input: 1000, output: 0, cacheWrite: 1000 })).toBe(price?.({ input: 1000, output: 0 }))
  })

  test('of a request itself is added once', () => {
    const usage = { input: 1000, output: 1000 }
    const price = listPrice('perplexity', 'sonar', TODAY)?.(usage)
    const listed = calcPrice({ input_tokens: 1000, output_tokens: 1000, requests: 1 }, 'sonar', {
      providerId: 'perplexity',
      timestamp: new Date(TODAY),
    })

    expect(price).toBeCloseTo(listed?.total_price ?? Number.NaN, 10)
    expect(listed?.model_price['requests_kcount']).toBeDefined()
  })

  test('that depends on the time of day is that of the time, and is never zero', () => {
    const price = listPrice('deepseek', 'deepseek-chat', TODAY)

    expect(price?.({ input: 1_000_000, output: 1000 })).toBeGreaterThan(0)
  })

  test('needs no network', async () => {
    const { fetch } = globalThis
    globalThis.fetch = () => Promise.reject(new Error('the price list must not be fetched'))
    try {
      const price = listPrice('openai', 'gpt-5', TODAY)
      await new Promise(setImmediate)

      expect(price?.({ input: 1000, output: 0 })).toBeGreaterThan(0)
    } finally {
      globalThis.fetch = fetch
    }
  })
})
