import { describe, expect, test } from 'vitest'
import type { OffpeakEvent } from '../../../src/core/events.ts'
import { createProgress, type Progress, reduce, toReport, toSnapshot } from '../../../src/progress/snapshot.ts'
import { openTroubles } from '../../../src/progress/troubles.ts'
import { fact } from './facts.ts'

const NO_COST = { unpricedRequests: 0 }

function progressAfter(...events: readonly OffpeakEvent[]): Progress {
  const progress = createProgress(1_000_000)
  for (const event of events) reduce(progress, event)
  return progress
}

function requestsAfter(...events: readonly OffpeakEvent[]): Partial<ReturnType<typeof toSnapshot>['requests']> {
  const { requests } = toSnapshot(progressAfter(...events), 1_000_000)
  return Object.fromEntries(Object.entries(requests).filter(([, count]) => count > 0))
}

function batchesAfter(...events: readonly OffpeakEvent[]): ReturnType<typeof toSnapshot>['batches'] {
  return toSnapshot(progressAfter(...events), 1_000_000).batches
}

const queued = (job: number): OffpeakEvent => fact('request-queued', { job })
const settled = (job: number): OffpeakEvent => fact('request-settled', { job })

describe('requests', () => {
  test('before anything happens every count is zero', () => {
    expect(toSnapshot(createProgress(5), 12)).toEqual({
      requests: { total: 0, cached: 0, queued: 0, running: 0, completed: 0, failed: 0, passedThrough: 0 },
      batches: [],
      elapsedMs: 7,
    })
  })

  test('a queued request is running once its batch has claimed it, and completed once it is answered', () => {
    const steps = [queued(1), queued(2), fact('batch-submitting'), fact('batch-submitted'), settled(1)]

    expect(requestsAfter(...steps.slice(0, 2))).toEqual({ total: 2, queued: 2 })
    expect(requestsAfter(...steps.slice(0, 3))).toEqual({ total: 2, running: 2 })
    expect(requestsAfter(...steps.slice(0, 4))).toEqual({ total: 2, running: 2 })
    expect(requestsAfter(...steps)).toEqual({ total: 2, running: 1, completed: 1 })
  })

  test('a request that joined a job of an earlier run is running', () => {
    expect(requestsAfter(fact('request-joined', { job: 9 }))).toEqual({ total: 1, running: 1 })
  })

  test('an answer of a neighbour to a request that joined it counts as from the store', () => {
    const joined = fact('request-joined', { job: 9 })

    expect(requestsAfter(joined, fact('request-cached', { job: 9 }))).toEqual({ total: 1, cached: 1 })
  })

  test('a deferred call has not failed: its job is still running', () => {
    const deferred = fact('request-settled', { job: 9, status: 424, reason: 'deferred' })

    expect(requestsAfter(fact('request-joined', { job: 9 }), deferred)).toEqual({ total: 1, running: 1 })
  })

  test('joining the same job twice counts once', () => {
    expect(requestsAfter(queued(1), fact('request-joined', { job: 1 }))).toEqual({ total: 1, queued: 1 })
  })

  test('an answer from the store and a call at full price count on their own', () => {
    expect(requestsAfter(fact('request-cached'), fact('request-passed-through'))).toEqual({
      total: 2,
      cached: 1,
      passedThrough: 1,
    })
  })

  test('a requeued request is queued again, and running again in its next batch', () => {
    const requeued = [queued(1), fact('batch-submitting', { jobs: 1 }), fact('request-requeued', { job: 1 })]
    const again = fact('batch-submitting', { intent: 'tag2', jobs: 1 })

    expect(requestsAfter(...requeued)).toEqual({ total: 1, queued: 1 })
    expect(requestsAfter(...requeued, again)).toEqual({ total: 1, running: 1 })
  })

  test('a batch refused at create and split into two runs every request once', () => {
    const refused = [
      queued(1),
      queued(2),
      fact('batch-submitting'),
      fact('batch-failed', { id: undefined, willRetry: true }),
      fact('request-requeued', { job: 1 }),
      fact('request-requeued', { job: 2 }),
    ]
    const halves = [
      fact('batch-submitting', { intent: 'left', jobs: 1 }),
      fact('batch-submitting', { intent: 'right', jobs: 1 }),
    ]

    expect(requestsAfter(...refused)).toEqual({ total: 2, queued: 2 })
    expect(requestsAfter(...refused, ...halves)).toEqual({ total: 2, running: 2 })
  })

  test('an intent that is submitted again after it was never created claims nothing twice', () => {
    const events = [
      queued(1),
      queued(2),
      queued(3),
      fact('batch-submitting'),
      fact('batch-recovered', { how: 'never-created', id: undefined }),
      fact('batch-submitting'),
    ]

    expect(requestsAfter(...events)).toEqual({ total: 3, queued: 1, running: 2 })
  })

  test('a resumed batch runs only those of its requests that somebody asked for', () => {
    const events = [fact('batch-recovered', { jobs: 100 }), fact('request-joined', { job: 7 })]

    expect(requestsAfter(...events)).toEqual({ total: 1, running: 1 })
    expect(requestsAfter(...events, settled(8), settled(7))).toEqual({ total: 1, completed: 1 })
  })

  test.each([
    ['a caller who leaves', 499, 'left'],
    ['a request that the limit of cost refuses', 402, 'cost_limit'],
  ])('%s while queued takes nothing from what is running', (_, status, reason) => {
    const leaves = fact('request-settled', { job: 3, status, batch: undefined, usage: undefined, reason })

    expect(requestsAfter(queued(1), queued(2), fact('batch-submitting'), queued(3), leaves)).toEqual({
      total: 3,
      running: 2,
      failed: 1,
    })
  })

  test('a job settles once, however often it is told', () => {
    expect(requestsAfter(queued(1), fact('batch-submitting', { jobs: 1 }), settled(1), settled(1))).toEqual({
      total: 1,
      completed: 1,
    })
  })

  test('a job that is asked for again after it failed is a new request', () => {
    const failed = fact('request-settled', { job: 1, status: 401, reason: 'invalid_api_key' })

    expect(requestsAfter(queued(1), fact('batch-submitting', { jobs: 1 }), failed, queued(1))).toEqual({
      total: 2,
      queued: 1,
      failed: 1,
    })
  })

  test('jobs are told apart however far apart their ids are', () => {
    const ids = [0, 1, 4095, 4096, 2 ** 31, 2 ** 40]

    expect(requestsAfter(...ids.map(queued), ...ids.map(queued))).toEqual({ total: 6, queued: 6 })
  })

  test('the parts always add up to the total', () => {
    const jobs = Array.from({ length: 500 }, (_, job) => job)
    const progress = createProgress(0)
    // A fixed but unruly order of events, some of which contradict each other.
    for (const job of jobs) {
      const which = (job * 7919) % 11
      reduce(progress, queued(job % 97))
      if (which < 3) reduce(progress, fact('batch-submitting', { intent: `tag${which}`, jobs: which + 1 }))
      if (which > 4) reduce(progress, settled((job * 31) % 97))
      if (which === 4) reduce(progress, fact('request-requeued', { job: job % 13 }))
      if (which === 3) reduce(progress, fact('request-joined', { job: (job * 3) % 101 }))

      const { total, ...parts } = toSnapshot(progress, 0).requests
      expect(Object.values(parts).reduce((sum, count) => sum + count, 0)).toBe(total)
      expect(Math.min(...Object.values(parts))).toBeGreaterThanOrEqual(0)
    }
  })
})

