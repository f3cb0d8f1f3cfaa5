/** Draws that are the same for the same seed. */
export interface Lots {
  /** A whole number below `end`. */
  below(end: number): number
  /** True so often. */
  chance(share: number): boolean
  pick<T>(from: readonly [T, ...T[]]): T
  /** The same things in another order. */
  shuffle<T>(items: readonly T[]): T[]
}

/** mulberry32: small, and good enough to choose tests with. */
export function lotsOf(seed: number): Lots {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number): number => Math.floor(next() * end)
  return {
    below,
    chance: (share) => next() < share,
    pick: (from) => from[below(from.length)] ?? from[0],
    shuffle<T>(items: readonly T[]) {
      const order = items.map((item): [number, T] => [next(), item])
      return order.sort(([a], [b]) => a - b).map(([, item]) => item)
    },
  }
}
