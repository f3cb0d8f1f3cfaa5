import type { BatchProblem, BatchState } from '../core/batch.ts'
import type { JobId } from '../core/job.ts'
import { aboutBatch } from './about.ts'
import type { ManagerContext, OpenBatch } from './context.ts'
import type { Settler } from './settler.ts'
import type { Submitter } from './submitter.ts'

/** Named lines are set apart one batch at a time, because validation stops at the first: this many times, then the rest is refused together. */
const MAX_NAMED_SPLITS = 50

type Failed = BatchState & { phase: 'ended'; outcome: 'failed' }

/**
 * A batch the provider refused as a whole: nothing of it was run or billed. Finds the culprit without trusting the line number
 * further than it can be checked: the named line is sent alone, so that only a line refused alone is told so.
 */
export class Rejection {
  readonly #context: ManagerContext
  readonly #settler: Settler
  readonly #submitter: Pick<Submitter, 'split' | 'hold'>

  constructor(context: ManagerContext, settler: Settler, submitter: Pick<Submitter, 'split' | 'hold'>) {
    this.#context = context
    this.#settler = settler
    this.#submitter = submitter
  }

  handle(batch: OpenBatch, state: Failed, jobs: readonly JobId[]): void {
    const { clock, emit } = this.#context
    const reason = state.problems[0]?.code ?? state.problems[0]?.message ?? state.status
    const groups = this.#groups(batch, state, jobs)
    const willRetry = state.refused === 'capacity' || groups !== undefined
    emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-failed', reason, willRetry })
    if (state.refused === 'capacity') return this.#submitter.hold(batch, jobs, reason)
    if (groups) return this.#submitter.split(batch, groups, reason)
    this.#settler.settleWith(batch, jobs, problemOf(state.problems))
  }

  /** How to cut the batch up; undefined when cutting cannot help. */
  #groups(batch: OpenBatch, state: Failed, jobs: readonly JobId[]): readonly (readonly JobId[])[] | undefined {
    if (state.refused !== 'invalid' || jobs.length === 1) return undefined
    const failedBefore = this.#context.store.failedSplits(batch.intent.root)
    const named = new Set(state.problems.flatMap(({ line }) => jobs[(line ?? 0) - 1] ?? []))
    if (named.size > 0 && named.size < jobs.length) {
      if (failedBefore > MAX_NAMED_SPLITS * 2) return undefined
      return [...[...named].map((job) => [job]), jobs.filter((job) => !named.has(job))]
    }
    // One culprit costs one refusal per halving. Far more of them means the halves fail alike: all rows do.
    const root = this.#context.store.intent(batch.intent.root)
    const budget = 2 * Math.ceil(Math.log2(Math.max(root?.jobs ?? jobs.length, 2))) + 2
    if (failedBefore > budget) return undefined
    const middle = jobs.length >> 1
    return [jobs.slice(0, middle), jobs.slice(middle)]
  }
}

function problemOf(problems: readonly BatchProblem[]): {
  status: number
  code: string
  message: string
  param: string | undefined
} {
  const [first] = problems
  return {
    status: 400,
    code: first?.code ?? 'batch_rejected',
    message: first?.message ?? 'the provider refused this request in a batch and gave no reason',
    param: first?.param,
  }
}
