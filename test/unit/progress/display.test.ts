import { describe, expect, test } from 'vitest'
import type { Report } from '../../../src/core/report.ts'
import type { PassReason } from '../../../src/core/request.ts'
import { chooseLook, chooseMode } from '../../../src/progress/display-mode.ts'
import { createDisplay, type Display, type DisplayOptions } from '../../../src/progress/display.ts'
import { createProgress, reduce, toReport } from '../../../src/progress/snapshot.ts'
import { fact } from './facts.ts'
import { FakeScreen } from './fake-screen.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'

interface Scene {
  readonly display: Display
  readonly screen: FakeScreen
  readonly clock: ManualClock
}

function scene(options: Partial<DisplayOptions> & { screen?: FakeScreen; clock?: ManualClock } = {}): Scene {
  const { screen = new FakeScreen(), clock = manualClock(), ...rest } = options
  const env = { NO_COLOR: '1', LANG: 'C.UTF-8' }
  return { display: createDisplay({ mode: 'auto', stream: screen, env, clock, ...rest }), screen, clock }
}

function pipe(): FakeScreen {
  const screen = new FakeScreen(1000)
  screen.isTTY = false
  return screen
}

function reportOf(...jobs: readonly number[]): Report {
  const progress = createProgress(0)
  for (const job of jobs) reduce(progress, fact('request-queued', { job }))
  for (const job of jobs) reduce(progress, fact('request-settled', { job }))
  return toReport(progress, { unpricedRequests: 0 })
}

