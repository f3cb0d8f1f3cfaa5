import type { FailureTally } from '../core/report.ts'
import type { JobId } from '../core/job.ts'

/** Past so many different reasons the rest is one: a provider may put an id into its code. */
const MAX_REASONS = 50
const OTHERS = 'other'

export interface FailedJob {
  readonly job: JobId
  readonly batch: string | undefined
  readonly status: number
  readonly reason: string | undefined
}

export type Failures = Map<string, FailureTally>

/** Counts one failure under its reason; the first of each is kept as the example. */
export function tallyFailure(failures: Failures, failed: FailedJob): void {
  const reason = failed.reason ?? `HTTP ${failed.status}`
  const key = failures.has(reason) || failures.size < MAX_REASONS ? reason : OTHERS
  const tally = failures.get(key)
  if (tally) tally.count += 1
  else failures.set(key, { reason: key, count: 1, example: describe(failed) })
}

function describe({ job, batch, status }: FailedJob): string {
  return batch === undefined ? `job ${job}, HTTP ${status}` : `job ${job} of ${batch}, HTTP ${status}`
}

/** The most frequent first; the caller's to keep. */
export function failureTallies(failures: Failures): FailureTally[] {
  const tallies = Array.from(failures.values(), ({ reason, count, example }) => ({ reason, count, example }))
  return tallies.sort((one, other) => other.count - one.count)
}
