import type { PricedAt } from './pricing.ts'
import type { JsonObject, PassReason } from './request.ts'

/** An amount at the least, probably, and at most. */
export interface DryRunRange {
  readonly low: number
  readonly likely: number
  /** Absent where nothing limits the answers. */
  readonly high?: number
}

/** What a number of requests comes to. */
export interface DryRunSums {
  /** Those that a batch can carry, wherever their answers come from. */
  readonly requests: number
  /** Answered from the store. They cost nothing, and are in none of the sums below. */
  readonly cached: number
  /** Under way already, for an earlier run or another process: they need no batch, and are in none of the sums below. */
  readonly joined: number
  /** Batches these requests are part of. Where models may share one, it counts with each of them, and once in the totals. */
  readonly batches: number
  readonly tokens: { readonly input: number; readonly output: DryRunRange }
  /** Requests with something in them whose tokens cannot be counted from here: they come on top. */
  readonly uncountedRequests: number
  /** Absent when no request could be priced: unknown is not zero. */
  readonly liveCostUsd?: DryRunRange
  readonly batchCostUsd?: DryRunRange
  /** Over the requests that have both prices. */
  readonly savedUsd?: DryRunRange
  /** Requests that are in no sum of that kind, because nobody can say what they cost. */
  readonly unpriced: { readonly live: number; readonly batch: number; readonly because: readonly string[] }
}

/** What is asked of one model at one endpoint. */
export interface DryRunGroup extends DryRunSums {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
}

/** Calls of a provider's that no batch can carry. */
export interface WouldPassThrough {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly reason: PassReason
  readonly detail: string
  readonly requests: number
}

/** What a program would do and cost: its requests counted and answered with stubs, none of them sent. */
export interface DryRunReport {
  /** By provider, endpoint and model. */
  readonly groups: readonly DryRunGroup[]
  readonly totals: DryRunSums
  readonly wouldPassThrough: readonly WouldPassThrough[]
  /** The day on which the batch prices were last checked (`2026-11-20`), and how long ago that is. */
  readonly prices: { readonly checked: string; readonly ageDays: number }
  /** Why it counted no further. Absent when the program ran to its end. */
  readonly stoppedBy?: string
}

/** What a request may cost, in USD; unknown is not zero. */
export type EstimatedCost =
  | { readonly kind: 'known'; readonly low: number; readonly likely: number; readonly high: number | undefined }
  | { readonly kind: 'unknown'; readonly because: string }

/** What is expected of a request before it is sent. */
export interface Estimated {
  readonly input: { readonly tokens: number; readonly uncounted: readonly string[] }
  readonly output: { readonly low: number; readonly likely: number; readonly high: number | undefined }
  readonly live: EstimatedCost
  readonly batch: EstimatedCost
}

export type Estimate = (request: PricedAt & { readonly body: JsonObject }) => Estimated
