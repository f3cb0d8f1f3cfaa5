import { digestText } from './digest.ts'

/** Numbers in [0, 1) that are the same for the same seed (xorshift32). */
export function seededRandom(seed: string): () => number {
  let state = digestText(seed).low || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 4_294_967_296
  }
}

/** A new order that is never the given one (when there is more than one thing to order). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const moved = result[last]
    const taken = result[other]
    // Both exist, the indexes being in range; the check is for the compiler.
    if (moved === undefined || taken === undefined) continue
    result[last] = taken
    result[other] = moved
  }
  return result.every((item, index) => item === items[index]) ? result.toReversed() : result
}
