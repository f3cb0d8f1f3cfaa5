import type { JobId, Settlement } from '../core/job.ts'
import type { AnswerCost } from '../core/pricing.ts'
import type { Problem, Reply } from '../core/reply.ts'
import type { JobStatus, Requeue } from '../core/store.ts'
import { about } from './about.ts'
import { readEnvelope } from './caller.ts'
import type { ManagerContext, OpenBatch } from './context.ts'
import { answerReply, problemAnswer } from './replies.ts'
import type { Waiter, Waiters } from './waiters.ts'

/** An outcome on its way to the store and to whoever waits for it. */
export interface Outcome extends Settlement {
  // Filled in when it is settled: there are too many of them to make each anew.
  cost?: AnswerCost | undefined
  target?: Settlement['target']
  /** It may have been billed without our knowing what. */
  readonly possiblyBilled?: boolean
  /** The body parsed, if it was. */
  readonly json?: unknown
}

/** How many failures a scope remembers, to answer an SDK's own retries of them. */
const FAILURES_REMEMBERED = 10_000

/** The only place where jobs end: first in the store, then for their callers. */
export class Settler {
  readonly #context: ManagerContext
  readonly #waiters: Waiters
  readonly #failures = new Map<string, Reply>()

  constructor(context: ManagerContext, waiters: Waiters) {
    this.#context = context
    this.#waiters = waiters
  }

  /**
   * The failure this scope already told somebody who asked exactly this. SDKs and frameworks retry some failures with nothing
   * to mark it; a second batch would fail the same way a day later.
   */
  knownFailure(fingerprint: string): Reply | undefined {
    return this.#failures.get(fingerprint)
  }

  /** Settles jobs of a batch, and returns what did. Rows settled before, or taken over by another process, change nothing. */
  settle(batch: OpenBatch, outcomes: readonly Outcome[]): readonly Outcome[] {
    if (outcomes.length === 0) return []
    const { store, clock } = this.#context
    this.#price(batch, outcomes)
    const settled = store.settle(batch.ref, outcomes, clock.now())
    if (settled.length === outcomes.length) {
      for (const outcome of outcomes) this.#tell(batch, outcome)
      return outcomes
    }
    const ours = new Set(settled)
    // `delete` tells the first row of a job from its duplicates.
    const first = outcomes.filter(({ job }) => ours.delete(job))
    for (const outcome of first) this.#tell(batch, outcome)
    return first
  }

  /** Settles jobs with a refusal worded by offpeak. */
  settleWith(batch: OpenBatch, jobs: readonly JobId[], problem: Problem, possiblyBilled = false): void {
    const { status, requestId, body } = problemAnswer(batch.account.adapter, problem)
    this.settle(
      batch,
      jobs.map((job) => ({ job, status, requestId, body, possiblyBilled })),
    )
  }

  /** Says what each was for, where that differs, and what it cost, where anybody knows. */
  #price({ intent, account }: OpenBatch, outcomes: readonly Outcome[]): void {
    const { store, clock, pricing } = this.#context
    const at = clock.now()
    const { provider, endpoint, model } = intent
    if (account.adapter.mixes !== 'nothing') {
      const targets = store.targetsOf(outcomes.map(({ job }) => job))
      for (const [index, outcome] of outcomes.entries()) outcome.target = targets[index]
    }
    if (!pricing) return
    for (const outcome of outcomes) {
      if (outcome.possiblyBilled) continue
      const { status, usage, target } = outcome
      outcome.cost = pricing.price({
        provider,
        endpoint: target?.endpoint ?? endpoint,
        model: target?.model ?? model,
        at,
        status,
        usage,
      })
    }
  }

  /**
   * Jobs of a batch go back to the store's queue. Returns those somebody waits for: the caller queues them. The others are taken out:
   * nobody would collect what they cost.
   */
  sendBack(batch: OpenBatch, jobs: readonly JobId[], reason: string, how: Requeue): readonly JobId[] {
    if (jobs.length === 0) return []
    const { store, clock, emit, owner } = this.#context
    const returned = store.requeue(batch.ref, jobs, how)
    const wanted = returned.filter((job) => this.#waiters.has(job))
    if (wanted.length < returned.length) {
      store.drop(
        owner(),
        returned.filter((job) => !this.#waiters.has(job)),
      )
    }
    for (const job of wanted) {
      emit({
        ...about(batch.intent, clock.now()),
        type: 'request-requeued',
        job,
        reason,
        possiblyBilled: how.possiblyBilled ?? false,
      })
    }
    return wanted
  }

  /** Callers are answered while their jobs stay as they are in the store, for a later run. */
  turnAway(jobs: Iterable<JobId>, replyFor: (waiter: Waiter, job: JobId) => Reply, reason: string): void {
    const { clock, emit } = this.#context
    for (const job of jobs) {
      for (const waiter of this.#waiters.take(job)) {
        const reply = replyFor(waiter, job)
        emit({
          ...about(waiter.queue.target, clock.now()),
          type: 'request-settled',
          job,
          status: reply.status,
          batch: undefined,
          usage: undefined,
          reason,
        })
        waiter.resolve(reply)
      }
    }
  }

  /** A job that another scope or process settled. */
  deliver({ job, answer, batch }: JobStatus): void {
    if (!answer) return
    for (const waiter of this.#waiters.take(job)) {
      const { adapter } = waiter.queue.account
      const reply = answerReply(adapter, answer, { job, batch, cache: 'hit' })
      if (answer.status >= 400) this.#remember(waiter.fingerprint, reply)
      const { clock, emit } = this.#context
      const common = { ...about(waiter.queue.target, clock.now()), job, status: answer.status }
      // Whoever submitted it counts what it cost.
      if (answer.status < 400) emit({ ...common, type: 'request-cached' })
      else {
        const reason = readEnvelope(answer.body).code ?? `http-${answer.status}`
        emit({ ...common, type: 'request-settled', batch, usage: undefined, reason })
      }
      waiter.resolve(reply)
    }
  }

  #tell(batch: OpenBatch, outcome: Outcome): void {
    const { clock, emit, pricing } = this.#context
    const { intent, account } = batch
    const waiters = this.#waiters.take(outcome.job)
    const isFailure = outcome.status >= 400
    const { endpoint, model } = outcome.target ?? intent
    const common = about({ provider: intent.provider, endpoint, model }, clock.now())
    emit({
      ...common,
      type: 'request-settled',
      job: outcome.job,
      status: outcome.status,
      batch: intent.handle?.id,
      usage: outcome.usage,
      cost: outcome.cost,
      reason: isFailure ? (readEnvelope(outcome.json ?? outcome.body).code ?? `http-${outcome.status}`) : undefined,
    })
    let json = outcome.json
    for (const waiter of waiters) {
      const reply = answerReply(
        account.adapter,
        outcome,
        { job: outcome.job, batch: intent.handle?.id, cache: 'miss' },
        json,
      )
      // The parsed body is one reader's own.
      json = undefined
      if (isFailure) this.#remember(waiter.fingerprint, { ...reply, json: undefined })
      else if (waiter.forecast && outcome.usage) pricing?.learn(common, waiter.forecast, outcome.usage)
      waiter.resolve(reply)
    }
  }

  #remember(fingerprint: string, reply: Reply): void {
    if (this.#failures.size < FAILURES_REMEMBERED) this.#failures.set(fingerprint, reply)
  }
}
