import type { Clock } from '../../src/core/clock.ts'

/** A clock that stands still until it is told to move on. */
export interface FakeClock extends Clock {
  /** Moves on; everything that falls due on the way fires at its own time. */
  advance(ms: number): void
  /** As when a laptop is closed: time passes, and nothing fires before it is opened again. */
  suspend(ms: number): void
  /** How long until something falls due; undefined when nothing ever will. What only keeps the process alive does not count. */
  nextInMs(): number | undefined
  /** Whether somebody keeps the process alive. */
  readonly isHeld: boolean
  /** Timers that are set, those that only keep the process alive left out. */
  readonly timers: number
  /** Calls `listener` with every step time takes. */
  onStep(listener: (ms: number) => void): void
}

interface Timer {
  readonly at: number
  readonly fire: () => void
  readonly isHold: boolean
}

/** `soon` stays real: it is about turns of the event loop, not about time. */
export function fakeClock(startsAt = Date.UTC(2026, 10, 3, 12)): FakeClock {
  let now = startsAt
  const timers = new Set<Timer>()
  const listeners: ((ms: number) => void)[] = []

  function nextTimer(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of timers) if (!timer.isHold && (!next || timer.at < next.at)) next = timer
    return next
  }

  function stepTo(at: number): void {
    const ms = at - now
    if (ms <= 0) return
    now = at
    for (const listener of listeners) listener(ms)
  }

  return {
    now: () => now,
    after(ms, fire, { hold = false } = {}) {
      const timer = { at: now + Math.max(ms, 0), fire, isHold: hold }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    soon: (fire) => void setImmediate(fire),
    advance(ms) {
      const until = now + ms
      for (let timer = nextTimer(); timer && timer.at <= until; timer = nextTimer()) {
        timers.delete(timer)
        stepTo(timer.at)
        timer.fire()
      }
      stepTo(until)
    },
    suspend: (ms) => stepTo(now + ms),
    nextInMs() {
      const next = nextTimer()
      return next && Math.max(next.at - now, 0)
    },
    get isHeld() {
      return [...timers].some(({ isHold }) => isHold)
    },
    get timers() {
      return [...timers].filter(({ isHold }) => !isHold).length
    },
    onStep: (listener) => void listeners.push(listener),
  }
}
