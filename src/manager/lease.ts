import type { Clock } from '../core/clock.ts'
import type { NewRun, Store } from '../core/store.ts'

export interface LeaseOptions {
  readonly store: Store
  readonly clock: Clock
  readonly pid: number
  readonly settings: { readonly leaseMs: number; readonly maxCostUsd?: number | undefined }
  /** What the store shall know of this run. */
  readonly run?: NewRun | undefined
}

/** Our standing in the store: renewed at a third of its length; entered anew when it ran out, as after a laptop slept. */
export class Lease {
  readonly #options: LeaseOptions
  readonly #onLost: () => void
  #owner: number
  #renewedAt = 0
  #stopTimer: () => void = () => {}

  constructor(options: LeaseOptions, onLost: () => void) {
    this.#options = options
    this.#onLost = onLost
    this.#owner = this.#enter(options.run)
    this.#arm()
  }

  get owner(): number {
    return this.#owner
  }

  /** For stretches in which no timer can fire: a program that makes a million calls in one turn is busy, not gone. */
  keep(): void {
    const { store, clock, settings } = this.#options
    const now = clock.now()
    if (now < this.#renewedAt + settings.leaseMs / 3) return
    this.#renewedAt = now
    try {
      // Too late, it changes nothing, and the timer enters anew once it can.
      store.renew(this.#owner, now + settings.leaseMs, now)
    } catch {
      // As with the timer: the next third tries again.
    }
  }

  stop(): void {
    this.#stopTimer()
  }

  #enter(run: NewRun | { readonly after: number } | undefined): number {
    const { store, clock, pid, settings } = this.#options
    const now = clock.now()
    this.#renewedAt = now
    const hasLimit = settings.maxCostUsd !== undefined
    return store.enter({ pid, leaseUntil: now + settings.leaseMs, run, hasLimit }, now)
  }

  #arm(): void {
    const { clock, settings } = this.#options
    this.#stopTimer = clock.after(settings.leaseMs / 3, () => {
      try {
        this.#renew()
      } catch {
        // The next third tries again. Until then the lease itself protects: nothing is created without a look at it.
      }
      this.#arm()
    })
  }

  #renew(): void {
    const { store, clock, settings } = this.#options
    const now = clock.now()
    this.#renewedAt = now
    if (store.renew(this.#owner, now + settings.leaseMs, now)) return
    this.#owner = this.#enter({ after: this.#owner })
    this.#onLost()
  }
}
