import type { Clock } from '../core/clock.ts'
import type { CapturedRequest } from '../core/request.ts'
import { Occurrences } from './occurrences.ts'
import type { Waiter } from './waiters.ts'

/** Jobs, or characters of their bodies, kept in memory until the turn ends; beyond, they are written at once. */
const GROUP_JOBS = 1024
const GROUP_CHARACTERS = 4_000_000

/** A request on its way into the store. */
export interface Arrival extends Waiter {
  /** Of the request only this: its headers and its parsed body are free again before the group is written. */
  readonly request: Pick<CapturedRequest, 'body' | 'target' | 'cancel'>
  readonly occurrence: number
  readonly model: string
}

/** Collects what arrives in one turn, so that it is written in one transaction. */
export class Inbox {
  readonly #clock: Clock
  readonly #onDue: () => void
  readonly #occurrences = new Occurrences()
  #arrivals: Arrival[] = []
  #characters = 0

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  get size(): number {
    return this.#arrivals.length
  }

  /** Which of its kind in this scope a request is, from 1. An SDK's own retry is the same request again, not another one. */
  occurrence(request: CapturedRequest, fingerprint: string): number {
    return this.#occurrences.of(request, fingerprint)
  }

  add(arrival: Arrival): void {
    if (this.#arrivals.length === 0) this.#clock.soon(this.#onDue)
    this.#arrivals.push(arrival)
    this.#characters += arrival.request.body.length
    if (this.#arrivals.length >= GROUP_JOBS || this.#characters >= GROUP_CHARACTERS) this.#onDue()
  }

  /** Empties it; those whose callers have left already are gone. */
  take(): readonly Arrival[] {
    const arrivals = this.#arrivals.filter(({ request }) => !request.cancel?.cancelled)
    this.#arrivals = []
    this.#characters = 0
    return arrivals
  }
}
