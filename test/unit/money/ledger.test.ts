import { describe, expect, test } from 'vitest'
import type { EventOf } from '../../../src/core/events.ts'
import { createLedger, DIMENSIONS, type Settled } from '../../../src/money/ledger.ts'

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
        certainty: 'stated',
        checked: '2026-01-01',
      },
    ])

    ledger.settle(answer())

    expect(ledger.cost().costUsd).toBeCloseTo(0.15, 10)
  })

  test('says of each answer what it cost, for whoever keeps it', () => {
    const ledger = createLedger()

    expect(ledger.settle(answer())).toEqual({ kind: 'known', costUsd: 0.375, liveCostUsd: 0.75 })
    expect(ledger.settle(answer({ usage: undefined }))).toEqual({ kind: 'unknown', because: 'it reported no usage' })
    expect(ledger.settle(answer({ model: 'my-own' }))).toEqual({
      kind: 'unknown',
      because: 'no price of my-own is known',
    })
    expect(ledger.settle(answer({ status: 400, usage: undefined }))).toEqual({
      kind: 'known',
      costUsd: 0,
      liveCostUsd: 0,
    })
  })

  test('believes a cost that was recorded, not the table of today', () => {
    const ledger = createLedger()

    ledger.settle(answer(), { kind: 'known', costUsd: 1, liveCostUsd: 3 })
    ledger.settle(answer(), { kind: 'unknown', because: 'nobody knew' })

    expect(ledger.cost()).toEqual({ costUsd: 1, liveCostUsd: 3, savedUsd: 2, unpricedRequests: 1 })
  })

  test('prices an answer as of its day, whatever the day of the one before', () => {
    const then = createLedger()
    const both = createLedger()
    const early = answer({ model: 'o3', at: Date.UTC(2025, 4, 1) })

    then.settle(early)
    both.settle(answer({ model: 'o3' }))
    const before = both.cost().costUsd ?? Number.NaN
    both.settle(early)

    expect(then.cost().costUsd).toBeGreaterThan(before)
    expect(both.cost().costUsd).toBeCloseTo((then.cost().costUsd ?? Number.NaN) + before, 10)
  })
})

describe('the ledger tells its sums apart', () => {
  const ledger = createLedger()
  const haiku = { provider: 'anthropic', endpoint: '/v1/messages', model: 'claude-haiku-4-5' }
  const million = { input: 1_000_000, output: 0 }
  ledger.settle(answer({ usage: million, tag: 'nightly' }))
  ledger.settle(answer({ usage: million, endpoint: '/v1/chat/completions', at: TODAY + 86_400_000 }))
  ledger.settle(answer({ ...haiku, usage: { ...million, cachedInput: 400_000, output: 10, reasoning: 7 } }))
  ledger.settle(answer({ provider: 'nobody', model: 'none', usage: { input: 5, output: 3 } }))

  test('by provider', () => {
    const [openai, anthropic, nobody] = ledger.by('provider')

    expect(openai).toEqual({
      key: 'openai',
      requests: 2,
      tokens: { input: 2_000_000, cachedInput: 0, output: 0, reasoning: 0 },
      costUsd: 0.15,
      liveCostUsd: 0.3,
      savedUsd: 0.15,
      unpricedRequests: 0,
    })
    expect(anthropic).toMatchObject({
      key: 'anthropic',
      tokens: { input: 1_000_000, cachedInput: 400_000, output: 10, reasoning: 7 },
      unpricedRequests: 0,
    })
    expect(nobody).toEqual({
      key: 'nobody',
      requests: 1,
      tokens: { input: 5, cachedInput: 0, output: 3, reasoning: 0 },
      unpricedRequests: 1,
    })
  })

  test.each([
    ['model', ['gpt-4o-mini', 'claude-haiku-4-5', 'none']],
    ['day', ['2026-11-20', '2026-11-21']],
    ['tag', ['nightly', '']],
  ] as const)('by %s', (dimension, keys) => {
    expect(ledger.by(dimension).map(({ key }) => key)).toEqual(keys)
  })

  test.each(DIMENSIONS)('and by %s they come to the same', (dimension) => {
    const lines = ledger.by(dimension)
    const total = lines.reduce((sum, { costUsd = 0 }) => sum + costUsd, 0)

    expect(total).toBeCloseTo(ledger.cost().costUsd ?? Number.NaN, 10)
    expect(lines.reduce((sum, { requests }) => sum + requests, 0)).toBe(4)
  })
})
