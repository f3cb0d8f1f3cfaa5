/** The simulator's own time. */
export interface SimulatorClock {
  readonly kind: 'real' | 'virtual'
  /** Milliseconds since the epoch. */
  now(): number
  /** Moves virtual time on. Real time cannot be moved. */
  advance(ms: number): void
}

export function realClock(): SimulatorClock {
  return {
    kind: 'real',
    now: () => Date.now(),
    advance() {
      throw new Error("this simulator runs in real time; start it with time: 'virtual' to move its clock")
    },
  }
}

export function virtualClock(startsAt: number): SimulatorClock {
  let now = startsAt
  return {
    kind: 'virtual',
    now: () => now,
    advance(ms) {
      if (!(ms >= 0)) throw new Error(`time only moves forward; cannot advance by ${ms} ms`)
      now += ms
    },
  }
}
