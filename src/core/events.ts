import type { BatchCounts } from './batch.ts'
import type { JobId } from './job.ts'
import type { AnswerCost } from './pricing.ts'
import type { Usage } from './reply.ts'
import type { PassReason } from './request.ts'

/** On every event. `at` is milliseconds since the epoch. */
interface About {
  readonly at: number
  readonly provider: string
  readonly endpoint: string
  readonly model: string
}

interface AboutJob extends About {
  readonly job: JobId
}

interface AboutBatch extends About {
  /** The intent's tag; known before the batch has an id. */
  readonly intent: string
  /** The provider's batch id; undefined until it is created. */
  readonly id: string | undefined
  /** Since when the provider has it, whichever run created it; undefined before. */
  readonly submittedAt: number | undefined
  /** Jobs in it. */
  readonly jobs: number
  /** As last reported; undefined when the provider has not reported any. */
  readonly counts: BatchCounts | undefined
  readonly metadata: Readonly<Record<string, string>>
}

/** Facts, noun first. */
export type OffpeakEvent =
  | (AboutJob & { readonly type: 'request-queued' })
  /** Joined a job that an earlier call, run or process had already submitted. */
  | (AboutJob & { readonly type: 'request-joined' })
  /** Answered from the store: at once, or after waiting for another scope or process that had it under way. */
  | (AboutJob & { readonly type: 'request-cached'; readonly status: number })
  | (About & { readonly type: 'request-passed-through'; readonly reason: PassReason; readonly detail: string })
  /** A queued job goes back to its queue, or a submitted one whose batch could not run it. */
  | (AboutJob & { readonly type: 'request-requeued'; readonly reason: string; readonly possiblyBilled: boolean })
  | (AboutJob & {
      readonly type: 'request-settled'
      readonly status: number
      readonly batch: string | undefined
      readonly usage: Usage | undefined
      /** Absent when nobody knows it, which is not zero. */
      readonly cost?: AnswerCost | undefined
      /** What went wrong, in a word: `expired`, `rate_limit_exceeded`, …; undefined for an answer. */
      readonly reason: string | undefined
    })
  /** Claimed for a batch, upload begins. */
  | (AboutBatch & { readonly type: 'batch-submitting'; readonly reason: string })
  | (AboutBatch & { readonly type: 'batch-submitted' })
  | (AboutBatch & { readonly type: 'batch-progress'; readonly status: string })
  /** Every row it will ever give has been read. */
  | (AboutBatch & {
      readonly type: 'batch-completed'
      readonly status: string
      readonly succeeded: number
      readonly failed: number
    })
  /** Refused, at create or by validation; what happens to its jobs follows as request events. */
  | (AboutBatch & { readonly type: 'batch-failed'; readonly reason: string; readonly willRetry: boolean })
  | (AboutBatch & { readonly type: 'batch-cancelled'; readonly reason: string })
  | (AboutBatch & { readonly type: 'batch-recovered'; readonly how: 'resumed' | 'adopted' | 'never-created' })
  | (AboutBatch & { readonly type: 'rows-missing'; readonly missing: number })
  | (About & {
      readonly type: 'provider-unreachable'
      /** What was being tried: `upload`, `create`, `poll`, `results`, `find`, `cancel`. */
      readonly doing: string
      readonly since: number
      readonly reason: string
      readonly retryInMs: number
    })
  | { readonly type: 'scope-closing'; readonly at: number; readonly pending: number }
  /** Its last event. */
  | { readonly type: 'scope-closed'; readonly at: number }

export type EventType = OffpeakEvent['type']
export type EventOf<T extends EventType> = Extract<OffpeakEvent, { type: T }>
export type Emit = (event: OffpeakEvent) => void
