import type { Clock } from '../../core/clock.ts'

/** So long nothing may arrive before a program is taken to have nothing left to do but wait. */
const QUIET_MS = 20
/** Turns of the event loop that must pass as well: on a busy machine time alone says little. */
const QUIET_TURNS = 3

/**
 * Tells when a wave of requests is over: the program has asked all it can before it is answered. What it asks afterwards needs batches of
 * its own. Keeps the process alive until then.
 */
export class Wave {
  readonly #clock: Clock
  readonly #onOver: () => void
  #arrivals = 0
  #undo: (() => void) | undefined

  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock
    this.#onOver = onOver
  }

  /** Another request has arrived. */
  arrived(): void {
    this.#arrivals += 1
    if (!this.#undo) this.#wait()
  }

  stop(): void {
    this.#undo?.()
    this.#undo = undefined
  }

  #wait(): void {
    const before = this.#arrivals
    let isStopped = false
    const undo = this.#clock.after(QUIET_MS, () => turn(QUIET_TURNS), { hold: true })
    this.#undo = () => {
      isStopped = true
      undo()
    }
    const turn = (left: number): void => {
      if (isStopped) return
      if (this.#arrivals !== before) return this.#wait()
      if (left > 0) return this.#clock.soon(() => turn(left - 1))
      this.#undo = undefined
      this.#onOver()
    }
  }
}
