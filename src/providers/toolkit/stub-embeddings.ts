import type { Json, JsonObject } from '../../core/request.ts'
import { OPENAI_USAGE } from './stub-text.ts'

/** Of some models, by how their names begin: how long their vectors are where a request does not say. */
export type Dimensions = readonly (readonly [model: RegExp, dimensions: number])[]

/**
 * OpenAI: https://platform.openai.com/docs/guides/embeddings. Qwen3, served by others: its model cards. All read 2026-11. A model that is not
 * listed has as many as OpenAI's usual ones.
 */
const DIMENSIONS: Dimensions = [
  [/^text-embedding-3-large/, 3072],
  [/Qwen3-Embedding-8B/i, 4096],
  [/Qwen3-Embedding-4B/i, 2560],
  [/Qwen3-Embedding-0\.6B/i, 1024],
]
const USUAL = 1536

/** As long as the vectors it stands for, and of length 1: programs divide by it. */
export function unitVector(dimensions: number): readonly number[] {
  return Array.from({ length: dimensions }, (_, index) => (index === 0 ? 1 : 0))
}

export function dimensionsOf(model: Json | undefined, known: Dimensions, usual: number): number {
  return known.find(([name]) => typeof model === 'string' && name.test(model))?.[1] ?? usual
}

/** How many vectors an `input` is answered with: a list of numbers is one input, in tokens. */
export function inputsIn(input: Json | undefined): number {
  return Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1
}

/** An answer of OpenAI's embeddings; its SDK asks for base64 by itself. */
export function embeddingsStub(body: JsonObject): JsonObject {
  const { model, dimensions, encoding_format: format } = body
  const vector = unitVector(typeof dimensions === 'number' ? dimensions : dimensionsOf(model, DIMENSIONS, USUAL))
  const embedding = format === 'base64' ? base64(Float32Array.from(vector)) : vector
  return {
    object: 'list',
    data: Array.from({ length: inputsIn(body.input) }, (_, index) => ({ object: 'embedding', index, embedding })),
    model: model ?? '',
    usage: OPENAI_USAGE,
  }
}

export function base64(numbers: Float32Array | Int8Array | Uint8Array): string {
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString('base64')
}
