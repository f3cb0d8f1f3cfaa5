import { describe, expect, test } from 'vitest'
import type { EventOf } from '../../../src/core/events.ts'
import { createLedger, type Settled } from '../../../src/money/ledger.ts'

const TODAY = Date.UTC(2026, 10, 20)

function answer(parts: Partial<Settled> = {}): Settled {
  return {
    at: TODAY,
    provider: 'openai',
    endpoint: '/v1/responses',
    model: 'gpt-4o-mini',
    status: 200,
    usage: { input: 1_000_000, output: 1_000_000 },
    ...parts,
  }
}

function costOf(...settled: readonly Settled[]): ReturnType<ReturnType<typeof createLedger>['cost']> {
  const ledger = createLedger()
  for (const each of settled) ledger.settle(each)
  return ledger.cost()
}

describe('the ledger', () => {
  test('before any answer knows no cost, and does not call it zero', () => {
    expect(createLedger().cost()).toEqual({ unpricedRequests: 0 })
  })

  test('adds up what answers cost in a batch, would have cost live, and the difference', () => {
    const cost = costOf(
      answer(),
      answer({ model: 'text-embedding-3-small', endpoint: '/v1/embeddings', usage: { input: 1_000_000, output: 0 } }),
    )

    expect(cost.costUsd).toBeCloseTo(0.375 + 0.01, 10)
    expect(cost.liveCostUsd).toBeCloseTo(0.75 + 0.02, 10)
    expect(cost.savedUsd).toBeCloseTo(0.375 + 0.01, 10)
    expect(cost.unpricedRequests).toBe(0)
  })

  test('prices each model by itself, in any order', () => {
    const small = answer()
    const large = answer({ model: 'gpt-4o' })

    expect(costOf(small, large, small, large).costUsd).toBeCloseTo(2 * (0.375 + 6.25), 10)
  })

  test('an answer whose price is unknown is counted, and in no sum', () => {
    expect(costOf(answer({ model: 'my-own' }), answer({ provider: 'nobody' }), answer({ usage: undefined }))).toEqual({
      unpricedRequests: 3,
    })
    expect(costOf(answer(), answer({ model: 'my-own' }))).toMatchObject({ unpricedRequests: 1, costUsd: 0.375 })
  })

  test('what is free is known to be free, usage or not', () => {
    const moderation = answer({ endpoint: '/v1/moderations', model: 'omni-moderation-latest', usage: undefined })

    expect(costOf(moderation)).toEqual({ costUsd: 0, liveCostUsd: 0, savedUsd: 0, unpricedRequests: 0 })
  })

  test('what cannot be told from the usage is unknown', () => {
    const edit = answer({ endpoint: '/v1/images/edits', model: 'gpt-image-1' })

    expect(costOf(edit)).toEqual({ unpricedRequests: 1 })
  })

  test('a refusal costs nothing, unless it reports usage', () => {
    expect(costOf(answer({ status: 400, usage: undefined }))).toEqual({ unpricedRequests: 0 })
    expect(costOf(answer({ status: 400 })).costUsd).toBeCloseTo(0.375, 10)
  })

  test('takes the events as they come', () => {
    const event: EventOf<'request-settled'> = {
      ...answer(),
      type: 'request-settled',
      job: 1,
      batch: 'batch_1',
      reason: undefined,
    }

    expect(costOf(event).costUsd).toBeCloseTo(0.375, 10)
  })

  test('another table gives other rates', () => {
    const ledger = createLedger([
      {
        provider: 'openai',
        priceList: 'openai',
        validFrom: '2025-01-01',
        rate: { kind: 'share', share: 0.2 },
        source: 'https://example.com',
        checked: '2026-01-01',
      },
    ])

    ledger.settle(answer())

    expect(ledger.cost().costUsd).toBeCloseTo(0.15, 10)
  })
})
