import type { Clock } from '../../../src/core/clock.ts'

export interface ManualClock extends Clock {
  /** Moves time on, firing what falls due, in order. */
  advance(ms: number): void
  /** Timers not fired and not undone. */
  readonly waiting: number
}

export function manualClock(startsAt = 1_000_000): ManualClock {
  let now = startsAt
  const timers = new Set<{ readonly at: number; readonly fire: () => void }>()
  return {
    now: () => now,
    after(ms, fire, options) {
      if (options?.hold) throw new Error('a display must not keep the process alive')
      const timer = { at: now + ms, fire }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    soon: queueMicrotask,
    advance(ms) {
      const until = now + ms
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)
        if (!next) break
        timers.delete(next)
        now = Math.max(now, next.at)
        next.fire()
      }
      now = until
    },
    get waiting() {
      return timers.size
    },
  }
}