describe('the mode', () => {
  const terminal = { isTTY: true, write: () => true }
  const file = { write: () => true }

  test.each([
    ['auto', terminal, {}, 'live'],
    ['auto', terminal, { CI: 'true' }, 'log'],
    ['auto', terminal, { CI: 'false' }, 'live'],
    ['auto', terminal, { TERM: 'dumb' }, 'log'],
    ['auto', file, {}, 'log'],
    ['live', terminal, { CI: '1' }, 'live'],
    ['live', file, {}, 'log'],
    ['live', terminal, { TERM: 'dumb' }, 'log'],
    ['log', terminal, {}, 'log'],
    ['off', terminal, {}, 'off'],
  ] as const)('%s on %o with %o is %4$s', (mode, stream, env, chosen) => {
    expect(chooseMode(mode, stream, env)).toBe(chosen)
  })

  test.each([
    [terminal, {}, true],
    [file, {}, false],
    [terminal, { NO_COLOR: '1' }, false],
    [terminal, { NO_COLOR: '' }, true],
    [terminal, { TERM: 'dumb' }, false],
    [file, { FORCE_COLOR: '1' }, true],
    [file, { FORCE_COLOR: '' }, true],
    [terminal, { FORCE_COLOR: '0' }, false],
    [file, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ])('%#: colour on %o with %o: %s', (stream, env, colour) => {
    expect(chooseLook(stream, env).colour).toBe(colour)
  })

  test.each([
    [{}, true],
    [{ LANG: 'en_US.UTF-8' }, true],
    [{ LANG: 'en_US.UTF-8', LC_ALL: 'C' }, false],
    [{ LANG: 'C' }, false],
    [{ TERM: 'linux' }, false],
  ])('%#: with %o unicode is %s', (env, unicode) => {
    expect(chooseLook(terminal, env).unicode).toBe(unicode)
  })
})

describe('off', () => {
  test('writes nothing, whatever happens', () => {
    const { display, screen, clock } = scene({ mode: 'off' })

    display.handle(fact('request-passed-through'))
    display.warn('something')
    display.close(reportOf(1))

    expect(screen.raw).toBe('')
    expect(clock.waiting).toBe(0)
  })
})

describe('live', () => {
  test('stays away until there is something to show', () => {
    const { screen, clock, display } = scene()

    clock.advance(5000)
    expect(screen.raw).toBe('')

    display.handle(fact('request-queued'))
    clock.advance(100)
    expect(screen.lines).toEqual(['offpeak  ──────────────────────────────  0/1  5s', '  1 queued'])
  })

  test('redraws in place, and only what changed', () => {
    const { screen, clock, display } = scene()
    display.handle(fact('request-queued'))
    clock.advance(100)
    const before = screen.raw.length

    clock.advance(1000)

    expect(screen.lines).toEqual(['offpeak  ──────────────────────────────  0/1  1s', '  1 queued'])
    expect(screen.raw.slice(before)).not.toContain('queued')
  })

  test('draws at most ten times a second, however much happens', () => {
    const { screen, clock, display } = scene()
    for (let job = 0; job < 2000; job += 1) {
      display.handle(fact('request-queued', { job }))
      clock.advance(1)
    }

    expect(screen.writes).toBeGreaterThan(15)
    expect(screen.writes).toBeLessThanOrEqual(20)
  })

  test('draws nothing when nothing changes but the time of day', () => {
    const { screen, clock, display } = scene()
    display.handle(fact('request-queued'))
    clock.advance(100)
    const { writes } = screen

    clock.advance(10_000)

    expect(screen.writes - writes).toBe(10)
  })

  test('warnings go above the block, once per reason', () => {
    const { screen, clock, display } = scene({ screen: new FakeScreen(60) })
    display.handle(fact('request-queued'))
    clock.advance(100)

    for (let call = 0; call < 3; call += 1) display.handle(fact('request-passed-through'))
    clock.advance(100)

    expect(screen.lines).toEqual([
      'offpeak  A call to openai /v1/responses streams its answer,',
      'which no batch can do: it went straight through, at full pri',
      'ce. To batch it, leave out `stream: true`.',
      'offpeak  ──────────────────────────────  0/1  0s',
      '  1 queued · 3 at full price',
    ])
  })

  test('what the program writes stays, above the block', () => {
    const stdout = new FakeScreen()
    const screen = new FakeScreen()
    // One terminal, two streams.
    stdout.write = (text, done) => FakeScreen.prototype.write.call(screen, text, done)
    const { clock, display } = scene({ screen, beside: [stdout] })
    display.handle(fact('request-queued'))
    clock.advance(100)

    stdout.write('first\n')
    clock.advance(100)
    screen.write('second\n')
    clock.advance(100)

    expect(screen.lines).toEqual(['first', 'second', 'offpeak  ──────────────────────────────  0/1  0s', '  1 queued'])
  })

  test('a line the program has not finished is left alone', () => {
    const { screen, clock, display } = scene()
    display.handle(fact('request-queued'))
    clock.advance(100)

    screen.write('Continue? ')
    clock.advance(2000)
    screen.emit('resize')
    expect(screen.lines).toEqual(['Continue?'])

    screen.write('yes\u001b[0m\n\u001b[0m')
    clock.advance(100)
    expect(screen.lines).toEqual(['Continue? yes', 'offpeak  ──────────────────────────────  0/1  2s', '  1 queued'])
  })

  test('a terminal made narrow gets a narrow block at once, and keeps what was above', () => {
    const { screen, clock, display } = scene()
    screen.write('the program said this\n')
    for (let job = 0; job < 12; job += 1) display.handle(fact('request-queued', { job }))
    display.handle(fact('batch-submitting', { jobs: 10 }))
    clock.advance(100)
    expect(screen.lines).toHaveLength(4)

    screen.resize(24)

    expect(screen.lines).toEqual([
      'the program said this',
      '─────────────  0/12  0s',
      '  2 queued · 10 running',
      '  gpt-5-mini r…  10  0s',
    ])
  })

  test('a terminal of no known size counts as an ordinary one', () => {
    const { screen, clock, display } = scene({ screen: new FakeScreen(0, 0) })
    screen.columns = 0
    display.handle(fact('request-queued'))

    clock.advance(100)

    expect(screen.raw).toContain('0/1')
  })

  test('the cursor is there after every write, and wrapping is on', () => {
    const { screen, clock, display } = scene()
    const states: string[] = []
    for (const event of [fact('request-queued'), fact('batch-submitting'), fact('request-passed-through')]) {
      display.handle(event)
      clock.advance(100)
      states.push(
        `${screen.cursorShown} ${screen.raw.lastIndexOf('\u001b[?7h') > screen.raw.lastIndexOf('\u001b[?7l')}`,
      )
    }

    expect(new Set(states)).toEqual(new Set(['true true']))
  })

  test('closing leaves the summary, and neither timers nor listeners nor its own write', () => {
    const { screen, clock, display } = scene()
    display.handle(fact('request-queued'))
    clock.advance(3000)

    display.close(reportOf(1))
    display.close(reportOf(1))
    display.handle(fact('request-queued', { job: 2 }))
    display.warn('too late')

    expect(screen.lines).toEqual(['offpeak  1 request in 3s: 1 answered', '  10 tokens in, 5 out'])
    expect(clock.waiting).toBe(0)
    expect(screen.eventNames()).toEqual([])
    expect(Object.hasOwn(screen, 'write')).toBe(false)
  })

  test('closing without a report leaves the screen as it was', () => {
    const { screen, clock, display } = scene()
    screen.write('$ node app.js\n')
    display.handle(fact('request-queued'))
    clock.advance(100)

    display.close()

    expect(screen.lines).toEqual(['$ node app.js'])
  })

  test('two scopes share one block, and the last to close takes it away', () => {
    const screen = new FakeScreen()
    const clock = manualClock()
    const one = scene({ screen, clock }).display
    const other = scene({ screen, clock }).display
    one.handle(fact('request-queued'))
    other.handle(fact('request-cached'))
    clock.advance(100)
    expect(screen.lines.map((line) => line.trim())).toEqual([
      'offpeak  ──────────────────────────────  0/1  0s',
      '1 queued',
      'offpeak  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  1/1  0s',
      '1 from the store',
    ])

    one.close(reportOf(1))
    clock.advance(100)
    expect(screen.lines[0]).toBe('offpeak  1 request in 100ms: 1 answered')
    expect(screen.lines.at(-1)).toBe('  1 from the store')

    other.close()
    expect(screen.lines).toEqual(['offpeak  1 request in 100ms: 1 answered', '  10 tokens in, 5 out'])
    expect(clock.waiting).toBe(0)
  })

  test('a program that wraps write after us keeps its wrapper', () => {
    const { screen, clock, display } = scene()
    const ours = screen.write.bind(screen)
    const theirs = (text: string, done?: (error?: Error | null) => void): boolean => ours(text, done)
    screen.write = theirs

    display.close()
    screen.write('still works\n')
    clock.advance(1000)

    expect(Object.getOwnPropertyDescriptor(screen, 'write')?.value).toBe(theirs)
    expect(screen.lines).toEqual(['still works'])
  })

  test('shows what was saved so far, and what a shared reducer knows', () => {
    const clock = manualClock()
    const progress = createProgress(clock.now())
    const { screen, display } = scene({ clock, progress, cost: () => ({ savedUsd: 0.42, unpricedRequests: 0 }) })
    const event = fact('request-queued')

    reduce(progress, event)
    display.handle(event)
    clock.advance(100)

    expect(screen.lines[0]).toBe('offpeak  ──────────────────────────────  0/1  0s  saved $0.42')
  })
})

describe('a stream that closes', () => {
  test.each(['live', 'log'] as const)('ends a %s display quietly', async (mode) => {
    const { screen, clock, display } = scene({ mode })
    display.handle(fact('request-queued'))
    clock.advance(100)
    screen.broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })

    display.warn('nobody reads this')
    await new Promise(setImmediate)
    display.handle(fact('request-settled'))
    clock.advance(60_000)
    display.close(reportOf(1))

    expect(clock.waiting).toBe(0)
  })

  test('that throws ends it as quietly', () => {
    const screen = pipe()
    screen.write = () => {
      throw new Error('write after end')
    }
    const { display, clock } = scene({ screen })

    display.warn('nobody reads this')
    display.close(reportOf(1))

    expect(clock.waiting).toBe(0)
  })
})

