import { expect, test } from 'vitest'
import type { DryRunGroup, DryRunReport, DryRunSums } from '../../../src/core/dry-run.ts'
import { renderDryRun } from '../../../src/progress/dry-run-table.ts'

const PLAIN = { colour: false, unicode: true }

function sums(change: Partial<DryRunSums> = {}): DryRunSums {
  return {
    requests: 1200,
    cached: 200,
    joined: 0,
    batches: 2,
    tokens: { input: 84_000, output: { low: 1000, likely: 40_000, high: 100_000 } },
    uncountedRequests: 0,
    liveCostUsd: { low: 0.02, likely: 1, high: 2.5 },
    batchCostUsd: { low: 0.01, likely: 0.5, high: 1.25 },
    savedUsd: { low: 0.01, likely: 0.5, high: 1.25 },
    unpriced: { live: 0, batch: 0, because: [] },
    ...change,
  }
}

function group(change: Partial<DryRunGroup> = {}): DryRunGroup {
  return { provider: 'openai', endpoint: '/v1/responses', model: 'gpt-5', ...sums(), ...change }
}

function report(change: Partial<DryRunReport> = {}): DryRunReport {
  const prices = { checked: '2026-11-20', ageDays: 3 }
  return { groups: [group()], totals: sums(), wouldPassThrough: [], prices, ...change }
}

test('one group is a line of its own, and its sum in words', () => {
  expect(renderDryRun(report(), PLAIN)).toEqual([
    'offpeak  dry run: 1,200 requests in 2 batches; nothing was sent',
    '  provider  endpoint       model  requests  stored  batches  tokens in     tokens out          live         batch         saved',
    '  openai    /v1/responses  gpt-5     1,200     200        2     84,000  1,000–100,000  $0.020–$2.50  $0.010–$1.25  $0.010–$1.25',
    '  probably $0.50 in batches instead of $1.00 live: saves $0.50 (50 %)',
    '  batch prices checked on 2026-11-20, 3 days ago',
  ])
})

test('several groups have a line with their total, in which what is unknown comes on top', () => {
  const unknown = group({
    model: 'gpt-x',
    requests: 1,
    tokens: { input: 5, output: { low: 1, likely: 400 } },
    uncountedRequests: 1,
    unpriced: { live: 1, batch: 1, because: ['no price of gpt-x is known'] },
  })
  const { liveCostUsd: _, batchCostUsd: __, savedUsd: ___, ...unpriced } = unknown
  const totals = sums({ unpriced: unknown.unpriced, uncountedRequests: 1 })

  const lines = renderDryRun(report({ groups: [group(), unpriced], totals }), PLAIN)

  expect(lines[3]).toMatch(/gpt-x +1 +200 +2 +5 \+\? +from 1 +unknown +unknown +unknown$/)
  expect(lines[4]).toMatch(/^ {2}total .* \$0\.020–\$2\.50 \+\? +\$0\.010–\$1\.25 \+\? /)
  expect(lines).toContain('  1 request has no known price and is in no such sum: no price of gpt-x is known')
  expect(lines).toContain('  1 request holds something whose tokens cannot be counted from here')
  expect(new Set(lines.slice(1, 5).map((line) => line.length)).size).toBe(1)
})

test('says why it stopped, what is under way and what would go live, up to a number of lines', () => {
  const wouldPassThrough = Array.from({ length: 12 }, (_, index) => ({
    provider: 'openai',
    endpoint: '/v1/responses',
    model: '',
    reason: 'streaming' as const,
    detail: `stream ${index}\u001b[2J`,
    requests: 2,
  }))
  const stoppedBy = 'TypeError: it is no list'

  const lines = renderDryRun(report({ wouldPassThrough, stoppedBy, totals: sums({ joined: 1 }) }), PLAIN)

  expect(lines).toContain('  counted up to where it stopped: TypeError: it is no list')
  expect(lines).toContain('  1 request is under way already, for an earlier run or another process')
  expect(lines).toContain('  2 calls to openai /v1/responses would go through at full price: streaming, stream 0')
  expect(lines.filter((line) => line.includes('full price'))).toHaveLength(10)
  expect(lines).toContain('  and 4 other calls')
})

test('a price that is known for nothing is unknown, and nothing to send costs nothing', () => {
  const { batchCostUsd: _, savedUsd: __, ...live } = sums({ unpriced: { live: 0, batch: 1200, because: ['secret'] } })
  const { liveCostUsd: ___, batchCostUsd: ____, savedUsd: _____, ...stored } = sums({ batches: 0, cached: 1200 })

  expect(renderDryRun(report({ totals: live }), PLAIN)).toContain('  what it costs in batches is unknown')
  const lines = renderDryRun(
    report({ groups: [{ ...group(), ...stored, liveCostUsd: { low: 0, likely: 0, high: 0 } }], totals: stored }),
    PLAIN,
  )
  expect(lines.some((line) => line.includes('probably') || line.includes('unknown'))).toBe(false)
})

test('a program that asks nothing has no table', () => {
  const nothing = { requests: 0, cached: 0, joined: 0, batches: 0, uncountedRequests: 0 }

  const lines = renderDryRun(report({ groups: [], totals: sums(nothing) }), PLAIN)

  expect(lines).toEqual([
    'offpeak  dry run: 0 requests in 0 batches; nothing was sent',
    '  batch prices checked on 2026-11-20, 3 days ago',
  ])
})

test('where the table does not fit, each group is told in lines that do', () => {
  const lines = renderDryRun(report(), { colour: false, unicode: false }, 80)

  expect(lines.slice(1, 5)).toEqual([
    '  openai /v1/responses gpt-5',
    '    requests 1,200, stored 200, batches 2',
    '    tokens in 84,000, tokens out 1,000-100,000',
    '    live $0.020-$2.50, batch $0.010-$1.25, saved $0.010-$1.25',
  ])
})
