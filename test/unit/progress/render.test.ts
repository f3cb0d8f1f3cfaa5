import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { Report } from '../../../src/core/report.ts'
import type { BatchSnapshot, RequestCounts, Snapshot } from '../../../src/core/snapshot.ts'
import { type Extras, type Frame, renderBlock, troubleText } from '../../../src/progress/render.ts'
import { renderSummary } from '../../../src/progress/summary.ts'
import type { Trouble } from '../../../src/progress/troubles.ts'
import { textWidth } from '../../../src/progress/width.ts'

const NOON = new Date(2026, 0, 5, 12, 3).getTime()

function counts(parts: Partial<RequestCounts>): RequestCounts {
  const zero = { cached: 0, queued: 0, running: 0, completed: 0, failed: 0, passedThrough: 0 }
  const all = { ...zero, ...parts }
  return { total: Object.values(all).reduce((sum, count) => sum + count, 0), ...all }
}

function batch(parts: Partial<BatchSnapshot> = {}): BatchSnapshot {
  return {
    id: 'batch_1',
    provider: 'openai',
    endpoint: '/v1/responses',
    model: 'gpt-5-mini',
    state: 'in_progress',
    ended: false,
    total: 100,
    completed: 50,
    failed: 0,
    countsKnown: true,
    ageMs: 48_000,
    ...parts,
  }
}

function trouble(parts: Partial<Trouble> = {}): Trouble {
  return {
    provider: 'openai',
    doing: 'poll',
    since: NOON,
    reason: 'ECONNREFUSED',
    retryAt: NOON + 12_000,
    until: NOON + 60_000,
    ...parts,
  }
}

const BUSY_SNAPSHOT: Snapshot = {
  requests: counts({ queued: 6, running: 70, completed: 120, failed: 4, cached: 12, passedThrough: 3 }),
  batches: [
    batch(),
    batch({ endpoint: '/v1/chat/completions', completed: 70, failed: 2, ageMs: 72_000, state: 'finalizing' }),
    batch({ model: 'o3', countsKnown: false, completed: 0, state: 'validating', ageMs: 1000 }),
    batch({ ended: true }),
  ],
  elapsedMs: 72_000,
}

const CALM: Extras = { cost: { unpricedRequests: 0 }, troubles: [], now: NOON }
const SAVED: Partial<Extras> = { cost: { costUsd: 0.42, liveCostUsd: 0.84, savedUsd: 0.42, unpricedRequests: 0 } }

function block(snapshot: Snapshot, frame: Partial<Frame> = {}, extras: Partial<Extras> = {}): string[] {
  return renderBlock(
    snapshot,
    { ...CALM, ...extras },
    { colour: false, unicode: true, width: 80, height: 23, ...frame },
  )
}

