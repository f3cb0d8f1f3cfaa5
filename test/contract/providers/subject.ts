import type { HeaderPair, JsonObject } from '../../../src/core/request.ts'
import type { SimulatedProvider } from '../../../src/simulator/index.ts'

/** What the contract suite has to be told about a provider. Where a field is absent, the suite expects what OpenAI does. */
export interface Subject {
  readonly name: SimulatedProvider
  /** One body for every endpoint it batches: path below the base URL → body. */
  readonly requests: Readonly<Record<string, JsonObject>>
  /** The path for tests that need only one. */
  readonly path: string
  readonly bodyFor: (prompt: string) => JsonObject
  /** A body that is answered with an HTTP error (400) in its row. */
  readonly rejected: JsonObject
  /** Method and path of calls that are never batched. */
  readonly others: readonly (readonly [method: string, path: string])[]
  /** Key headers as its SDK sends them. */
  readonly keyHeaders?: (key: string) => readonly HeaderPair[]
  /** The custom id and the body a line carries. */
  readonly readLine?: (line: unknown) => { readonly customId: unknown; readonly body: unknown }
  /** Whether rows carry the request id the live answer would have had. */
  readonly requestIds?: false
  /** Whether an ended batch tells its counts. */
  readonly counts?: false
  /** What a batch comes to whose window closes; `never`: none does. */
  readonly expired?: Unfinished | 'never'
  /** What a cancelled batch comes to. */
  readonly cancelled?: Unfinished
  /** What happens to a batch with a row no validation lets through. */
  readonly invalid?: Invalid
  /** `candidates`: its batches carry no tag; they are known by time and size. */
  readonly found?: 'candidates'
  /** Asking about many batches costs a call each. */
  readonly pollsOneByOne?: true
  /** An id of no batch. */
  readonly unknownBatch?: (n: number) => string
  /** The path whose batches upload a file, where those of the usual one need none. */
  readonly uploadPath?: string
  /** What `create` is given in place of an upload. */
  readonly upload?: JsonObject
  /** A poll's reply with this where the provider tells how a batch stands; undefined: it has no such word. */
  readonly stateReply?: ((status: unknown) => unknown) | undefined
}

interface Unfinished {
  readonly outcome: 'completed' | 'expired' | 'cancelled'
  /** Rows that were not run: told as such, or left out; `all-missing`: those that were run too. */
  readonly rest: 'told' | 'missing' | 'all-missing'
}

/** The row itself is `body`, the second of three. `line` is named where it is a number. */
export type Invalid = { readonly body: string } & (
  | { readonly by: 'batch'; readonly line: number | undefined }
  | { readonly by: 'upload' | 'create'; readonly line: number | undefined }
  | { readonly by: 'row' }
)