describe('the log', () => {
  test('has one line for each change of a batch, and none for its counts', () => {
    const { screen, display } = scene({ screen: pipe() })
    const counts = (completed: number): { total: number; completed: number; failed: number } => ({
      total: 2,
      completed,
      failed: 0,
    })

    display.handle(fact('request-queued'))
    display.handle(fact('batch-submitting'))
    display.handle(fact('batch-submitted'))
    for (const completed of [0, 1, 2]) display.handle(fact('batch-progress', { counts: counts(completed) }))
    display.handle(fact('batch-progress', { status: 'finalizing', counts: counts(2) }))
    display.handle(fact('batch-completed', { succeeded: 1, failed: 1 }))

    expect(screen.lines).toEqual([
      'offpeak  batch tag1: submitting, 2 requests to openai gpt-5-mini /v1/responses',
      'offpeak  batch batch_1: submitted, 2 requests to openai gpt-5-mini /v1/responses',
      'offpeak  batch batch_1: in_progress, 0/2 done',
      'offpeak  batch batch_1: finalizing, 2/2 done',
      'offpeak  batch batch_1: completed, 1 answered, 1 failed',
    ])
  })

  test('tells of failures, cancellations and recoveries', () => {
    const { screen, display } = scene({ screen: pipe() })

    display.handle(fact('batch-failed', { reason: 'token_limit_exceeded', willRetry: true }))
    display.handle(fact('batch-cancelled', { intent: 'b', id: 'batch_b' }))
    display.handle(fact('batch-recovered', { intent: 'c', id: 'batch_c' }))
    display.handle(fact('batch-recovered', { intent: 'd', id: undefined, how: 'never-created' }))

    expect(screen.lines).toEqual([
      'offpeak  batch batch_1: failed, token_limit_exceeded; its requests are sent again',
      'offpeak  batch batch_b: cancelled, cancelled',
      'offpeak  batch batch_c: resumed, 2 requests',
      'offpeak  batch d: was never created, 2 requests',
    ])
  })

  test('says how far everything is every 30 seconds, other news or not, as long as something is awaited', () => {
    const { screen, clock, display } = scene({ screen: pipe() })
    display.handle(fact('request-queued'))

    clock.advance(29_000)
    display.handle(fact('batch-submitting', { jobs: 1 }))
    clock.advance(31_000)
    display.handle(fact('request-settled'))
    clock.advance(90_000)

    expect(screen.lines).toEqual([
      'offpeak  batch tag1: submitting, 1 request to openai gpt-5-mini /v1/responses',
      'offpeak  30s: 0 queued, 1 running, 0 done, 0 failed',
      'offpeak  1m 00s: 0 queued, 1 running, 0 done, 0 failed',
    ])
  })

  test('says what was saved and how long it may still take', () => {
    const clock = manualClock()
    const progress = createProgress(clock.now(), () => [60_000, 120_000, 180_000])
    const cost = (): { savedUsd: number; liveCostUsd: number; unpricedRequests: number } => ({
      savedUsd: 0.42,
      liveCostUsd: 0.84,
      unpricedRequests: 0,
    })
    const { screen, display } = scene({ screen: pipe(), clock, progress, cost })
    for (const event of [fact('request-queued'), fact('batch-submitting', { jobs: 1 }), fact('batch-submitted')]) {
      reduce(progress, event)
      display.handle(event)
    }

    clock.advance(30_000)

    expect(screen.lines.at(-1)).toBe(
      'offpeak  30s: 0 queued, 1 running, 0 done, 0 failed; 30s–3m left; saved $0.42 of $0.84',
    )
  })

  test('has one line per outage, not one per attempt', () => {
    const { screen, display } = scene({ screen: pipe() })
    const since = new Date(2026, 0, 5, 12, 3).getTime()

    for (const at of [since, since + 10_000]) display.handle(fact('provider-unreachable', { at, since }))
    display.handle(fact('provider-unreachable', { at: since + 600_000, since: since + 600_000 }))

    expect(screen.lines).toEqual([
      'offpeak  openai unreachable since 12:03, next try in 10s',
      'offpeak  openai unreachable since 12:13, next try in 10s',
    ])
  })

  test('ends with the summary, without escape codes', () => {
    const { screen, display, clock } = scene({ screen: pipe(), env: {} })
    display.handle(fact('request-passed-through'))

    display.close(reportOf(1, 2))

    expect(screen.lines.slice(1)).toEqual([
      'offpeak  2 requests in 0ms: 2 answered',
      '  20 tokens in, 10 out',
      '  1 call went through at full price: 1 streaming',
    ])
    expect(screen.raw).not.toContain('\u001b')
    expect(clock.waiting).toBe(0)
    expect(screen.eventNames()).toEqual([])
  })

  test('of many scopes at once listens to their stream once', () => {
    const screen = pipe()
    const displays = Array.from({ length: 20 }, () => scene({ screen }).display)

    expect(screen.listenerCount('error')).toBe(1)
    for (const display of displays) display.close()
    expect(screen.listenerCount('error')).toBe(0)
  })

  test('a scope without calls has no last words', () => {
    const { screen, display } = scene({ screen: pipe() })

    display.close(reportOf())

    expect(screen.raw).toBe('')
  })
})

