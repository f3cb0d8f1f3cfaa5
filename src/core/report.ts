import type { DryRunReport } from './dry-run.ts'
import type { RequestCounts } from './snapshot.ts'

/** One cause of failure. The example names a job, its batch and the provider's code; never a prompt. */
export interface FailureTally {
  reason: string
  count: number
  example: string
}

/** What a scope did and what it cost. */
export interface Report {
  requests: RequestCounts
  batches: number
  tokens: { input: number; output: number }
  /** Absent when no request could be priced: unknown is not zero. */
  costUsd?: number
  /** What the same requests would have cost one by one. */
  liveCostUsd?: number
  savedUsd?: number
  /** Answered requests that are in none of the sums, because nobody could say what they cost. */
  unpricedRequests: number
  failures: readonly FailureTally[]
  /** Of a dry run: what the program would do and cost. Everything else in here is then of nothing. */
  dryRun?: DryRunReport
}

/** The sums of money a report carries. */
export type Cost = Pick<Report, 'costUsd' | 'liveCostUsd' | 'savedUsd' | 'unpricedRequests'>