describe('the live block', () => {
  test('says how far everything is, and every open batch on a line of its own', () => {
    expect(block(BUSY_SNAPSHOT, {}, { ...SAVED, troubles: [trouble()] })).toEqual([
      'offpeak  ━━━━━━━━━━━━━━━━━━━───────────  136/212  1m 12s  saved $0.42 of $0.84',
      '  6 queued · 70 running · 120 done · 4 failed · 3 at full price',
      '  gpt-5-mini responses         ━━━━━━━━────────  50/100     48s',
      '  gpt-5-mini chat/completions  ━━━━━━━━━━━─────  72/100  1m 12s  2 failed',
      '  o3 responses                 validating           100      1s',
      '  ▲ openai unreachable since 12:03, next try in 12s',
    ])
  })

  test('is ASCII where nothing else can be shown', () => {
    expect(block(BUSY_SNAPSHOT, { unicode: false }, { troubles: [trouble()] })).toEqual([
      'offpeak  ###################-----------  136/212  1m 12s',
      '  6 queued, 70 running, 120 done, 4 failed, 12 from the store, 3 at full price',
      '  gpt-5-mini responses         ########--------  50/100     48s',
      '  gpt-5-mini chat/completions  ###########-----  72/100  1m 12s  2 failed',
      '  o3 responses                 validating           100      1s',
      '  ! openai unreachable since 12:03, next try in 12s',
    ])
  })

  test('says how long it may still take, as a range, of everything and of each batch', () => {
    const batches = [
      batch({ left: { fromMs: 200_000, toMs: 700_000 } }),
      batch({ model: 'o3', countsKnown: false, completed: 0, left: { fromMs: 0, toMs: 7_000_000 } }),
    ]

    expect(block({ ...BUSY_SNAPSHOT, batches, left: { fromMs: 200_000, toMs: 7_000_000 } }, {}, SAVED)).toEqual([
      'offpeak  ━━━━━━━━━━━━────────  136/212  1m 12s  3m–2h left  saved $0.42 of $0.84',
      '  6 queued · 70 running · 120 done · 4 failed · 3 at full price',
      '  gpt-5-mini responses  ━━━━━━━━────────  50/100  48s  3–12m left',
      '  o3 responses          in progress          100  48s  up to 2h left',
    ])
  })

  test('a batch whose provider counts nothing before the end has no bar, and the line says why', () => {
    const uncounted = { countsKnown: false, completed: 0 }
    const batches = [
      batch({ ...uncounted }),
      batch({ ...uncounted, state: 'submitted' }),
      batch({ ...uncounted, state: 'validating' }),
    ]

    expect(block({ ...BUSY_SNAPSHOT, batches }).slice(2)).toEqual([
      '  gpt-5-mini responses  in progress       100  48s  no counts yet',
      '  gpt-5-mini responses  submitted         100  48s',
      '  gpt-5-mini responses  validating        100  48s',
    ])
  })

  test.each([
    [{ unpricedRequests: 0 }, ''],
    [{ unpricedRequests: 7 }, '  saved unknown'],
    [{ costUsd: 0.1, liveCostUsd: 0.2, savedUsd: 0.1, unpricedRequests: 0 }, '  saved $0.10 of $0.20'],
    [{ costUsd: 0.1, liveCostUsd: 0.2, savedUsd: 0.1, unpricedRequests: 7 }, '  saved $0.10 of $0.20, 7 unpriced'],
    [{ costUsd: 0, liveCostUsd: 0, savedUsd: 0, unpricedRequests: 0 }, '  saved $0.00 of $0.00'],
  ])('%#: what is unknown of the money is said, and is not zero', (cost, text) => {
    const [head] = block({ ...BUSY_SNAPSHOT, batches: [] }, { width: 100 }, { cost })

    expect(head).toBe(`offpeak  ━━━━━━━━━━━━━━━━━━━───────────  136/212  1m 12s${text}`)
  })

  test('with room for it says how many batches that is', () => {
    const few = { ...BUSY_SNAPSHOT, requests: counts({ queued: 1, running: 2, completed: 3 }) }

    expect(block(few)[1]).toBe('  1 queued · 2 running in 3 batches · 3 done')
  })

  test('on 40 columns drops what matters least', () => {
    expect(block(BUSY_SNAPSHOT, { width: 40 }, { ...SAVED, troubles: [trouble()] })).toEqual([
      '━━━━━━────  136/212  1m 12s  saved $0.42',
      '  70 running · 120 done · 4 failed',
      '  gpt-5-mini re…  ━━━───  50/100     48s',
      '  gpt-5-mini ch…  ━━━━──  72/100  1m 12s',
      '  o3 responses    valid…     100      1s',
      '  ▲ openai unreachable since 12:03, nex…',
    ])
  })

  test('on 20 columns still says the totals', () => {
    expect(block(BUSY_SNAPSHOT, { width: 20 }, { ...SAVED, troubles: [trouble()] })).toEqual([
      '━━━━━━━────  136/212',
      '  4 failed',
      '  gpt-5-min…  50/100',
      '  gpt-5-min…  72/100',
      '  o3 respon…     100',
      '  ▲ openai unreacha…',
    ])
  })

  test('no line is wider than its frame, at any width, styled or not', () => {
    const wide: Snapshot = {
      ...BUSY_SNAPSHOT,
      batches: [...BUSY_SNAPSHOT.batches, batch({ model: '日本語モデル-大', failed: 7, state: 'cancelling' })],
    }
    for (let width = 1; width <= 130; width += 1) {
      const extras = { ...SAVED, troubles: [trouble(), trouble({ provider: '提供者' })] }
      const plain = block(wide, { width }, extras)

      expect(Math.max(...plain.map(textWidth)), `at ${width} columns`).toBeLessThanOrEqual(width)
      expect(block(wide, { width, colour: true }, extras).map(stripVTControlCharacters)).toEqual(plain)
    }
  })

  test('has no more lines than its frame', () => {
    const many = { ...BUSY_SNAPSHOT, batches: Array.from({ length: 30 }, () => batch()) }
    for (let height = 1; height < 16; height += 1) {
      expect(block(many, { height }, { troubles: [trouble()] }).length).toBeLessThanOrEqual(height)
    }
  })

  test('sums the batches that have no line of their own', () => {
    const batches = Array.from({ length: 10 }, (_, index) =>
      batch({ completed: index * 10, failed: index === 9 ? 1 : 0 }),
    )

    const lines = block({ ...BUSY_SNAPSHOT, batches })

    expect(lines).toHaveLength(2 + 8)
    expect(lines.at(-1)).toBe('  3 more batches        ━━━━━━━━━━━━────  241/300       1 failed')
  })

  test('the sum of batches is no bar as soon as one of them has no counts', () => {
    const batches = Array.from({ length: 10 }, (_, index) => batch({ countsKnown: index < 9, completed: 50 }))

    expect(block({ ...BUSY_SNAPSHOT, batches }).at(-1)).toBe('  3 more batches        running              300')
  })

  test('a bar is full only when everything is done', () => {
    const almost = { ...BUSY_SNAPSHOT, batches: [], requests: counts({ running: 1, completed: 9999 }) }

    expect(block(almost)[0]).toBe('offpeak  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━─  9,999/10,000  1m 12s')
  })

  test('a scope with nothing in it yet says so', () => {
    expect(block({ requests: counts({}), batches: [], elapsedMs: 0 })).toEqual([
      'offpeak  ──────────────────────────────  0/0  0s',
      '  nothing yet',
    ])
  })

  test('a model name cannot paint the terminal', () => {
    const evil = { ...BUSY_SNAPSHOT, batches: [batch({ model: 'x\u001b[2J\nrm', state: 'in\u001b]0;t\u0007' })] }

    expect(block(evil)[2]).toMatch(/^ {2}x rm responses {2}━/)
  })

  test('colours say what is good, bad and worth a note', () => {
    const lines = block(
      { ...BUSY_SNAPSHOT, requests: counts({ running: 1, completed: 1, failed: 1 }), batches: [] },
      { colour: true, width: 60 },
      { troubles: [trouble()] },
    )

    expect(lines[0]).toContain('\u001b[32m━━━')
    expect(lines[1]).toContain('\u001b[31m1 failed\u001b[39m')
    expect(lines[2]).toContain('\u001b[33m▲ openai unreachable')
  })
})

