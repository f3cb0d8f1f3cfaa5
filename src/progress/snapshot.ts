import type { BatchCounts } from '../core/batch.ts'
import type { EventOf, OffpeakEvent } from '../core/events.ts'
import type { Cost, Report } from '../core/report.ts'
import type { JobId } from '../core/job.ts'
import type { PassReason } from '../core/request.ts'
import type { BatchSnapshot, RequestCounts, Snapshot } from '../core/snapshot.ts'
import { createDurations, type Durations, type History, NO_HISTORY } from './durations.ts'
import { type Failures, failureTallies, tallyFailure } from './failures.ts'
import { createJobSet, type JobSet, PENDING, SETTLED, UNSEEN } from './job-set.ts'
import { leftOfAll, leftOfBatch, type Underway } from './time-left.ts'
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
  /** Rows that have been read and settled, which may be more than the provider has counted. */
  answered: number
  refused: number
  /** undefined until the provider has it. */
  submittedAt: number | undefined
  /** It was submitted by this run, so that its end is seen when it comes. */
  watched: boolean
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
  /** The same, by the provider's id. */
  readonly byId: Map<string, BatchProgress>
  readonly durations: Durations
}

/** `history` knows how long batches of earlier runs took. */
export function createProgress(startedAt: number, history: History = NO_HISTORY): Progress {
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
    byId: new Map(),
    durations: createDurations(history),
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
  countRow(progress, event)
  // A job of an earlier run that nobody has asked for again in this one.
  if (mark === UNSEEN) return
  progress.jobs.set(event.job, SETTLED)
  progress.pending -= 1
  // Without a batch: its caller left while it was queued (499), or the limit of cost kept it there (402). Anything else happens to submitted jobs.
  if (event.batch !== undefined || (event.status !== 499 && event.status !== 402)) leaveBatch(progress)
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

/** Some providers give rows while the batch runs: whoever asked for them has the answer before any count says so. */
function countRow(progress: Progress, event: EventOf<'request-settled'>): void {
  const batch = event.batch === undefined ? undefined : progress.byId.get(event.batch)
  if (!batch) return
  if (event.status < 400) batch.answered += 1
  else batch.refused += 1
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
      startedAt: event.submittedAt ?? event.at,
      id: undefined,
      jobs: event.jobs,
      state: 'running',
      counts: undefined,
      answered: 0,
      refused: 0,
      submittedAt: undefined,
      watched: false,
      endedAt: undefined,
      claimed: event.type !== 'batch-submitting',
      absent: false,
    }
    progress.batches.set(event.intent, batch)
  }
  if (event.id !== undefined && event.id !== batch.id) {
    batch.id = event.id
    progress.byId.set(event.id, batch)
  }
  batch.submittedAt = event.submittedAt ?? batch.submittedAt
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
      batch.submittedAt ??= event.at
      batch.watched = true
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
      learn(progress, batch, event.at)
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

/** What an earlier run submitted may have ended long before anybody looked: it tells nothing. */
function learn({ durations }: Progress, { provider, model, submittedAt, watched }: BatchProgress, at: number): void {
  if (watched && submittedAt !== undefined) durations.add(provider, model, Math.max(0, at - submittedAt))
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
  const requests = requestCounts(progress)
  const batches: BatchSnapshot[] = []
  const open: Underway[] = []
  let jobsInOpen = 0
  for (const [intent, batch] of progress.batches) {
    if (batch.absent) continue
    if (batch.endedAt !== undefined) {
      batches.push(batchSnapshot(intent, batch, now))
      continue
    }
    const underway = underwayOf(progress, batch, now)
    const left = leftOfBatch(underway)
    open.push(underway)
    jobsInOpen += batch.jobs
    batches.push({ ...batchSnapshot(intent, batch, now), ...(left ? { left } : {}) })
  }
  // What is in no batch yet, or in one that another process looks after.
  const moreToCome = requests.queued > 0 || requests.running > jobsInOpen
  const left = requests.queued + requests.running > 0 ? leftOfAll(open, moreToCome) : undefined
  const elapsedMs = Math.max(0, now - progress.startedAt)
  return { requests, batches, elapsedMs, ...(left ? { left } : {}) }
}

function underwayOf({ durations }: Progress, batch: BatchProgress, now: number): Underway {
  const { provider, model, submittedAt = now } = batch
  return { ageMs: Math.max(0, now - submittedAt), durations: durations.of(provider, model) }
}

function batchSnapshot(intent: string, batch: BatchProgress, now: number): BatchSnapshot {
  const { id = intent, provider, endpoint, model, state, counts, answered, refused } = batch
  // While it validates, a provider may report a total of zero.
  const total = Math.max(batch.jobs, counts?.total ?? 0)
  const completed = Math.min(total, Math.max(answered, counts?.completed ?? 0))
  return {
    id,
    provider,
    endpoint,
    model,
    state,
    ended: batch.endedAt !== undefined,
    total,
    completed,
    // A provider may count as completed what turns out to be a failure.
    failed: Math.min(total - completed, Math.max(refused, counts?.failed ?? 0)),
    countsKnown: counts !== undefined || answered + refused > 0,
    ageMs: Math.max(0, (batch.endedAt ?? now) - batch.startedAt),
  }
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
