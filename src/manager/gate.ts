import { CostLimitError } from '../core/errors.ts'
import type { JobId } from '../core/job.ts'
import type { Problem } from '../core/reply.ts'
import type { BudgetState, Reservation } from '../core/store.ts'
import type { ManagerContext } from './context.ts'
import { answerReply, problemAnswer } from './replies.ts'
import type { Settler } from './settler.ts'
import type { Waiters } from './waiters.ts'

/**
 * 402: what it is, in a status that no SDK or framework retries. Under 400 programs that skip malformed requests would skip these, too, and
 * call a half of their work the whole.
 */
const COST_STATUS = 402

/** What a caller hears whose request was not run in the time there was. */
export const TIME_UP: Problem = {
  status: 424,
  code: 'batch_expired',
  message: 'offpeak: the time limit was over before this request was run; run the program again to go on from there',
}

/** Stands between a queue and its batch: what the limits of money and time do not let through is refused here. */
export class Gate {
  readonly #context: ManagerContext
  readonly #settler: Settler
  readonly #waiters: Waiters
  #refused = 0
  #isReached = false
  /** Why the first was refused whose price is the problem, and not the sum. */
  #unpriced: string | undefined
  #lastBudget: BudgetState | undefined

  constructor(context: ManagerContext, settler: Settler, waiters: Waiters) {
    this.#context = context
    this.#settler = settler
    this.#waiters = waiters
  }

  /** Those of a queue's jobs that may be claimed; the others are refused. */
  admit(jobs: readonly JobId[]): readonly JobId[] {
    const { settings, timeUp } = this.#context
    if (timeUp.aborted) {
      this.refuse(jobs, TIME_UP)
      return []
    }
    if (settings.maxCostUsd === undefined) return jobs
    if (this.#isReached) {
      this.refuseOver(jobs)
      return []
    }
    if (settings.allowUnpriced) return jobs
    const unknown = jobs.filter((job) => this.#waiters.first(job)?.forecast?.most.kind !== 'known')
    if (unknown.length === 0) return jobs
    this.#refuseUnpriced(unknown)
    const refused = new Set(unknown)
    return jobs.filter((job) => !refused.has(job))
  }

  /** What a claim of these jobs has to reserve, no number where nobody knows; undefined where there is no limit. */
  reservation(jobs: readonly JobId[]): Reservation | undefined {
    const { maxCostUsd: limitUsd, allowUnpriced } = this.#context.settings
    if (limitUsd === undefined) return undefined
    const maxCostUsd = jobs.map((job) => {
      const forecast = this.#waiters.first(job)?.forecast
      if (forecast?.most.kind === 'known') return forecast.most.costUsd
      return allowUnpriced ? (forecast?.guessUsd ?? 0) : Number.NaN
    })
    return { limitUsd, maxCostUsd }
  }

  /** The budget has no room for these, or for some of them: those still queued are refused, and so is whatever comes later. */
  refuseOver(jobs: readonly JobId[]): void {
    const { maxCostUsd = 0 } = this.#context.settings
    this.#refused += this.refuse(jobs, {
      status: COST_STATUS,
      code: 'cost_limit',
      message: `offpeak: not sent, because it could have cost more than was left of the limit of $${maxCostUsd}; nothing is billed for it`,
    })
    if (this.#refused > 0) this.#isReached = true
  }

  /** Takes jobs out of the store's queue and tells their callers why; those that are not queued any more stay. Returns how many did go. */
  refuse(jobs: readonly JobId[], problem: Problem): number {
    const { store, owner } = this.#context
    const refused = store.drop(owner(), jobs)
    this.#settler.turnAway(
      refused,
      ({ queue: { account } }, job) =>
        answerReply(account.adapter, problemAnswer(account.adapter, problem), { job, batch: undefined, cache: 'miss' }),
      problem.code.replaceAll('_', '-'),
    )
    return refused.length
  }

  /** To be called before the store is left: afterwards nobody can be asked. */
  close(): void {
    const { store, owner } = this.#context
    if (this.#refused > 0) this.#lastBudget = store.budgetOf(owner())
  }

  /** What the limit has kept from being sent; undefined when nothing. */
  error(cause?: unknown): CostLimitError | undefined {
    if (this.#refused === 0) return undefined
    const { store, owner, settings } = this.#context
    const { spentUsd = 0, reservedUsd = 0 } = this.#lastBudget ?? store.budgetOf(owner()) ?? {}
    const counts = { spent: spentUsd, reserved: reservedUsd, refused: this.#refused }
    const because = this.#isReached ? undefined : this.#unpriced
    return new CostLimitError(settings.maxCostUsd ?? 0, counts, { because, ...(cause === undefined ? {} : { cause }) })
  }

  #refuseUnpriced(jobs: readonly JobId[]): void {
    const groups = Map.groupBy(jobs, (job) => {
      const most = this.#waiters.first(job)?.forecast?.most
      return most?.kind === 'unknown' ? most.because : 'nobody knows what it can cost'
    })
    for (const [because, group] of groups) {
      this.#unpriced ??= because
      this.#refused += this.refuse(group, {
        status: COST_STATUS,
        code: 'cost_limit',
        message: `offpeak: not sent, because there is a limit of cost and ${because}; allowUnpriced: true sends it all the same`,
      })
    }
  }
}
