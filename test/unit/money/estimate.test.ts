import { describe, expect, test } from 'vitest'
import { type Calibration, learn } from '../../../src/money/calibration.ts'
import { createEstimator, type PlannedRequest } from '../../../src/money/estimate.ts'

const TODAY = Date.UTC(2026, 10, 20)
const PER_MILLION = 1e-6

/** Ten thousand tokens, by a tokenizer that takes words for tokens. */
const words = (text: string): number => (text === '' ? 0 : text.split(' ').length)
const LONG = Array.from({ length: 10_000 }, () => 'word').join(' ')

function planned(parts: Partial<PlannedRequest> = {}): PlannedRequest {
  return {
    provider: 'openai',
    endpoint: '/v1/chat/completions',
    model: 'gpt-4o-mini',
    at: TODAY,
    body: { model: 'gpt-4o-mini', input: LONG, max_tokens: 1000 },
    ...parts,
  }
}

describe('the estimate of a request', () => {
  const estimate = createEstimator({ count: words })

  test('is its input, the range of its output, and what both cost live and in a batch', () => {
    const { input, output, live, batch } = estimate(planned())

    expect(input).toEqual({ tokens: 10_003, uncorrected: 10_003, images: 0, uncounted: [] })
    expect(output).toEqual({ low: 1, likely: 400, high: 1000 })
    const usd = (tokens: number): number => (10_003 * 0.15 + tokens * 0.6) * PER_MILLION
    expect(live).toEqual({ kind: 'known', low: usd(1), likely: usd(400), high: usd(1000) })
    expect(batch).toEqual({
      kind: 'known',
      low: expect.closeTo(usd(1) / 2, 12),
      likely: expect.closeTo(usd(400) / 2, 12),
      high: expect.closeTo(usd(1000) / 2, 12),
    })
  })

  test('has no upper end where nothing limits the answer', () => {
    const { batch } = estimate(planned({ body: { input: LONG } }))

    expect(batch).toMatchObject({ kind: 'known', high: undefined })
  })

  test.each<[string, Partial<PlannedRequest>, string]>([
    ['a model without a price', { model: 'my-own' }, 'no price of my-own is known'],
    ['a provider without a rate', { provider: 'nobody' }, 'no batch rate of nobody is known'],
    [
      'a prompt that cannot be counted',
      { body: { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file-1' }] }], max_tokens: 5 } },
      'nobody can count a file from here',
    ],
    [
      'an answer in tokens without a price',
      { model: 'text-embedding-3-small', body: { input: 'hello' } },
      'some of its tokens have no price',
    ],
  ])('of %s is unknown, not zero', (_, parts, because) => {
    const { live, batch } = estimate(planned(parts))

    expect(live).toEqual({ kind: 'unknown', because })
    expect(batch).toEqual({ kind: 'unknown', because })
  })

  test('is known live where only the batch has no price', () => {
    const { live, batch } = estimate(planned({ provider: 'doubleword', model: 'Qwen/Qwen3.5-397B-A17B' }))

    expect(live.kind).toBe('known')
    expect(batch.kind).toBe('unknown')
  })

  test('is nothing for what is free, pictures included', () => {
    const body = { input: [{ type: 'video_url', video_url: 'https://example.com/a.mp4' }] }
    const { live, batch } = estimate(planned({ endpoint: '/v1/moderations', model: 'omni-moderation-latest', body }))

    expect(batch).toEqual({ kind: 'known', low: 0, likely: 0, high: 0 })
    expect(live).toEqual(batch)
  })

  test('of an embedding is the price of its input', () => {
    const { batch } = estimate(
      planned({ endpoint: '/v1/embeddings', model: 'text-embedding-3-small', body: { input: LONG } }),
    )
    const usd = expect.closeTo((10_003 * 0.02 * PER_MILLION) / 2, 12)

    expect(batch).toEqual({ kind: 'known', low: usd, likely: usd, high: usd })
  })

  test('is that of the day it is for', () => {
    const request = planned({ model: 'o3', endpoint: '/v1/responses' })
    const today = estimate(request).live
    const then = estimate({ ...request, at: Date.UTC(2025, 4, 1) }).live

    expect(then).toMatchObject({ kind: 'known' })
    expect(then.kind === 'known' && today.kind === 'known' && then.likely > today.likely).toBe(true)
  })
})

describe('what real answers have taught', () => {
  let known: Calibration | undefined
  for (let answers = 0; answers < 100; answers += 1) {
    known = learn(known, { estimatedInput: 1000, maxOutput: 1000, usage: { input: 1300, output: 50 } })
  }
  const calibrationOf = ({ provider }: { readonly provider: string }): Calibration | undefined =>
    provider === 'openai' ? known : undefined

  test('corrects input and output of its kind, and leaves what was estimated to be learned from', () => {
    const { input, output } = createEstimator({ count: words, calibrationOf })(planned())

    expect(input.tokens / 10_003).toBeCloseTo(1.3, 1)
    expect(input.uncorrected).toBe(10_003)
    expect(output).toEqual({ low: 50, likely: 50, high: 50 })
  })

  test('corrects no other kind', () => {
    const { input } = createEstimator({ count: words, calibrationOf })(planned({ provider: 'groq' }))

    expect(input.tokens).toBe(10_003)
  })
})

test('without an exact tokenizer the built-in estimate counts', () => {
  const { input } = createEstimator()(planned())

  expect(input.tokens).toBeGreaterThan(9_000)
  expect(input.tokens).toBeLessThan(11_000)
})
