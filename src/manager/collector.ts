import { sleep } from '../core/clock.ts'
import type { BatchState, JobResult } from '../core/batch.ts'
import { ProviderError } from '../core/errors.ts'
import { parseCustomId, type JobId } from '../core/job.ts'
import { backOffMs } from '../core/poll-policy.ts'
import type { JsonObject } from '../core/request.ts'
import type { JobStatus } from '../core/store.ts'
import { about, aboutBatch } from './about.ts'
import { isOutside, reasonOf } from './caller.ts'
import {
  advance,
  MAX_REQUEUES,
  type ManagerContext,
  type OpenBatch,
  pollIntervalMs,
  type QueueAgain,
} from './context.ts'
import { TIME_UP } from './gate.ts'
import type { Rejection } from './rejection.ts'
import { problemAnswer } from './replies.ts'
import type { Outcome, Settler } from './settler.ts'

/** Rows settled in one transaction. */
const GROUP = 1000
/** A results file that has not been there for so long will not come: its rows are missing, and what ran is paid again. Providers say "briefly". */
const GONE_MS = 20 * 60_000

/** What a row means for its job. `passing`: another try may do better; `outcome` is what it comes to without one. */
interface Reading {
  readonly outcome: Outcome
  readonly passing: string | undefined
}

interface Tally {
  succeeded: number
  failed: number
  unreadable: number
}

interface Early {
  readonly tally: Tally
  since: JsonObject | undefined
  /** By the provider's counts, when everything that had finished had been read. */
  rowsDone: number | undefined
  isReading: boolean
}

function newTally(): Tally {
  return { succeeded: 0, failed: 0, unreadable: 0 }
}

/** Reads the results of an ended batch and sees to it that every job of it ends, one way or another. */
export class Collector {
  readonly #context: ManagerContext
  readonly #settler: Settler
  readonly #rejection: Rejection
  readonly #queueAgain: QueueAgain
  /** What was read of batches that still run. */
  readonly #early = new WeakMap<OpenBatch, Early>()

  constructor(context: ManagerContext, settler: Settler, rejection: Rejection, queueAgain: QueueAgain) {
    this.#context = context
    this.#settler = settler
    this.#rejection = rejection
    this.#queueAgain = queueAgain
  }

