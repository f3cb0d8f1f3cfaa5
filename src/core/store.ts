import type { BatchCounts, BatchHandle, Intent, IntentRef, IntentState } from './batch.ts'
import type { Answer, JobId, JobState, Settlement } from './job.ts'
import type { JsonObject } from './request.ts'

/** What a job is for: written once per distinct value, referred to by every job. */
export interface JobTarget {
  readonly provider: string
  readonly baseUrl: string
  readonly endpoint: string
  readonly model: string
  /** Keyed hash of everything our calls carry for this caller: origin, key, organisation, project, further headers. */
  readonly account: string
  /** Jobs with the same queue key may share a batch. */
  readonly queueKey: string
}

export interface NewJob {
  readonly target: JobTarget
  /** Hash of method, url, body, account and headers. */
  readonly fingerprint: string
  /** It is the k-th such request of its scope, from 1; 0 = never reuse and never be reused (`cache: false`). */
  readonly occurrence: number
  readonly body: string
  /**
   * What an equal job of an earlier run may give: its answer (default), or only what that run left unfinished, which includes
   * answers that it was paid for and may never have read.
   */
  readonly reuse?: 'answers' | 'unfinished' | undefined
}

/** What the store made of a new job. */
export type Placement =
  /** Ours to queue: written now, or taken back from an owner that is gone, or never submitted before. */
  | { readonly kind: 'queued'; readonly job: JobId }
  /** Answered before. */
  | { readonly kind: 'answered'; readonly job: JobId; readonly answer: Answer; readonly batch: string | undefined }
  /** Somebody (an earlier run, another process, this one) queued or submitted it; its settlement will appear in the store. */
  | { readonly kind: 'waiting'; readonly job: JobId }

/** What a new job would find: not being queued, it costs nothing. */
export type Found = Exclude<Placement, { kind: 'queued' }>

/** A store as far as it can be looked into without changing it. */
export interface StoredAnswers {
  /** 32 random bytes made with the store: keys every hash that a credential enters. */
  readonly salt: Uint8Array
  /** What `enqueue` would give this job, were it called now; undefined: a place in the queue. What was settled before `since` counts as forgotten. */
  peek(job: Pick<NewJob, 'fingerprint' | 'occurrence' | 'reuse'>, now: number, since: number): Found | undefined
  /** What answers have taught, model by model. */
  learned(): readonly Learned[]
}

/** A job's row, for those who wait for it. */
export interface JobStatus {
  readonly job: JobId
  readonly state: JobState
  readonly intent: number | undefined
  /** How often it has gone back to its queue. */
  readonly requeues: number
  readonly possiblyBilled: boolean
  /** Present once settled. */
  readonly answer: Answer | undefined
  readonly batch: string | undefined
}

export interface StoredBody {
  readonly job: JobId
  readonly body: string
  readonly endpoint: string
}

export interface NewIntent {
  readonly tag: string
  readonly target: JobTarget
  readonly window: string
  readonly metadata: Readonly<Record<string, string>>
  /** The intent this one is split from. */
  readonly root?: number | undefined
}

/** What is left out, or undefined, stays as it is. */
export interface IntentChange {
  readonly state?: IntentState
  readonly upload?: JsonObject | undefined
  readonly handle?: BatchHandle | undefined
  readonly status?: string | undefined
  readonly counts?: BatchCounts | undefined
  readonly creatingAt?: number | undefined
  readonly submittedAt?: number | undefined
  readonly endedAt?: number | undefined
}

export interface Requeue {
  /** Counts towards the limit of requeues. */
  readonly counted: boolean
  /** A row of it may have been executed and billed although we have no answer. */
  readonly possiblyBilled?: boolean
}

/** An owner is one scope of one process; it holds what it queued and submitted until its lease runs out. */
export interface NewOwner {
  readonly pid: number
  readonly leaseUntil: number
  /** The run it is part of: a new one, or that of the owner which was this scope before its lease ran out. */
  readonly run?: NewRun | { readonly after: number } | undefined
  /** Whether it shares the budget that is under way on this store, or begins one. With `after` it keeps the one it had. */
  readonly hasLimit?: boolean | undefined
}

export interface NewRun {
  /** The program's name, without its arguments: those may hold anything. */
  readonly program: string
  readonly metadata: Readonly<Record<string, string>>
}

/** What a claim asks of its owner's budget. */
export interface Reservation {
  readonly limitUsd: number
  /** The most each of the jobs can cost, in the order of the jobs. */
  readonly maxCostUsd: readonly number[]
}

/** Where a budget stands: every scope with a limit that is under way at one time on one store shares it. */
export interface BudgetState {
  readonly id: number
  readonly spentUsd: number
  /** Held for batches whose final counts are not known. */
  readonly reservedUsd: number
}

/** What was answered on one day for one model and one use, and what that cost. */
export interface Spending {
  /** UTC: `2026-11-20` */
  readonly day: string
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly metadata: Readonly<Record<string, string>>
  readonly requests: number
  /** Those among them whose cost is in no sum, because nobody knows it. */
  readonly unpriced: number
  readonly inputTokens: number
  readonly cachedTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly costUsd: number
  readonly liveCostUsd: number
}

/** What answers have taught about a model: JSON text, which only whoever wrote it reads. */
export interface Learned {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly state: string
}

