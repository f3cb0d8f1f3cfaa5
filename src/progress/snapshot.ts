import type { BatchCounts } from '../core/batch.ts'
import type { EventOf, OffpeakEvent } from '../core/events.ts'
import type { Cost, Report } from '../core/report.ts'
import type { JobId } from '../core/job.ts'
import type { PassReason } from '../core/request.ts'
import type { RequestCounts, Snapshot } from '../core/snapshot.ts'
import { type Failures, failureTallies, tallyFailure } from './failures.ts'
import { createJobSet, type JobSet, PENDING, SETTLED, UNSEEN } from './job-set.ts'
import { clearTrouble, isBusy, NO_ROOM, noteNoRoom, noteTrouble, type Troubles } from './troubles.ts'

/** One intent and its batch. */
interface BatchProgress {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly startedAt: number
  id: string | undefined
  jobs: number
  state: string
  /** undefined while the provider reports none. */
  counts: BatchCounts | undefined
  endedAt: number | undefined
  /** Its jobs count as running, and not as queued any more. */
  claimed: boolean
  /** It turned out that there is no such batch. */
  absent: boolean
}

/** Everything the events have told so far; changed in place, because a large run has millions of them. */
export interface Progress {
  readonly startedAt: number
  readonly jobs: JobSet
  /** Known and not settled: queued or running. */
  pending: number
  running: number
  cached: number
  completed: number
  failed: number
  passed: number
  inputTokens: number
  outputTokens: number
  readonly passedThrough: Map<PassReason, number>
  readonly failures: Failures
  readonly troubles: Troubles
  /** By intent, in order of appearance. */
  readonly batches: Map<string, BatchProgress>
}

export function createProgress(startedAt: number): Progress {
  return {
    startedAt,
    jobs: createJobSet(),
    pending: 0,
    running: 0,
    cached: 0,
    completed: 0,
    failed: 0,
    passed: 0,
    inputTokens: 0,
    outputTokens: 0,
    passedThrough: new Map(),
    failures: new Map(),
    troubles: new Map(),
    batches: new Map(),
  }
}

/** Takes one event in. The request events come by the million and allocate nothing. */
export function reduce(progress: Progress, event: OffpeakEvent): void {
  switch (event.type) {
    case 'request-queued':
      waitFor(progress, event.job)
      return
    case 'request-joined':
      // Somebody may have submitted it already: it is not ours to queue.
      if (waitFor(progress, event.job)) progress.running += 1
      return
    case 'request-settled':
      // A deferred call has its reply, but its job goes on with the provider: it did not fail.
      if (event.reason !== 'deferred') settle(progress, event)
      return
    case 'request-cached':
      cached(progress, event.job)
      return
    case 'request-requeued':
      if (!waitFor(progress, event.job)) leaveBatch(progress)
      return
    case 'request-passed-through':
      progress.passed += 1
      progress.passedThrough.set(event.reason, (progress.passedThrough.get(event.reason) ?? 0) + 1)
      return
    case 'provider-unreachable':
      noteTrouble(progress.troubles, event)
      return
    case 'scope-closing':
    case 'scope-closed':
      return
    case 'rows-missing':
      batchOf(progress, event)
      return
    case 'batch-submitting':
    case 'batch-submitted':
    case 'batch-progress':
    case 'batch-recovered':
    case 'batch-completed':
    case 'batch-failed':
    case 'batch-cancelled':
      reduceBatch(progress, event)
  }
}

/** Begins to wait for a job; false when it was waited for already. */
function waitFor(progress: Progress, job: JobId): boolean {
  if (progress.jobs.get(job) === PENDING) return false
  progress.jobs.set(job, PENDING)
  progress.pending += 1
  return true
}

function settle(progress: Progress, event: EventOf<'request-settled'>): void {
  const mark = progress.jobs.get(event.job)
  if (mark === SETTLED) return
  // A job of an earlier run that nobody has asked for again in this one.
  if (mark === UNSEEN) return
  progress.jobs.set(event.job, SETTLED)
  progress.pending -= 1
  // 499 without a batch: its caller left while it was queued. Anything else happens to submitted jobs.
  if (event.batch !== undefined || event.status !== 499) leaveBatch(progress)
  if (event.usage) {
    progress.inputTokens += event.usage.input
    progress.outputTokens += event.usage.output
  }
  if (event.reason === undefined && event.status < 400) progress.completed += 1
  else {
    progress.failed += 1
    tallyFailure(progress.failures, event)
  }
}

/** Answered from the store, at once or, for a job that another process settled, after a wait. */
function cached(progress: Progress, job: JobId): void {
  if (progress.jobs.get(job) === PENDING) {
    progress.jobs.set(job, SETTLED)
    progress.pending -= 1
    leaveBatch(progress)
  }
  progress.cached += 1
}

function leaveBatch(progress: Progress): void {
  if (progress.running > 0) progress.running -= 1
}

