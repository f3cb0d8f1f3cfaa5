import { describe, expect, test } from 'vitest'
import type { BatchRate, BatchRateRow } from '../../../src/money/batch-rates.ts'
import { type Pricing, pricing } from '../../../src/money/pricing.ts'
import type { Usage } from '../../../src/core/reply.ts'

const TODAY = Date.UTC(2026, 10, 20)
const MILLION = 1_000_000

function at(provider: string, model: string, endpoint = '/v1/chat/completions'): Pricing {
  return pricing({ provider, model, endpoint, at: TODAY })
}

/** [batch, live] in USD. */
function costs({ batch, live }: Pricing, usage: Usage | undefined): readonly (number | undefined | string)[] {
  return [batch, live].map((price) => (price.kind === 'known' ? price.of(usage) : price.because))
}

function withRate(rate: BatchRate): Pricing {
  const row: BatchRateRow = {
    provider: 'openai',
    priceList: 'openai',
    validFrom: '2025-01-01',
    rate,
    source: 'https://example.com',
    certainty: 'stated',
    checked: '2026-01-01',
  }
  return pricing({ provider: 'openai', endpoint: '/v1/responses', model: 'gpt-4o-mini', at: TODAY }, [row])
}

describe('what an answer costs in a batch and live', () => {
  test.each([
    ['openai', 'gpt-5-mini', 0.125, 0.25],
    ['anthropic', 'claude-haiku-4-5', 0.5, 1],
    ['gemini', 'gemini-2.5-flash', 0.15, 0.3],
    ['groq', 'openai/gpt-oss-120b', 0.075, 0.15],
    ['mistral', 'mistral-large-2512', 0.25, 0.5],
    ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', 0.44, 0.88],
    ['xai', 'grok-4-0709', 2.4, 3],
  ])('at %s: a million tokens read by %s', (provider, model, batch, live) => {
    const [batchUsd, liveUsd] = costs(at(provider, model), { input: 100_000, output: 0 })

    expect(batchUsd).toBeCloseTo(batch / 10, 10)
    expect(liveUsd).toBeCloseTo(live / 10, 10)
  })

  test("Anthropic's halves stack with its prompt cache, writes for an hour included", () => {
    const price = at('anthropic', 'claude-haiku-4-5', '/v1/messages')
    const usage = { input: 4000, output: 1000, cachedInput: 1000, cacheWrite: 2000, cacheWriteHour: 500 }
    const live = 1000 * 1 + 1000 * 0.1 + 1500 * 1.25 + 500 * 2 + 1000 * 5

    expect(costs(price, usage)[1]).toBeCloseTo(live / MILLION, 12)
    expect(costs(price, usage)[0]).toBeCloseTo(live / 2 / MILLION, 12)
  })

  test('Gemini bills cached tokens at their usual price and halves the rest', () => {
    const [batch, live] = costs(at('gemini', 'gemini-2.5-flash', 'generateContent'), {
      input: 3000,
      cachedInput: 1000,
      output: 200,
    })

    expect(live).toBeCloseTo((2000 * 0.3 + 1000 * 0.03 + 200 * 2.5) / MILLION, 12)
    expect(batch).toBeCloseTo((1000 * 0.3 + 1000 * 0.03 + 100 * 2.5) / MILLION, 12)
  })

  test('Groq takes no notice of its cache in a batch', () => {
    const [batch, live] = costs(at('groq', 'openai/gpt-oss-120b'), { input: 2000, cachedInput: 1000, output: 0 })

    expect(live).toBeCloseTo((1000 * 0.15 + 1000 * 0.075) / MILLION, 12)
    expect(batch).toBeCloseTo((2000 * 0.15) / 2 / MILLION, 12)
  })

  test('Together takes nothing off models that are not on its list', () => {
    const [batch, live] = costs(at('together', 'meta-llama/Llama-4-Scout-17B-16E-Instruct'), {
      input: 1000,
      output: 1000,
    })

    expect(batch).toBeGreaterThan(0)
    expect(batch).toBe(live)
  })

  test("Doubleword's batches have prices nobody lists, its live calls one that is", () => {
    const [batch, live] = costs(at('doubleword', 'Qwen/Qwen3.5-397B-A17B'), { input: MILLION, output: 0 })

    expect(batch).toMatch(/depend on model and window/)
    expect(live).toBeCloseTo(0.6, 10)
  })

  test('of a picture at xAI nothing is known', () => {
    const [batch, live] = costs(at('xai', 'grok-imagine-image', '/v1/images/generations'), { input: 10, output: 10 })

    expect([batch, live]).toEqual([expect.any(String), expect.any(String)])
  })

  test('long prompts have their own price in a batch as well', () => {
    const price = at('gemini', 'gemini-2.5-pro', 'generateContent')

    expect(costs(price, { input: 200_000, output: 0 })[0]).toBeCloseTo(0.125, 10)
    expect(costs(price, { input: 300_000, output: 0 })[0]).toBeCloseTo(0.375, 10)
    expect(costs(price, { input: 200_000, output: 0 })[0]).toBeCloseTo(0.125, 10)
  })

  test('a model that draws is not taken for one that writes', () => {
    const price = at('gemini', 'gemini-2.5-flash-image', 'generateContent')

    expect(costs(price, { input: 100, output: 1290 })).toEqual([undefined, undefined])
  })

  test('sound is not priced by the token', () => {
    expect(costs(at('groq', 'whisper-large-v3'), { input: 0, output: 0 })).toEqual([
      'no price of whisper-large-v3 is known',
      'no price of whisper-large-v3 is known',
    ])
  })

  test('a provider without a row has no price, live or in a batch', () => {
    expect(costs(at('nobody', 'gpt-5'), { input: 1, output: 1 })).toEqual([
      'no batch rate of nobody is known',
      'no batch rate of nobody is known',
    ])
  })

  test('an answer that tells no usage has no price, except where everything is free', () => {
    expect(costs(at('openai', 'gpt-5'), undefined)).toEqual([undefined, undefined])
    expect(costs(at('openai', 'omni-moderation-latest', '/v1/moderations'), undefined)).toEqual([0, 0])
  })
})

describe('prices of a batch that are not shares of the list', () => {
  const usage = { input: 3000, cachedInput: 1000, output: 500, reasoning: 200 }

  test('count each kind of token at its own', () => {
    const price = withRate({
      kind: 'prices',
      perMillion: { input: 1, cachedInput: 0.1, output: 2, reasoning: 3 },
      perRequest: 0.01,
    })

    expect(costs(price, usage)[0]).toBeCloseTo((2000 + 100 + 300 * 2 + 200 * 3) / MILLION + 0.01, 12)
    expect(costs(price, usage)[1]).toBeCloseTo((2000 * 0.15 + 1000 * 0.075 + 500 * 0.6) / MILLION, 12)
  })

  test('count what they leave out as input or output', () => {
    const price = withRate({ kind: 'prices', perMillion: { input: 1, output: 2 } })

    expect(costs(price, usage)[0]).toBeCloseTo((3000 + 500 * 2) / MILLION, 12)
  })
})