describe('what keeps us waiting', () => {
  test.each([
    [trouble(), 'openai unreachable since 12:03, next try in 12s'],
    [trouble({ retryAt: NOON - 1 }), 'openai unreachable since 12:03'],
    [trouble({ reason: 'rate_limit_exceeded' }), 'openai has asked us to slow down since 12:03, next try in 12s'],
    [trouble({ reason: 'HTTP 429' }), 'openai has asked us to slow down since 12:03, next try in 12s'],
    [
      trouble({ doing: 'submit', retryAt: undefined, reason: 'token_limit_exceeded' }),
      'openai has had no room for more since 12:03; the rest waits here',
    ],
  ])('%#: in words', (each, text) => {
    expect(troubleText(each, NOON)).toBe(text)
  })
})

describe('the summary', () => {
  const report: Report = {
    requests: counts({ completed: 186, failed: 4, cached: 10, passedThrough: 2 }),
    batches: 3,
    tokens: { input: 123_456, output: 7890 },
    costUsd: 0.21,
    liveCostUsd: 0.42,
    savedUsd: 0.21,
    unpricedRequests: 1,
    failures: [
      { reason: 'invalid_value', count: 3, example: 'job 7 of batch_1, HTTP 400' },
      { reason: 'expired', count: 1, example: 'job 9 of batch_2, HTTP 424' },
    ],
  }
  const extras = { elapsedMs: 192_000, passedThrough: new Map([['streaming' as const, 2]]), more: [] }
  const look = { colour: false, unicode: true }

  test('says what came of the requests, what they cost, and why some failed', () => {
    expect(renderSummary(report, extras, look)).toEqual([
      'offpeak  200 requests in 3m 12s: 186 answered, 4 failed, 10 from the store',
      '  3 batches, 123,456 tokens in, 7,890 out',
      '  cost $0.21 instead of $0.42: saved $0.21 (50 %)',
      '  1 answer has no known price and is in no sum',
      '  3 × invalid_value, for example job 7 of batch_1, HTTP 400',
      '  1 × expired, for example job 9 of batch_2, HTTP 424',
      '  2 calls went through at full price: 2 streaming',
    ])
  })

  test('of a run answered from the store is one line', () => {
    const cached = { ...report, requests: counts({ cached: 1 }), batches: 0, tokens: { input: 0, output: 0 } }
    const { costUsd, liveCostUsd, savedUsd, ...free } = { ...cached, unpricedRequests: 0, failures: [] }

    expect([costUsd, liveCostUsd, savedUsd]).not.toContain(undefined)
    expect(renderSummary(free, { elapsedMs: 20, passedThrough: new Map(), more: ['offpeak batches'] }, look)).toEqual([
      'offpeak  1 request in 20ms: 1 from the store',
    ])
  })

  test('ends with the commands that show more, when there is more', () => {
    const more = ['offpeak batches', 'offpeak results 12']

    expect(renderSummary(report, { ...extras, more }, look).at(-1)).toBe('  more: offpeak batches · offpeak results 12')
  })

  test('never shows an unknown cost as zero', () => {
    const { costUsd, liveCostUsd, savedUsd, ...unpriced } = report

    expect([costUsd, liveCostUsd, savedUsd]).not.toContain(undefined)
    expect(renderSummary(unpriced, extras, look).join('\n')).not.toContain('$')
  })

  test('fits a screen however many reasons there are', () => {
    const failures = Array.from({ length: 51 }, (_, index) => ({
      reason: `reason-${index}`,
      count: 1,
      example: 'job 1',
    }))

    const lines = renderSummary({ ...report, failures }, extras, look)

    expect(lines).toHaveLength(11)
    expect(lines.at(-2)).toBe('  and 46 other reasons')
  })
})
