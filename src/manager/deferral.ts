import type { Clock } from '../core/clock.ts'

/** Waits until waiting is all that has been left to do for a while. */
export class Deferral {
  readonly #clock: Clock
  readonly #afterMs: number | undefined
  readonly #isOnlyWaiting: () => boolean
  readonly #onDue: () => void
  #stopTimer: (() => void) | undefined

  /** `afterMs` undefined: never. */
  constructor(clock: Clock, afterMs: number | undefined, isOnlyWaiting: () => boolean, onDue: () => void) {
    this.#clock = clock
    this.#afterMs = afterMs
    this.#isOnlyWaiting = isOnlyWaiting
    this.#onDue = onDue
  }

  /** Starts, keeps or stops the time. */
  update(): void {
    if (this.#afterMs === undefined) return
    if (this.#isOnlyWaiting()) this.#stopTimer ??= this.#clock.after(this.#afterMs, this.#onDue)
    else this.stop()
  }

  stop(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
  }
}
