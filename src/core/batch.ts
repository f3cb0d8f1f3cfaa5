import type { JobId } from './job.ts'
import type { JsonObject } from './request.ts'

/** What an adapter needs to find its batch again. JSON, because it survives restarts in the store. */
export interface BatchHandle extends JsonObject {
  readonly id: string
}

/** Counts as the provider reports them; undefined when it does not (which is not the same as zero). */
export interface BatchCounts {
  readonly total: number
  readonly completed: number
  readonly failed: number
}

/** One complaint of a provider about a batch it refused. */
export interface BatchProblem {
  readonly code: string | undefined
  readonly message: string
  /** 1-based line of the input, when the provider names one. */
  readonly line: number | undefined
  readonly param: string | undefined
}

/**
 * Where a batch stands. `status` is the provider's own word, for people. An adapter that does not know a word says `running`.
 * `refused` on a failed batch: `capacity` = nothing wrong with the rows, there was no room (enqueued-token limit): hold and send again;
 * `account` = nor is there, the account may spend no more: nothing of it will run now; `invalid` = some row cannot be run; `everything` = none of them can, whatever is taken out.
 */
export type BatchState = {
  readonly handle: BatchHandle
  readonly status: string
  readonly counts?: BatchCounts | undefined
  /** The provider asked not to be polled again before this. */
  readonly retryAfterMs?: number | undefined
} & (
  | { readonly phase: 'running'; /** Finished rows can be read already. */ readonly partial?: boolean }
  | { readonly phase: 'ended'; readonly outcome: 'completed' | 'expired' | 'cancelled' }
  | {
      readonly phase: 'ended'
      readonly outcome: 'failed'
      readonly refused: 'capacity' | 'account' | 'invalid' | 'everything'
      readonly problems: readonly BatchProblem[]
    }
)

/** The life of an intent. `created` has a batch; `ended` has no unsettled job left; `abandoned` never had, and will not have, a batch. */
export type IntentState = 'claimed' | 'uploaded' | 'creating' | 'created' | 'ended' | 'abandoned'

/** The stored decision to create a batch. */
export interface Intent {
  readonly id: number
  /** Random, `[a-z0-9]{12}`: stamped on everything we send for this intent. */
  readonly tag: string
  readonly provider: string
  readonly baseUrl: string
  /** The endpoint and model of its first job; the only ones unless the provider lets them mix. */
  readonly endpoint: string
  readonly model: string
  readonly account: string
  readonly queueKey: string
  readonly state: IntentState
  readonly owner: number
  /** Goes up each time another owner takes the intent over. */
  readonly epoch: number
  readonly window: string
  readonly metadata: Readonly<Record<string, string>>
  readonly jobs: number
  /** What `upload` returned. */
  readonly upload: JsonObject | undefined
  readonly handle: BatchHandle | undefined
  /** The provider's last word on it. */
  readonly status: string | undefined
  readonly counts: BatchCounts | undefined
  /** The intent this one was split from, for the budget of splits; its own id otherwise. */
  readonly root: number
  readonly createdAt: number
  /** How often a create was about to leave; more than once only after a look-up found nothing. */
  readonly creates: number
  /** When the last create call was about to leave: written ahead of it. */
  readonly creatingAt: number | undefined
  readonly submittedAt: number | undefined
  readonly endedAt: number | undefined
}

/** Names one owner's right to change an intent. */
export interface IntentRef {
  readonly id: number
  readonly owner: number
  readonly epoch: number
}

/** A row of results, told apart from the way the provider wrote it. */
export type JobResult =
  | {
      readonly kind: 'reply'
      readonly customId: string
      readonly status: number
      readonly requestId: string | undefined
      /** The provider's own JSON text. */
      readonly body: string
      readonly json: unknown
    }
  | {
      /** The provider never ran this row, or says it cannot say. */
      readonly kind: 'unexecuted'
      readonly customId: string
      readonly reason: 'expired' | 'cancelled' | 'other'
      readonly code: string
      readonly message: string
    }
  /** A row that is not JSON, or not of any known shape. */
  | { readonly kind: 'unreadable' }

/** A line of a batch, before it is written. */
export interface BatchLine {
  readonly job: JobId
  readonly customId: string
  readonly endpoint: string
  readonly body: string
}