type BatchEvent = Extract<OffpeakEvent, { type: `batch-${string}` | 'rows-missing' }>

/** The entry of the event's batch, brought up to date with what every batch event says. */
function batchOf(progress: Progress, event: BatchEvent): BatchProgress {
  let batch = progress.batches.get(event.intent)
  if (!batch) {
    batch = {
      provider: event.provider,
      endpoint: event.endpoint,
      model: event.model,
      startedAt: event.at,
      id: undefined,
      jobs: event.jobs,
      state: 'running',
      counts: undefined,
      endedAt: undefined,
      claimed: event.type !== 'batch-submitting',
      absent: false,
    }
    progress.batches.set(event.intent, batch)
  }
  batch.id = event.id ?? batch.id
  batch.jobs = event.jobs
  if (event.counts) batch.counts = advance(batch.counts, event.counts)
  return batch
}

/** Providers report from replicas that lag behind each other: what was done stays done. */
function advance(before: BatchCounts | undefined, now: BatchCounts): BatchCounts {
  if (!before) return now
  return {
    total: Math.max(before.total, now.total),
    completed: Math.max(before.completed, now.completed),
    failed: Math.max(before.failed, now.failed),
  }
}

function reduceBatch(progress: Progress, event: Exclude<BatchEvent, { type: 'rows-missing' }>): void {
  const known = progress.batches.get(event.intent)?.id
  // A twin of the intent's batch: created by an ambiguous call, found later and cancelled.
  if (event.type === 'batch-cancelled' && known !== undefined && event.id !== known) return
  const batch = batchOf(progress, event)
  switch (event.type) {
    case 'batch-submitting':
      if (!batch.claimed) progress.running += event.jobs
      batch.claimed = true
      batch.absent = false
      batch.endedAt = undefined
      batch.state = 'submitting'
      return
    case 'batch-submitted':
      batch.state = 'submitted'
      batch.absent = false
      clearTrouble(progress.troubles, event.provider, 'upload', 'create', 'find', NO_ROOM)
      return
    case 'batch-progress':
      batch.state = event.status
      clearTrouble(progress.troubles, event.provider, 'poll')
      return
    case 'batch-recovered':
      batch.absent = event.how === 'never-created'
      if (!batch.absent) batch.state = 'running'
      clearTrouble(progress.troubles, event.provider, 'find', 'create')
      return
    case 'batch-completed':
      batch.counts = advance(batch.counts, {
        total: event.jobs,
        completed: event.succeeded,
        failed: event.failed,
      })
      end(batch, event.status, event.at)
      clearTrouble(progress.troubles, event.provider, 'poll', 'results')
      return
    case 'batch-failed':
      end(batch, 'failed', event.at)
      // Its jobs are requeued or settled next, one by one; should the same intent be sent again, it claims them anew.
      batch.claimed = false
      if (event.willRetry && isBusy(event.reason)) noteNoRoom(progress.troubles, event)
      return
    case 'batch-cancelled':
      end(batch, 'cancelled', event.at)
      clearTrouble(progress.troubles, event.provider, 'cancel')
  }
}

function end(batch: BatchProgress, state: string, at: number): void {
  batch.state = state
  batch.endedAt = at
}

function requestCounts(progress: Progress): RequestCounts {
  const { pending, cached, completed, failed, passed } = progress
  const running = Math.min(progress.running, pending)
  return {
    total: cached + pending + completed + failed + passed,
    cached,
    queued: pending - running,
    running,
    completed,
    failed,
    passedThrough: passed,
  }
}

/** Progress as plain data. */
export function toSnapshot(progress: Progress, now: number): Snapshot {
  const batches: Snapshot['batches'][number][] = []
  for (const [intent, batch] of progress.batches) {
    if (batch.absent) continue
    batches.push({
      id: batch.id ?? intent,
      provider: batch.provider,
      endpoint: batch.endpoint,
      model: batch.model,
      state: batch.state,
      ended: batch.endedAt !== undefined,
      // While it validates, a provider may report a total of zero.
      total: Math.max(batch.jobs, batch.counts?.total ?? 0),
      completed: batch.counts?.completed ?? 0,
      failed: batch.counts?.failed ?? 0,
      countsKnown: batch.counts !== undefined,
      ageMs: Math.max(0, (batch.endedAt ?? now) - batch.startedAt),
    })
  }
  return { requests: requestCounts(progress), batches, elapsedMs: Math.max(0, now - progress.startedAt) }
}

/** What was done; the sums of money come from whoever keeps the ledger. */
export function toReport(progress: Progress, cost: Cost): Report {
  let batches = 0
  for (const batch of progress.batches.values()) if (batch.id !== undefined) batches += 1
  return {
    requests: requestCounts(progress),
    batches,
    tokens: { input: progress.inputTokens, output: progress.outputTokens },
    ...cost,
    failures: failureTallies(progress.failures),
  }
}