describe('batches', () => {
  test('a batch has its tag for a name until it has an id', () => {
    expect(batchesAfter(fact('batch-submitting'))[0]).toMatchObject({ id: 'tag1', state: 'submitting', ended: false })
    expect(batchesAfter(fact('batch-submitting'), fact('batch-submitted'))[0]).toMatchObject({
      id: 'batch_1',
      state: 'submitted',
    })
  })

  test('without counts from the provider they stay unknown', () => {
    expect(batchesAfter(fact('batch-submitted'), fact('batch-progress'))[0]).toMatchObject({
      state: 'in_progress',
      total: 2,
      completed: 0,
      failed: 0,
      countsKnown: false,
    })
  })

  test('what a lagging replica reports takes nothing back', () => {
    const events = [9, 4].map((completed) =>
      fact('batch-progress', { jobs: 10, counts: { total: 10, completed, failed: 1 } }),
    )

    expect(batchesAfter(...events)[0]).toMatchObject({ completed: 9, failed: 1, total: 10, countsKnown: true })
  })

  test('rows that are read while a batch runs are done, before its provider counts them', () => {
    const rows = [
      queued(1),
      queued(2),
      queued(3),
      fact('batch-submitting', { jobs: 3 }),
      fact('batch-submitted', { jobs: 3 }),
      settled(1),
      fact('request-settled', { job: 2, status: 400, reason: 'invalid_value' }),
    ]

    expect(requestsAfter(...rows)).toEqual({ total: 3, running: 1, completed: 1, failed: 1 })
    expect(batchesAfter(...rows)[0]).toMatchObject({ completed: 1, failed: 1, countsKnown: true, ended: false })
    const late = fact('batch-progress', { jobs: 3, counts: { total: 3, completed: 0, failed: 0 } })
    expect(batchesAfter(...rows, late)[0]).toMatchObject({ completed: 1, failed: 1 })
  })

  test('what is done is never more than there is, however a provider counts its failures', () => {
    const failed = fact('request-settled', { job: 1, status: 400, reason: 'invalid_value' })
    const counts = { total: 2, completed: 2, failed: 0 }

    expect(batchesAfter(queued(1), fact('batch-submitted', { counts }), failed)[0]).toMatchObject({
      total: 2,
      completed: 2,
      failed: 0,
    })
  })

  test('a row told twice, or of no batch that is known, counts once or not at all', () => {
    const events = [queued(1), fact('batch-submitting'), fact('batch-submitted'), settled(1), settled(1)]
    const elsewhere = fact('request-settled', { job: 2, batch: 'batch_of_a_neighbour' })

    expect(batchesAfter(...events, queued(2), elsewhere)[0]).toMatchObject({ completed: 1, failed: 0 })
  })

  test('a batch of an earlier run is as old as it is', () => {
    const progress = progressAfter(fact('batch-recovered', { at: 1_000_000, submittedAt: 400_000 }))

    expect(toSnapshot(progress, 1_000_000).batches[0]).toMatchObject({ ageMs: 600_000 })
  })

  test('a total of zero during validation does not hide how many jobs were sent', () => {
    const validating = fact('batch-progress', { status: 'validating', counts: { total: 0, completed: 0, failed: 0 } })

    expect(batchesAfter(validating)[0]).toMatchObject({ state: 'validating', total: 2, completed: 0 })
  })

  test('a batch that has ended keeps its outcome, its counts and its age', () => {
    const progress = progressAfter(
      fact('batch-submitting', { at: 1_000_000 }),
      fact('batch-completed', { at: 1_005_000, status: 'expired', succeeded: 1, failed: 1 }),
    )

    expect(toSnapshot(progress, 9_000_000).batches[0]).toMatchObject({
      state: 'expired',
      ended: true,
      completed: 1,
      failed: 1,
      countsKnown: true,
      ageMs: 5000,
    })
  })

  test('a batch that was never created is not listed, until it is', () => {
    const gone = [fact('batch-submitting'), fact('batch-recovered', { how: 'never-created', id: undefined })]

    expect(batchesAfter(...gone)).toEqual([])
    expect(batchesAfter(...gone, fact('batch-submitted'))).toHaveLength(1)
  })

  test('a cancelled twin does not end the batch that was adopted', () => {
    const events = [
      fact('batch-submitting'),
      fact('batch-recovered', { how: 'adopted' }),
      fact('batch-cancelled', { id: 'batch_twin', reason: 'twin' }),
    ]

    expect(batchesAfter(...events)).toMatchObject([{ id: 'batch_1', ended: false }])
  })

  test('a cancelled batch has ended', () => {
    expect(batchesAfter(fact('batch-submitted'), fact('batch-cancelled'))).toMatchObject([
      { state: 'cancelled', ended: true },
    ])
  })
})

