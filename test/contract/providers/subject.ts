import type { JsonObject } from '../../../src/core/request.ts'
import type { SimulatedProvider } from '../../../src/simulator/index.ts'

/** What the contract suite has to be told about a provider. */
export interface Subject {
  readonly name: SimulatedProvider
  /** One body for every endpoint it batches: path below the base URL → body. */
  readonly requests: Readonly<Record<string, JsonObject>>
  /** The endpoint and model for tests that need only one. */
  readonly path: string
  readonly model: string
  bodyFor(prompt: string): JsonObject
  /** A body that is answered with an HTTP error in its row. */
  readonly rejected: JsonObject
  /** Method and path of calls that are never batched. */
  readonly others: readonly (readonly [method: string, path: string])[]
}
