import type { BatchProblem } from '../core/batch.ts'
import type { JobId } from '../core/job.ts'
import type { Problem } from '../core/reply.ts'
import { aboutBatch } from './about.ts'
import type { ManagerContext, OpenBatch } from './context.ts'
import type { Settler } from './settler.ts'
import type { Submitter } from './submitter.ts'

/** Refusals of a batch and its parts, where lines are named, until the rest is refused together: two for each culprit. */
const MAX_NAMED_REFUSALS = 100

/** So many culprits are found by halving where no line is named; each costs a refusal per halving. */
const CULPRITS = 4

/** Why a batch was refused as a whole, and by which of its lines if the provider says. */
export interface Refused {
  readonly status: string
  readonly refused: 'capacity' | 'account' | 'invalid' | 'everything'
  readonly problems: readonly BatchProblem[]
}

/**
 * A batch the provider refused as a whole, at its create or later: nothing of it was run or billed. Finds the culprit without trusting the line number
 * further than it can be checked: the named line is sent alone, so that only a line refused alone is told so.
 */
export class Rejection {
  readonly #context: ManagerContext
  readonly #settler: Settler
  readonly #submitter: Pick<Submitter, 'split' | 'hold' | 'turnAway'>

  constructor(context: ManagerContext, settler: Settler, submitter: Pick<Submitter, 'split' | 'hold' | 'turnAway'>) {
    this.#context = context
    this.#settler = settler
    this.#submitter = submitter
  }

  handle(batch: OpenBatch, state: Refused, jobs: readonly JobId[]): void {
    const { clock, emit } = this.#context
    const reason = state.problems[0]?.code ?? state.problems[0]?.message ?? state.status
    const groups = this.#groups(batch, state, jobs)
    const willRetry = state.refused === 'capacity' || groups !== undefined
    emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-failed', reason, willRetry })
    if (state.refused === 'capacity') return this.#submitter.hold(batch, jobs, reason)
    if (state.refused === 'account')
      return this.#submitter.turnAway(batch, jobs, problemOf(state.problems, 402), reason)
    if (groups) return this.#submitter.split(batch, groups, reason)
    this.#settler.settleWith(batch, jobs, problemOf(state.problems))
  }

  /** How to cut the batch up; undefined when cutting cannot help. */
  #groups(batch: OpenBatch, state: Refused, jobs: readonly JobId[]): readonly (readonly JobId[])[] | undefined {
    if (state.refused !== 'invalid' || jobs.length === 1) return undefined
    const failedBefore = this.#context.store.failedSplits(batch.intent.root)
    const parts = this.#byTarget(batch, jobs)
    if (parts.length > 1) return parts
    const named = new Set(state.problems.flatMap(({ line }) => jobs[(line ?? 0) - 1] ?? []))
    if (named.size > 0 && named.size < jobs.length) {
      if (failedBefore > MAX_NAMED_REFUSALS) return undefined
      const rest = jobs.filter((job) => !named.has(job))
      const apart = [...named].map((job) => [job])
      // Refused again: there are more culprits, since validation stops at the first, or the named line was the wrong one. Halves end both.
      return failedBefore === 1 ? [...apart, rest] : [...apart, ...halves(rest)]
    }
    // One culprit costs one refusal per halving. Far more of them means the parts fail alike: all rows do.
    const root = this.#context.store.intent(batch.intent.root)
    const budget = CULPRITS * Math.ceil(Math.log2(Math.max(root?.jobs ?? jobs.length, 2))) + 2
    if (failedBefore > budget) return undefined
    return halves(jobs)
  }

  /** Where models may share a batch: each apart, because one that is refused is no fault of the others'. */
  #byTarget(batch: OpenBatch, jobs: readonly JobId[]): readonly (readonly JobId[])[] {
    if (batch.account.adapter.mixes === 'nothing') return [jobs]
    const targets = this.#context.store.targetsOf(jobs)
    const all = jobs.map((job, index) => ({ job, target: `${targets[index]?.endpoint} ${targets[index]?.model}` }))
    return [...Map.groupBy(all, ({ target }) => target).values()].map((part) => part.map(({ job }) => job))
  }
}

function halves(jobs: readonly JobId[]): readonly (readonly JobId[])[] {
  const middle = jobs.length >> 1
  return [jobs.slice(0, middle), jobs.slice(middle)].filter((half) => half.length > 0)
}

function problemOf(problems: readonly BatchProblem[], status = 400): Problem {
  const [first] = problems
  return {
    status,
    code: first?.code ?? 'batch_rejected',
    message: first?.message ?? 'the provider refused this request in a batch and gave no reason',
    param: first?.param,
  }
}