describe('the time left', () => {
  const DURATIONS = [100_000, 200_000, 300_000, 400_000, 500_000]

  function leftAfter(
    events: readonly OffpeakEvent[],
    now: number,
    durations = DURATIONS,
  ): ReturnType<typeof toSnapshot> {
    const progress = createProgress(1_000_000, (provider, model) =>
      provider === 'openai' && model === 'gpt-5-mini' ? durations : [],
    )
    for (const event of events) reduce(progress, event)
    return toSnapshot(progress, now)
  }

  const running = [queued(1), fact('batch-submitting', { jobs: 1 }), fact('batch-submitted', { jobs: 1 })]

  test('is a range of how long earlier batches of the same provider and model took', () => {
    const { left, batches } = leftAfter(running, 1_050_000)

    expect(left).toEqual({ fromMs: 50_000, toMs: 450_000 })
    expect(batches[0]?.left).toEqual({ fromMs: 50_000, toMs: 450_000 })
  })

  test('leaves out those that had ended by the age this batch has', () => {
    expect(leftAfter(running, 1_250_000).left).toEqual({ fromMs: 50_000, toMs: 250_000 })
  })

  test('may be nothing any more when few took longer', () => {
    expect(leftAfter(running, 1_350_000).left).toEqual({ fromMs: 0, toMs: 150_000 })
  })

  test('is unknown when none took that long', () => {
    const { left, batches } = leftAfter(running, 1_500_000)

    expect(left).toBeUndefined()
    expect(batches[0]).not.toHaveProperty('left')
  })

  test('is unknown from less than three', () => {
    expect(leftAfter(running, 1_000_000, [100_000, 200_000]).left).toBeUndefined()
  })

  test('is learned from the batches of this run as they end', () => {
    const ended = [100_000, 300_000, 200_000].flatMap((ms, index) => {
      const about = { intent: `ended${index}`, id: `batch_ended${index}` }
      return [fact('batch-submitted', about), fact('batch-completed', { ...about, at: 1_000_000 + ms })]
    })

    expect(leftAfter([...ended, ...running], 1_000_000, []).left).toEqual({ fromMs: 100_000, toMs: 300_000 })
  })

  test('is not learned from batches of an earlier run, which may have ended before anybody looked', () => {
    const ended = [1, 2, 3].flatMap((index) => {
      const about = { intent: `ended${index}`, id: `batch_ended${index}`, submittedAt: 1000 }
      return [fact('batch-recovered', about), fact('batch-completed', { ...about, at: 9_000_000 })]
    })

    expect(leftAfter([...ended, ...running], 1_000_000, []).left).toBeUndefined()
  })

  test('counts from when the provider got the batch, in whatever run', () => {
    const resumed = [fact('batch-recovered', { submittedAt: 750_000 }), fact('request-joined', { job: 1 })]

    expect(leftAfter(resumed, 1_000_000).left).toEqual({ fromMs: 50_000, toMs: 250_000 })
  })

  test('of several batches is that of the slowest', () => {
    const other = { intent: 'tag2', id: 'batch_2', jobs: 1, at: 1_040_000 }
    const second = [queued(2), fact('batch-submitting', other), fact('batch-submitted', other)]

    expect(leftAfter([...running, ...second], 1_050_000).left).toEqual({ fromMs: 90_000, toMs: 490_000 })
  })

  test('has no far end as long as something of it cannot be told', () => {
    const unknown = { intent: 'tag2', id: 'batch_2', jobs: 1, model: 'o3' }
    const second = [queued(2), fact('batch-submitting', unknown), fact('batch-submitted', unknown)]

    expect(leftAfter([...running, ...second], 1_050_000).left).toEqual({ fromMs: 50_000 })
    expect(leftAfter([...running, queued(2)], 1_050_000).left).toEqual({ fromMs: 50_000 })
    expect(leftAfter([...running, fact('request-joined', { job: 3 })], 1_050_000).left).toEqual({ fromMs: 50_000 })
    expect(leftAfter([...running, queued(2)], 1_350_000).left).toBeUndefined()
  })

  test('is over when nothing is awaited', () => {
    expect(leftAfter([...running, settled(1)], 1_050_000).left).toBeUndefined()
    expect(leftAfter([], 1_050_000).left).toBeUndefined()
  })

  test('of many batches ends later than that of one: one of them is the slowest', () => {
    const durations = Array.from({ length: 100 }, (_, index) => (index + 1) * 1000)
    const many = Array.from({ length: 20 }, (_, index) => {
      const about = { intent: `tag${index}`, id: `batch_${index}`, jobs: 1 }
      return [queued(index), fact('batch-submitting', about), fact('batch-submitted', about)]
    })

    const one = leftAfter(many[0] ?? [], 1_000_000, durations).left
    const all = leftAfter(many.flat(), 1_000_000, durations).left

    expect(one).toEqual({ fromMs: 10_000, toMs: 91_000 })
    expect(all).toEqual({ fromMs: 10_000, toMs: 100_000 })
  })

  test('is not worth a failure: without a store to ask it is unknown', () => {
    const progress = createProgress(0, () => {
      throw new Error('the store is closed')
    })
    for (const event of running) reduce(progress, event)

    expect(toSnapshot(progress, 1_000_000).left).toBeUndefined()
  })
})