describe('warnings', () => {
  const reasons = [
    'streaming',
    'not-json',
    'unreadable-body',
    'outside-scope',
    'not-admitted',
    'scope-closed',
    'disabled',
  ] as const satisfies readonly PassReason[]

  test.each(reasons)('%s: names the call, the price and the way out, once', (reason) => {
    const { screen, display } = scene({ screen: pipe() })

    for (let call = 0; call < 3; call += 1) display.handle(fact('request-passed-through', { reason, detail: 'why' }))

    expect(screen.lines).toHaveLength(1)
    expect(screen.lines[0]).toMatch(/^offpeak {2}.*openai \/v1\/responses.* at full price[,.].*\.$/)
  })

  test('every reason why a body cannot ride a batch is told', () => {
    const { screen, display } = scene({ screen: pipe() })

    for (const detail of ['background is set', 'background is set', 'it is too large']) {
      display.handle(fact('request-passed-through', { reason: 'not-admitted', detail }))
    }

    expect(screen.lines).toEqual([
      'offpeak  A call to openai /v1/responses cannot ride a batch: background is set. It went straight through, at full price. To batch it, change that part of the request.',
      'offpeak  A call to openai /v1/responses cannot ride a batch: it is too large. It went straight through, at full price. To batch it, change that part of the request.',
    ])
  })

  test('a refused batch is told with its reason, and one that is sent again is not', () => {
    const { screen, clock, display } = scene({ screen: new FakeScreen(400) })

    display.handle(fact('batch-failed', { reason: 'token_limit_exceeded', willRetry: true }))
    display.handle(fact('batch-failed', { reason: 'invalid_api_key' }))
    clock.advance(100)

    expect(screen.lines.filter((line) => line.includes('refused') || line.includes('failed batch'))).toEqual([
      'offpeak  openai failed batch batch_1 of 2 requests: invalid_api_key. Nothing in it was run or billed; each caller gets the reason.',
    ])
  })

  test('what may be billed twice is told', () => {
    const { screen, display } = scene({ screen: pipe() })

    display.handle(fact('rows-missing'))
    display.handle(fact('request-requeued', { possiblyBilled: false }))
    display.handle(fact('request-requeued', { possiblyBilled: true, reason: 'missing' }))

    expect(screen.lines).toEqual([
      'offpeak  The results of batch_1 lack 1 row. They are read again; what stays missing is sent once more, and may then be billed twice, at batch price.',
      'offpeak  openai gave no answer to a request it may have run (missing), so it is sent once more. It may be billed twice, at batch price.',
    ])
  })

  test('there is an end to them', () => {
    const { screen, display } = scene({ screen: pipe() })

    for (let index = 0; index < 500; index += 1) {
      display.handle(fact('request-passed-through', { reason: 'not-admitted', detail: `reason ${index}` }))
    }

    expect(screen.lines).toHaveLength(30)
  })
})
