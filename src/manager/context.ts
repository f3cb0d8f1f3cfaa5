import type { Call, ProviderAdapter, ProviderRequest } from '../core/adapter.ts'
import type { Intent, IntentRef } from '../core/batch.ts'
import type { Clock } from '../core/clock.ts'
import type { Emit } from '../core/events.ts'
import { DEFAULT_POLL_MS } from '../core/poll-policy.ts'
import type { JobId } from '../core/job.ts'
import type { PricingPort } from '../core/pricing.ts'
import type { IntentChange, Store } from '../core/store.ts'

/** What the user decided, as far as the manager cares. Units and defaults: the option table. */
export interface ManagerSettings {
  readonly batchSize: number
  readonly batchWindowMs: number
  /** undefined: the pace each provider asks for. */
  readonly pollIntervalMs: number | undefined
  readonly maxPollIntervalMs: number
  readonly completionWindow: string
  readonly cache: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly cancelOnAbort: boolean
  readonly settleMs: number
  readonly leaseMs: number
  readonly onAmbiguous: 'wait' | 'resubmit' | 'fail'
  /** Stop once only polling has been left for this long; undefined: wait to the end. */
  readonly deferAfterMs: number | undefined
  /** Refuse before spending more; shared with every scope with a limit that is under way on the same store. */
  readonly maxCostUsd?: number | undefined
  /** Send under a limit what nobody can price as well. */
  readonly allowUnpriced?: boolean | undefined
  /** Open batches of one account, whoever on this store has submitted them. */
  readonly maxBatchesInFlight?: number | undefined
  /** Cancel what is under way after this long. */
  readonly timeLimitMs?: number | undefined
}

/** What every part of the manager is given. */
export interface ManagerContext {
  readonly store: Store
  readonly clock: Clock
  readonly emit: Emit
  /** In [0, 1). */
  readonly random: () => number
  readonly settings: ManagerSettings
  /** Aborts when the scope stops: sleeps end, nothing new is begun. */
  readonly stopping: AbortSignal
  /** Aborts when the time limit is over: nothing new is submitted, what is under way ends. */
  readonly timeUp: AbortSignal
  /** Absent: nobody here knows what anything costs. */
  readonly pricing?: PricingPort | undefined
  /** This scope's id in the store. */
  readonly owner: () => number
}

/** Times a job goes back to its queue on the provider's account before its failure is final. */
export const MAX_REQUEUES = 2

/** An account as the running process knows it: the stored fingerprint, and the way to call with what the caller's request carried. */
export interface Account {
  readonly id: string
  readonly adapter: ProviderAdapter
  readonly call: AccountCall
}

export interface AccountCall {
  readonly baseUrl: string
  send(request: ProviderRequest): Promise<Response>
  /**
   * The same line for a call that must leave at most once: `writeAhead` runs in the same turn as the request leaves, and a second
   * `send` is refused.
   */
  once(writeAhead: () => void): Call
}

/** An intent being carried out, with its latest stored form. */
export class OpenBatch {
  intent: Intent
  readonly account: Account

  constructor(intent: Intent, account: Account) {
    this.intent = intent
    this.account = account
  }

  get ref(): IntentRef {
    return this.intent
  }
}

/** Changes an intent in the store and in hand; false when it is no longer ours. */
export function advance(context: ManagerContext, batch: OpenBatch, change: IntentChange, leaseAfter?: number): boolean {
  if (!context.store.advance(batch.ref, change, leaseAfter)) return false
  const { creates } = batch.intent
  batch.intent = { ...batch.intent, ...change, creates: creates + (change.state === 'creating' ? 1 : 0) }
  return true
}

/** How soon to ask a provider again, when nothing else says. */
export function pollIntervalMs({ settings }: ManagerContext, { adapter }: Account): number {
  return settings.pollIntervalMs ?? adapter.pollIntervalMs ?? DEFAULT_POLL_MS
}

/** Puts jobs back into the queues of those who wait for them. */
export type QueueAgain = (jobs: readonly JobId[]) => void
