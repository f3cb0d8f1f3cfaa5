import { sleep } from '../core/clock.ts'
import type { BatchState, JobResult } from '../core/batch.ts'
import { parseCustomId, type JobId } from '../core/job.ts'
import { backOffMs } from '../core/poll-policy.ts'
import type { JobStatus } from '../core/store.ts'
import { about, aboutBatch } from './about.ts'
import { reasonOf } from './caller.ts'
import { MAX_REQUEUES, type ManagerContext, type OpenBatch, type QueueAgain } from './context.ts'
import type { Rejection } from './rejection.ts'
import { problemAnswer } from './replies.ts'
import type { Outcome, Settler } from './settler.ts'

/** Rows settled in one transaction. */
const GROUP = 1000

interface Tally {
  succeeded: number
  failed: number
  unreadable: number
}

/** Reads the results of an ended batch and sees to it that every job of it ends, one way or another. */
export class Collector {
  readonly #context: ManagerContext
  readonly #settler: Settler
  readonly #rejection: Rejection
  readonly #queueAgain: QueueAgain

  constructor(context: ManagerContext, settler: Settler, rejection: Rejection, queueAgain: QueueAgain) {
    this.#context = context
    this.#settler = settler
    this.#rejection = rejection
    this.#queueAgain = queueAgain
  }

  async collect(batch: OpenBatch, state: BatchState & { phase: 'ended' }): Promise<void> {
    const { store, clock, emit, stopping, settings } = this.#context
    const tally = { succeeded: 0, failed: 0, unreadable: 0 }
    if (!(await this.#readWhole(batch, tally))) return

    let left = store.unsettled(batch.intent.id)
    if (state.outcome === 'completed' && left.length > 0) {
      emit({ ...aboutBatch(batch.intent, clock.now()), type: 'rows-missing', missing: left.length })
      await sleep(clock, settings.pollIntervalMs, { signal: stopping })
      if (!(await this.#readWhole(batch, tally))) return
      left = store.unsettled(batch.intent.id)
    }
    this.#endRest(batch, state, left)
    this.#end(batch, state, tally)
    await this.#release(batch)
  }

  /** False when the scope stops first; what was read is settled, the rest is read by the next run. */
  async #readWhole(batch: OpenBatch, tally: Tally): Promise<boolean> {
    const { clock, emit, random, stopping } = this.#context
    for (let failures = 1; !stopping.aborted; failures += 1) {
      const since = clock.now()
      try {
        await this.#read(batch, tally)
        return true
      } catch (error) {
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

  async #read(batch: OpenBatch, tally: Tally): Promise<void> {
    const { handle } = batch.intent
    if (!handle) return
    const { adapter, call } = batch.account
    let group: Outcome[] = []
    for await (const results of adapter.results(handle, call)) {
      for (const result of results) {
        const outcome = this.#toOutcome(batch, result, tally)
        if (outcome) group.push(outcome)
      }
      if (group.length < GROUP) continue
      this.#settleGroup(batch, group, tally)
      group = []
    }
    this.#settleGroup(batch, group, tally)
  }

  #settleGroup(batch: OpenBatch, group: readonly Outcome[], tally: Tally): void {
    this.#settler.settle(batch, group)
    for (const { status } of group) tally[status < 400 ? 'succeeded' : 'failed'] += 1
  }

  /** undefined: nothing to settle, because the row is not ours, cannot be read, or sends its job back to the queue. */
  #toOutcome(batch: OpenBatch, result: JobResult, tally: Tally): Outcome | undefined {
    if (result.kind === 'unreadable') {
      tally.unreadable += 1
      return undefined
    }
    const id = parseCustomId(result.customId)
    if (!id || id.tag !== batch.intent.tag) return undefined
    const { adapter } = batch.account
    if (result.kind === 'unexecuted') {
      if (result.reason !== 'cancelled' && this.#sendBack(batch, id.job, result.code)) return undefined
      const status = result.reason === 'cancelled' ? 499 : 424
      return { ...problemAnswer(adapter, { status, code: result.code, message: result.message }), job: id.job }
    }
    if (isPassing(result.status) && this.#sendBack(batch, id.job, `http-${result.status}`)) return undefined
    const usage = adapter.usage(result.json)
    return {
      job: id.job,
      status: result.status,
      requestId: result.requestId,
      body: result.body,
      json: result.json,
      usage,
      inputTokens: usage?.input,
      outputTokens: usage?.output,
    }
  }

  /** False when the job has had its tries: its failure is final. */
  #sendBack(batch: OpenBatch, job: JobId, reason: string): boolean {
    const [status] = this.#context.store.status([job])
    if (!status || status.state !== 'submitted' || status.intent !== batch.intent.id) return true
    if (status.requeues >= MAX_REQUEUES) return false
    this.#queueAgain(this.#settler.sendBack(batch, [job], reason, { counted: true }))
    return true
  }

  /** What becomes of jobs that no row speaks of. */
  #endRest(batch: OpenBatch, state: BatchState & { phase: 'ended' }, left: readonly JobStatus[]): void {
    if (left.length === 0) return
    const jobs = left.map(({ job }) => job)
    switch (state.outcome) {
      case 'failed':
        return this.#rejection.handle(batch, state, jobs)
      case 'cancelled':
        return this.#settler.settleWith(batch, jobs, {
          status: 499,
          code: 'batch_cancelled',
          message: `offpeak: batch ${state.handle.id} was cancelled before this request was run`,
        })
      case 'expired': {
        const [again, spent] = partition(left, ({ requeues }) => requeues < MAX_REQUEUES)
        this.#queueAgain(this.#settler.sendBack(batch, again, 'expired', { counted: true }))
        return this.#settler.settleWith(batch, spent, {
          status: 424,
          code: 'batch_expired',
          message: `offpeak: batch ${state.handle.id} expired before this request was run, as did those before it`,
        })
      }
      case 'completed': {
        const [again, spent] = partition(left, ({ possiblyBilled }) => !possiblyBilled)
        this.#queueAgain(this.#settler.sendBack(batch, again, 'row-missing', { counted: true, possiblyBilled: true }))
        return this.#settler.settleWith(batch, spent, {
          status: 424,
          code: 'result_missing',
          message: `offpeak: batch ${state.handle.id} completed without a readable answer to this request, twice; it may have been billed`,
        })
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

/** A failure that another try may not meet. */
function isPassing(status: number): boolean {
  return status === 429 || status >= 500
}

function partition(left: readonly JobStatus[], isFirst: (status: JobStatus) => boolean): [JobId[], JobId[]] {
  const split: [JobId[], JobId[]] = [[], []]
  for (const status of left) split[isFirst(status) ? 0 : 1].push(status.job)
  return split
}
