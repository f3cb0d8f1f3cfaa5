import type { Clock } from '../core/clock.ts'

const AS_LONG_AS_IT_TAKES_MS = 2 ** 31 - 1

/**
 * Keeps the process alive while a caller waits for something that will come by itself. Jobs that merely wait in a queue do not count:
 * when nothing else is left to do, Node says `beforeExit`, and that is the moment to submit them.
 */
export class Hold {
  readonly #clock: Clock
  readonly #isNeeded: () => boolean
  #release: (() => void) | undefined

  constructor(clock: Clock, isNeeded: () => boolean) {
    this.#clock = clock
    this.#isNeeded = isNeeded
  }

  update(): void {
    if (this.#isNeeded())
      this.#release ??= this.#clock.after(AS_LONG_AS_IT_TAKES_MS, () => this.#again(), { hold: true })
    else this.stop()
  }

  stop(): void {
    this.#release?.()
    this.#release = undefined
  }

  #again(): void {
    this.#release = undefined
    this.update()
  }
}