/**
 * Where jobs, intents, batches and answers survive. Every method is one transaction, durable when it returns, and synchronous:
 * what it says still holds in the caller's next statement. Times are milliseconds since the epoch.
 * A change by somebody who no longer owns the thing changes nothing and says so (`false`, or fewer ids than given).
 * Throws `OffpeakError` (`store-full`, `store-unusable`) when it cannot write.
 */
export interface Store extends StoredAnswers, Disposable {
  /** For messages: a path, or `memory`. */
  readonly location: string
  /** A folder for spool files, private to this user; undefined: use the system's temporary folder. */
  readonly folder: string | undefined

  enter(owner: NewOwner, now: number): number
  /** Extends a lease; false when it had run out (others may have taken things over) or the owner is unknown. */
  renew(owner: number, leaseUntil: number, now: number): boolean
  /** Ends an owner: its lease is over at once, so that the next run waits for nothing. `finished`: everybody who asked it has been answered. */
  leave(owner: number, now: number, how?: 'finished'): void

  /** Whether an owner's lease has run out. */
  isGone(owner: number, now: number): boolean

  /** Places new jobs, in order. */
  enqueue(owner: number, jobs: readonly NewJob[], now: number): readonly Placement[]
  /** Takes queued jobs of this owner out of the store's queue: their callers left. Returns those that were still queued. */
  drop(owner: number, jobs: readonly JobId[]): readonly JobId[]
  /** Jobs queued by an owner that is gone, or dropped by whoever queued them, become this owner's to queue. Returns those that did. */
  reclaim(owner: number, jobs: readonly JobId[], now: number): readonly JobId[]
  status(jobs: readonly JobId[]): readonly JobStatus[]
  /** A number that differs whenever somebody else, through another connection or this one, has changed what others wait for since the last look. */
  version(): number

  /**
   * tx1: claims queued jobs of this owner for a new intent (state `claimed`). Jobs no longer queued are left out.
   * With `reserve` it takes jobs only up to the first that does not fit: what is spent and reserved of the owner's budget, and what
   * these can cost at the most, stay within the limit together. The others stay queued.
   * undefined when none was left. Throws, changing nothing, when a job belongs to another queue than the intent.
   */
  claim(
    owner: number,
    intent: NewIntent,
    jobs: readonly JobId[],
    now: number,
    reserve?: Reservation,
  ): Intent | undefined
  /**
   * Holds what these jobs of an intent can cost, unless something is held for it already. False, changing nothing, when not all of them fit
   * or the ref does not own it.
   */
  reserve(ref: IntentRef, jobs: readonly JobId[], reserve: Reservation): boolean
  /** tx2–tx4 and every later change of an intent. False when the ref no longer owns it or (with `leaseAfter`) its owner's lease is not beyond that time. */
  advance(ref: IntentRef, change: IntentChange, leaseAfter?: number): boolean
  intent(id: number): Intent | undefined
  /** Intents not `ended` or `abandoned`, oldest first. `account` narrows it. */
  openIntents(filter?: { readonly account?: string; readonly owner?: number }): readonly Intent[]
  /** Whether some intent, open or over, has this batch of this provider. */
  knowsBatch(provider: string, id: string): boolean
  /**
   * How long the latest batches of a provider and model took from create to end, in milliseconds, the latest first. Only those that ran to
   * their end under the eyes of whoever created them: of others nobody knows when they ended.
   */
  durations(provider: string, model: string): readonly number[]
  /** Intents of one root (itself included) that ended by refusal: `status` = 'failed'. */
  failedSplits(root: number): number
  /** Takes over an open intent, if its owner's lease has run out and the new owner's has not; its jobs come along. Returns it with the new owner and epoch. */
  takeOver(id: number, owner: number, now: number): Intent | undefined
  /** Bodies of the unsettled jobs of an intent in job order, read as they are asked for. */
  bodies(intent: number): Iterable<StoredBody>
  /** Unsettled jobs of an intent, in job order. */
  unsettled(intent: number): readonly JobStatus[]
  /** What each of these jobs is for; undefined for one nobody knows. */
  targetsOf(jobs: readonly JobId[]): readonly (Pick<JobTarget, 'endpoint' | 'model'> | undefined)[]

  /**
   * Settles jobs of an intent: first settlement wins, and only it counts towards spending and budget. Of an unknown cost the budget counts
   * what was reserved. Returns the jobs this call settled.
   */
  settle(ref: IntentRef, settlements: readonly Settlement[], now: number): readonly JobId[]
  /**
   * Unsettled jobs of an intent go back to the queue, to this ref's owner, and what was reserved for them is free again, unless they may have
   * been billed. Returns those that did.
   */
  requeue(ref: IntentRef, jobs: readonly JobId[], how: Requeue): readonly JobId[]

  /** Where the budget of this owner stands; undefined when it has none. */
  budgetOf(owner: number): BudgetState | undefined
  /** What was spent on this day (UTC) and after it; default ever. Outlives the answers. */
  spending(since?: string): readonly Spending[]
  /** Keeps what was learned, in the place of what was known of the same models. */
  keepLearned(learned: readonly Learned[]): void

  /**
   * Forgets jobs settled before this time, dropped ones made before it, queued ones whose owner has been gone since before it, and ended
   * intents that have no jobs left. Submitted jobs stay. May take several
   * transactions, each complete by itself. Returns how many jobs.
   */
  purge(before: number): number
}

/** Which states are settled. */
export function isSettled(state: JobState): boolean {
  return state === 'answered' || state === 'failed'
}
