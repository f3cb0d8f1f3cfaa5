import type { Clock } from './core/clock.ts'

/** setTimeout fires at once for anything longer. */
const LONGEST_MS = 2 ** 31 - 1

/** The machine's own clock and timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  soon: (fire) => void setImmediate(fire),
  after(ms, fire, { hold = false } = {}) {
    let timer: NodeJS.Timeout
    function wait(left: number): void {
      timer = setTimeout(() => (left > LONGEST_MS ? wait(left - LONGEST_MS) : fire()), Math.min(left, LONGEST_MS))
      if (!hold) timer.unref()
    }
    wait(ms)
    return () => clearTimeout(timer)
  },
}