describe('troubles', () => {
  test('an outage is over with the next poll that is answered', () => {
    const progress = progressAfter(fact('provider-unreachable'))
    expect(openTroubles(progress.troubles, 1_000_000)).toMatchObject([{ provider: 'openai', since: 1_000_000 }])

    reduce(progress, fact('batch-progress'))

    expect(openTroubles(progress.troubles, 1_000_000)).toEqual([])
  })

  test('a poll that is answered does not mean that uploads work', () => {
    const progress = progressAfter(fact('provider-unreachable', { doing: 'upload' }), fact('batch-progress'))

    expect(openTroubles(progress.troubles, 1_000_000)).toHaveLength(1)
  })

  test('a failure that is not repeated when its retry was due is over', () => {
    const { troubles } = progressAfter(fact('provider-unreachable', { retryInMs: 10_000 }))

    expect(openTroubles(troubles, 1_030_000)).toHaveLength(1)
    expect(openTroubles(troubles, 1_050_000)).toEqual([])
  })

  test('a batch held back for want of room is waiting until one is submitted', () => {
    const progress = progressAfter(fact('batch-failed', { reason: 'token_limit_exceeded', willRetry: true }))
    expect(openTroubles(progress.troubles, 1_100_000)).toMatchObject([{ doing: 'submit', since: 1_000_000 }])

    reduce(progress, fact('batch-submitted', { intent: 'tag2' }))

    expect(openTroubles(progress.troubles, 1_100_000)).toEqual([])
  })

  test('a batch split because of one bad line is not waiting for room', () => {
    const { troubles } = progressAfter(fact('batch-failed', { reason: 'invalid_json_line', willRetry: true }))

    expect(openTroubles(troubles, 1_000_000)).toEqual([])
  })
})