  async collect(batch: OpenBatch, state: BatchState & { phase: 'ended' }): Promise<void> {
    const { store, clock, emit, stopping } = this.#context
    const early = this.#early.get(batch)
    const tally = early?.tally ?? newTally()
    const isDone = early !== undefined && store.unsettled(batch.intent.id).length === 0
    if (!isDone && !(await this.#readWhole(batch, tally))) return

    let left = store.unsettled(batch.intent.id)
    if (left.length > 0 && (state.outcome === 'completed' || tally.unreadable > 0)) {
      emit({ ...aboutBatch(batch.intent, clock.now()), type: 'rows-missing', missing: left.length })
      await sleep(clock, pollIntervalMs(this.#context, batch.account), { signal: stopping })
      if (!(await this.#readWhole(batch, tally, 'again'))) return
      left = store.unsettled(batch.intent.id)
    }
    this.#endRest(batch, state, left, tally)
    this.#end(batch, state, tally)
    await this.#release(batch)
  }

  /**
   * Answers the callers whose rows have finished while their batch still runs, where the provider shows them. A row that may do better, or
   * cannot be read yet, is left for the end. True when that was every row: nothing is left to wait for.
   */
  async collectFinished(batch: OpenBatch): Promise<boolean> {
    const { handle, counts } = batch.intent
    const { adapter, call } = batch.account
    const early = this.#early.get(batch) ?? {
      tally: newTally(),
      since: undefined,
      rowsDone: undefined,
      isReading: false,
    }
    this.#early.set(batch, early)
    if (!handle || !adapter.finished || early.isReading) return false
    // While the counts stand still there is nothing new to read.
    const rowsDone = counts && counts.completed + counts.failed
    if (rowsDone !== undefined && rowsDone === early.rowsDone) return false
    early.isReading = true
    try {
      for await (const { rows, since } of adapter.finished(handle, early.since, call)) {
        const readings = rows.flatMap((row) => toReading(batch, row, newTally(), this.#context.timeUp.aborted) ?? [])
        this.#settle(
          batch,
          readings.filter(({ passing }) => passing === undefined),
          early.tally,
        )
        early.since = since
      }
      early.rowsDone = rowsDone
    } catch (error) {
      // The next poll looks again, and the end reads everything.
      if (!isOutside(error)) throw error
    } finally {
      early.isReading = false
    }
    const { succeeded, failed } = early.tally
    if (succeeded + failed < batch.intent.jobs) return false
    this.#end(
      batch,
      { handle, status: batch.intent.status ?? 'completed', phase: 'ended', outcome: 'completed' },
      early.tally,
    )
    await this.#release(batch)
    return true
  }

  /** False when the scope stops first; what was read is settled, the rest is read by the next run. */
  async #readWhole(batch: OpenBatch, tally: Tally, time: 'first' | 'again' = 'first'): Promise<boolean> {
    const { clock, emit, random, stopping } = this.#context
    const since = clock.now()
    for (let failures = 1; !stopping.aborted; failures += 1) {
      try {
        // The provider may say that it is done before it says where the results are.
        if (time === 'again') await this.#refresh(batch)
        await this.#read(batch, tally)
        return true
      } catch (error) {
        if (!isOutside(error)) throw error
        if (isGone(error) && clock.now() - since >= GONE_MS) {
          tally.unreadable += 1
          return true
        }
        const retryInMs = backOffMs(failures, random())
        const reason = reasonOf(error)
        emit({
          ...about(batch.intent, clock.now()),
          type: 'provider-unreachable',
          doing: 'results',
          since,
          reason,
          retryInMs,
        })
        await sleep(clock, retryInMs, { signal: stopping })
      }
    }
    return false
  }

  async #refresh(batch: OpenBatch): Promise<void> {
    const { handle } = batch.intent
    const { adapter, call } = batch.account
    const states = handle ? await adapter.poll([handle], call) : []
    for (const state of states) {
      if (state.phase === 'ended' && state.handle.id === handle?.id) {
        advance(this.#context, batch, { handle: state.handle })
      }
    }
  }

  async #read(batch: OpenBatch, tally: Tally): Promise<void> {
    const { handle } = batch.intent
    if (!handle) return
    const { adapter, call } = batch.account
    let group: Reading[] = []
    for await (const results of adapter.results(handle, call)) {
      for (const result of results) {
        const reading = toReading(batch, result, tally, this.#context.timeUp.aborted)
        if (reading) group.push(reading)
      }
      if (group.length < GROUP) continue
      this.#endGroup(batch, group, tally)
      group = []
    }
    this.#endGroup(batch, group, tally)
  }

  /** Answers first: of two rows for one job the one that tells something counts. */
  #endGroup(batch: OpenBatch, group: readonly Reading[], tally: Tally): void {
    const final = group.filter(({ passing }) => passing === undefined)
    // Providers shuffle rows. Neighbours are settled by one statement, and of duplicates the first stays the first.
    final.sort((a, b) => a.outcome.job - b.outcome.job)
    this.#settle(batch, final, tally)
    const passing = new Map(
      group.filter((reading) => reading.passing !== undefined).map((row) => [row.outcome.job, row]),
    )
    if (passing.size === 0) return

    const open = this.#context.store
      .status([...passing.keys()])
      .filter(({ state, intent }) => state === 'submitted' && intent === batch.intent.id)
    const [again, spent] = partition(open, ({ requeues }) => requeues < MAX_REQUEUES)
    this.#settle(
      batch,
      spent.flatMap((job) => passing.get(job) ?? []),
      tally,
    )
    for (const [reason, jobs] of Map.groupBy(again, (job) => passing.get(job)?.passing ?? '')) {
      this.#queueAgain(this.#settler.sendBack(batch, jobs, reason, { counted: true }))
    }
  }

  #settle(batch: OpenBatch, readings: readonly Reading[], tally: Tally): void {
    const settled = this.#settler.settle(
      batch,
      readings.map(({ outcome }) => outcome),
    )
    for (const { status } of settled) tally[status < 400 ? 'succeeded' : 'failed'] += 1
  }

