import { digestText } from './digest.ts'

/** The same unit vector for the same text, and another for another. */
export function unitVector(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  let state = digestText(text).low || 1
  let squares = 0
  for (let index = 0; index < dimensions; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const value = state / 2_147_483_648
    vector[index] = value
    squares += value * value
  }
  const length = Math.sqrt(squares)
  for (let index = 0; index < dimensions; index++) vector[index] = (vector[index] ?? 0) / length
  return vector
}

/** Nine digits hold any 32-bit float; its 64-bit spelling is twice as long and says no more. */
export function shortFloat(value: number): number {
  return Number(value.toPrecision(9))
}
