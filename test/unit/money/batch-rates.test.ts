import { findProvider } from '@pydantic/genai-prices'
import { describe, expect, test } from 'vitest'
import { BATCH_RATES, batchRate, type BatchRateRow } from '../../../src/money/batch-rates.ts'
import { adapters } from '../../../src/providers/registry.ts'

const TODAY = Date.UTC(2026, 10, 20)

function row(parts: Partial<BatchRateRow>): BatchRateRow {
  return {
    provider: 'acme',
    priceList: 'acme',
    validFrom: '2025-01-01',
    rate: { kind: 'share', share: 0.5 },
    source: 'https://example.com',
    certainty: 'stated',
    checked: '2026-01-01',
    ...parts,
  }
}

const target = { provider: 'acme', endpoint: '/v1/chat/completions', model: 'large' }

describe('the table of batch rates', () => {
  test('OpenAI bills half of its list price', () => {
    for (const endpoint of ['/v1/responses', '/v1/chat/completions', '/v1/embeddings', '/v1/images/generations']) {
      expect(batchRate({ provider: 'openai', endpoint, model: 'any' }, TODAY)?.rate).toEqual({
        kind: 'share',
        share: 0.5,
      })
    }
  })

  test('OpenAI moderates for nothing', () => {
    const moderation = { provider: 'openai', endpoint: '/v1/moderations', model: 'omni-moderation-latest' }

    expect(batchRate(moderation, TODAY)?.rate).toEqual({ kind: 'free' })
  })

  test.each(['openai', 'anthropic', 'gemini', 'groq', 'mistral', 'together', 'doubleword', 'xai'])(
    'has a rate for %s today, by a research of no more than half a year',
    (provider) => {
      const rate = batchRate({ ...target, provider }, TODAY)

      expect(rate).toBeDefined()
      expect(TODAY - Date.parse(rate?.checked ?? '')).toBeLessThan(183 * 86_400_000)
    },
  )

  test('has a rate for every endpoint and model of every adapter there is', () => {
    for (const { name, facts } of adapters) {
      for (const endpoint of facts.endpoints) {
        expect(batchRate({ provider: name, endpoint, model: 'any' }, TODAY), `${name} ${endpoint}`).toBeDefined()
      }
    }
  })

  test('names price lists that there are', () => {
    for (const { priceList } of BATCH_RATES) {
      expect(findProvider({ providerId: priceList })?.id, priceList).toBe(priceList)
    }
  })

  test('what sources disagree about says so, and says what they leave open', () => {
    const disputed = BATCH_RATES.filter(({ certainty }) => certainty === 'disputed')

    expect(disputed.map(({ provider }) => provider)).toEqual(['mistral', 'xai'])
    for (const { note } of disputed) expect(note).toBeDefined()
  })

  test('a provider without a row has no rate', () => {
    expect(batchRate({ ...target, provider: 'nobody' }, TODAY)).toBeUndefined()
  })

  test('every row says since when, from where and as of when', () => {
    for (const { validFrom, checked, source } of BATCH_RATES) {
      expect(new Date(validFrom).toISOString()).toContain(validFrom)
      expect(new Date(checked).toISOString()).toContain(checked)
      expect(source).toMatch(/^https:\/\//)
    }
  })
})

describe('which row applies', () => {
  test('the latest that is valid already', () => {
    const rows = [
      row({ validFrom: '2026-12-01', rate: { kind: 'share', share: 0.9 } }),
      row({ validFrom: '2025-01-01', rate: { kind: 'share', share: 0.5 } }),
      row({ validFrom: '2026-06-01', rate: { kind: 'share', share: 0.8 } }),
    ]

    expect(batchRate(target, TODAY, rows)?.rate).toMatchObject({ share: 0.8 })
    expect(batchRate(target, Date.UTC(2025, 1, 1), rows)?.rate).toMatchObject({ share: 0.5 })
    expect(batchRate(target, Date.UTC(2020, 1, 1), rows)).toBeUndefined()
  })

  test('of those valid from the same day, the first', () => {
    const rows = [row({ model: /^large/, rate: { kind: 'share', share: 0.2 } }), row({})]

    expect(batchRate(target, TODAY, rows)?.rate).toMatchObject({ share: 0.2 })
    expect(batchRate({ ...target, model: 'small' }, TODAY, rows)?.rate).toMatchObject({ share: 0.5 })
  })

  test('none of another endpoint', () => {
    expect(batchRate(target, TODAY, [row({ endpoint: /embeddings$/ })])).toBeUndefined()
  })
})