describe('the report', () => {
  test('sums tokens and counts batches that the provider has', () => {
    const progress = progressAfter(
      queued(1),
      queued(2),
      fact('batch-submitting'),
      fact('batch-submitted'),
      fact('batch-failed', { intent: 'tag2', id: undefined }),
      fact('request-settled', { job: 1, usage: { input: 100, output: 20 } }),
      fact('request-settled', { job: 2, usage: { input: 11, output: 2 } }),
    )

    expect(toReport(progress, NO_COST)).toMatchObject({
      batches: 1,
      tokens: { input: 111, output: 22 },
      unpricedRequests: 0,
      failures: [],
    })
  })

  test('carries the money as it is given, and no key for what is unknown', () => {
    const progress = createProgress(0)

    expect(toReport(progress, { costUsd: 1, liveCostUsd: 2, savedUsd: 1, unpricedRequests: 3 })).toMatchObject({
      costUsd: 1,
      liveCostUsd: 2,
      savedUsd: 1,
      unpricedRequests: 3,
    })
    expect(Object.keys(toReport(progress, NO_COST))).not.toContain('costUsd')
  })

  test('tallies failures by reason, the most frequent first, with one example each', () => {
    const fail = (job: number, status: number, reason: string | undefined): OffpeakEvent =>
      fact('request-settled', { job, status, reason, usage: undefined, batch: job === 4 ? undefined : 'batch_1' })
    const progress = progressAfter(
      ...[1, 2, 3, 4].map(queued),
      fail(4, 424, 'expired'),
      fail(1, 400, 'invalid_value'),
      fail(2, 400, 'invalid_value'),
      fail(3, 500, undefined),
    )

    expect(toReport(progress, NO_COST).failures).toEqual([
      { reason: 'invalid_value', count: 2, example: 'job 1 of batch_1, HTTP 400' },
      { reason: 'expired', count: 1, example: 'job 4, HTTP 424' },
      { reason: 'HTTP 500', count: 1, example: 'job 3 of batch_1, HTTP 500' },
    ])
  })

  test('a provider that puts an id into every code does not fill the report', () => {
    const jobs = Array.from({ length: 300 }, (_, job) => job)
    const progress = progressAfter(...jobs.map(queued))
    for (const job of jobs) reduce(progress, fact('request-settled', { job, status: 500, reason: `oops-${job}` }))

    const { failures } = toReport(progress, NO_COST)

    expect(failures).toHaveLength(51)
    expect(failures[0]).toMatchObject({ reason: 'other', count: 250 })
  })
})
