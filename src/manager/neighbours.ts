import type { Intent } from '../core/batch.ts'
import type { JobId } from '../core/job.ts'
import { isSettled } from '../core/store.ts'
import type { Account, ManagerContext, QueueAgain } from './context.ts'
import type { Settler } from './settler.ts'
import type { Waiters } from './waiters.ts'

/** How often the store is asked whether anybody else wrote to it: a question that reads one number. */
const LOOK_MS = 250
const STATUS_CHUNK = 1000

/** Jobs that another scope or process queued or submitted: answered from its work, taken over when it is gone. */
export class Neighbours {
  readonly #context: ManagerContext
  readonly #settler: Settler
  readonly #waiters: Waiters
  readonly #queueAgain: QueueAgain
  readonly #resume: (intent: Intent, account: Account) => void
  readonly #accounts: () => Iterable<Account>
  readonly #onFault: (error: unknown) => void
  readonly #jobs = new Set<JobId>()
  #stopTimer: (() => void) | undefined
  #version = -1
  #lookedAt = 0

  constructor(
    context: ManagerContext,
    parts: {
      readonly settler: Settler
      readonly waiters: Waiters
      readonly queueAgain: QueueAgain
      readonly accounts: () => Iterable<Account>
      /** Carries on an intent that is now ours. */
      readonly resume: (intent: Intent, account: Account) => void
      readonly onFault: (error: unknown) => void
    },
  ) {
    this.#context = context
    this.#settler = parts.settler
    this.#waiters = parts.waiters
    this.#queueAgain = parts.queueAgain
    this.#accounts = parts.accounts
    this.#resume = parts.resume
    this.#onFault = parts.onFault
  }

  get waiting(): number {
    return this.#jobs.size
  }

  wait(job: JobId): void {
    this.#jobs.add(job)
    this.#arm()
  }

  stop(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#jobs.clear()
  }

  /** Takes over what owners that are gone left open for this account. */
  takeOver(account: Account): void {
    const { store, clock, owner } = this.#context
    for (const intent of store.openIntents({ account: account.id })) {
      if (intent.owner === owner()) continue
      const taken = store.takeOver(intent.id, owner(), clock.now())
      if (taken) this.#resume(taken, account)
    }
  }

  #arm(): void {
    if (this.#stopTimer || this.#jobs.size === 0) return
    this.#stopTimer = this.#context.clock.after(LOOK_MS, () => {
      this.#stopTimer = undefined
      try {
        this.#lookIfChanged()
      } catch (error) {
        this.#onFault(error)
      }
      this.#arm()
    })
  }

  /** A lease runs out without a write, so now and then it looks in any case. */
  #lookIfChanged(): void {
    const { store, clock, settings } = this.#context
    const version = store.version()
    const now = clock.now()
    if (version === this.#version && now - this.#lookedAt < settings.leaseMs / 3) return
    this.#version = version
    this.#lookedAt = now
    this.look()
  }

  look(): void {
    const { store, clock, owner } = this.#context
    for (const account of this.#accounts()) this.takeOver(account)
    for (const job of this.#jobs) if (!this.#waiters.has(job)) this.#jobs.delete(job)
    const all = [...this.#jobs]
    for (let start = 0; start < all.length; start += STATUS_CHUNK) {
      const unclaimed: JobId[] = []
      for (const status of store.status(all.slice(start, start + STATUS_CHUNK))) {
        if (isSettled(status.state)) this.#settler.deliver(status)
        else if (status.state !== 'submitted') unclaimed.push(status.job)
      }
      const reclaimed = store.reclaim(owner(), unclaimed, clock.now())
      for (const job of reclaimed) this.#jobs.delete(job)
      this.#queueAgain(reclaimed)
    }
  }
}