  /** What becomes of jobs that no row speaks of. */
  #endRest(
    batch: OpenBatch,
    state: BatchState & { phase: 'ended' },
    left: readonly JobStatus[],
    { unreadable }: Tally,
  ): void {
    if (left.length === 0) return
    const jobs = left.map(({ job }) => job)
    switch (state.outcome) {
      case 'failed':
        return this.#rejection.handle(batch, state, jobs)
      case 'cancelled':
        if (this.#context.timeUp.aborted) return this.#settler.settleWith(batch, jobs, TIME_UP, unreadable > 0)
        if (isFromEarlierRun(batch)) {
          const how = { counted: true, possiblyBilled: unreadable > 0 }
          return this.#queueAgain(this.#settler.sendBack(batch, jobs, 'cancelled', how))
        }
        return this.#settler.settleWith(
          batch,
          jobs,
          {
            status: 499,
            code: 'batch_cancelled',
            message: `offpeak: batch ${state.handle.id} was cancelled before this request was run`,
          },
          unreadable > 0,
        )
      case 'expired': {
        const [again, spent] = partition(left, ({ requeues }) => requeues < MAX_REQUEUES)
        // Some row could not be read: which of these was it?
        const possiblyBilled = unreadable > 0
        const problem = {
          status: 424,
          code: 'batch_expired',
          message: `offpeak: batch ${state.handle.id} expired before this request was run, as did those before it`,
        }
        this.#settler.settleWith(batch, spent, problem, possiblyBilled)
        return this.#queueAgain(this.#settler.sendBack(batch, again, 'expired', { counted: true, possiblyBilled }))
      }
      case 'completed': {
        const [again, spent] = partition(left, ({ possiblyBilled }) => !possiblyBilled)
        const problem = {
          status: 424,
          code: 'result_missing',
          message: `offpeak: batch ${state.handle.id} completed without a readable answer to this request, twice; it may have been billed`,
        }
        this.#settler.settleWith(batch, spent, problem, true)
        const how = { counted: true, possiblyBilled: true }
        return this.#queueAgain(this.#settler.sendBack(batch, again, 'row-missing', how))
      }
    }
  }

  #end(batch: OpenBatch, state: BatchState & { phase: 'ended' }, tally: Tally): void {
    const { store, clock, emit } = this.#context
    const endedAt = clock.now()
    store.advance(batch.ref, { state: 'ended', endedAt, status: state.status })
    const common = aboutBatch(batch.intent, endedAt)
    if (state.outcome === 'cancelled') emit({ ...common, type: 'batch-cancelled', reason: state.status })
    // The rejection has said so already.
    else if (state.outcome !== 'failed') {
      emit({
        ...common,
        type: 'batch-completed',
        status: state.status,
        succeeded: tally.succeeded,
        failed: tally.failed,
      })
    }
  }

  async #release(batch: OpenBatch): Promise<void> {
    const { handle } = batch.intent
    const { adapter, call } = batch.account
    if (!handle) return
    // Tidying up: what stays behind expires by the provider's own rules, and nothing of ours depends on it.
    await adapter.release?.(handle, call).catch(() => undefined)
  }
}

/** Whoever asks now never asked for what happened to it then: a cancelled batch of an earlier run is a reason to send another. */
function isFromEarlierRun({ intent }: OpenBatch): boolean {
  return intent.epoch > 1
}

/** undefined: it is not ours, or cannot be read. */
function toReading(batch: OpenBatch, result: JobResult, tally: Tally, isTimeUp: boolean): Reading | undefined {
  if (result.kind === 'unreadable') {
    tally.unreadable += 1
    return undefined
  }
  const id = parseCustomId(result.customId)
  if (!id || id.tag !== batch.intent.tag) return undefined
  const { adapter } = batch.account
  const { job } = id
  if (result.kind === 'unexecuted') {
    const { reason, code, message } = result
    const status = reason === 'cancelled' ? 499 : 424
    const problem = isTimeUp ? TIME_UP : { status, code, message }
    const outcome = { ...problemAnswer(adapter, problem), job }
    return { outcome, passing: isTimeUp || (reason === 'cancelled' && !isFromEarlierRun(batch)) ? undefined : code }
  }
  const { status, requestId, body, json } = result
  const usage = adapter.usage(json)
  const outcome = { job, status, requestId, body, json, usage }
  return { outcome, passing: isPassing(status) ? `http-${status}` : undefined }
}

/** The provider answers, and what it answers is that there is no such file. */
function isGone(error: unknown): boolean {
  return error instanceof ProviderError && (error.status === 404 || error.status === 410)
}

/** A failure that another try may not meet. */
function isPassing(status: number): boolean {
  return status === 429 || status >= 500
}

function partition(left: readonly JobStatus[], isFirst: (status: JobStatus) => boolean): [JobId[], JobId[]] {
  const split: [JobId[], JobId[]] = [[], []]
  for (const status of left) split[isFirst(status) ? 0 : 1].push(status.job)
  return split
}
