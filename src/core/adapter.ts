import type { BatchHandle, BatchLine, BatchProblem, BatchState, Intent, JobResult } from './batch.ts'
import type { ProviderError } from './errors.ts'
import type { Problem, Usage } from './reply.ts'
import type { HeaderPair, JsonObject, RequestHead, Target } from './request.ts'

/** What a provider accepts in one batch. */
export interface Limits {
  readonly jobs: number
  /** Bytes of the whole input. */
  readonly bytes: number
  /** Bytes of one line. */
  readonly bytesPerJob: number
  /** Completion windows offered, the default first. */
  readonly windows: readonly string[]
  readonly metadata: { readonly pairs: number; readonly keyLength: number; readonly valueLength: number }
}

/** One HTTP call of ours. */
export interface ProviderRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /**
   * Begins with a slash and is relative to the base URL: `/batches`. Or an absolute URL, as a reply has named it: the caller's headers and
   * the base URL's own query go along to the base URL's own origin only.
   */
  readonly path: string
  /** A list of values is a parameter given several times. */
  readonly query?: Readonly<Record<string, string | readonly string[]>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | FormData | Blob
  /** It takes as long as its bytes take, however many: an upload or a download. Any other call is given up after two minutes. */
  readonly isTransfer?: boolean
}

/**
 * One account's line to its provider: carries the caller's headers, stays inside the bypass, is bounded per origin.
 * `send` resolves with a 2xx Response only; anything else is a `ProviderError` (with a status) or a `NetworkError` (without).
 * It never retries.
 */
export interface Call {
  readonly baseUrl: string
  send(request: ProviderRequest): Promise<Response>
}

/** The input of a batch, spooled to disk: reading it never holds it all in memory. */
export interface BatchInput {
  readonly jobs: number
  readonly bytes: number
  /** `<tag>.jsonl` */
  readonly fileName: string
  /** A file-backed Blob of the JSONL. */
  readonly blob: Blob
  /** One JSON text on disk for providers that take their rows inline: `before`, the lines with commas between them, `after`. */
  document(before: string, after: string): Promise<Blob>
}

/** What a look-up after an ambiguous create can find. */
export type Found =
  /** Batches that carry the intent's tag, the most advanced first. More than one means a twin. */
  | { readonly kind: 'adopted'; readonly states: readonly BatchState[] }
  /**
   * For providers whose batches carry no tag: those that could be it, by time and size. Which one it is shows in its results, whose
   * custom ids begin with the tag.
   */
  | { readonly kind: 'candidates'; readonly states: readonly BatchState[] }
  | { readonly kind: 'none' }

/** A batch of ours as a provider lists it. */
export interface TaggedBatch {
  readonly tag: string
  readonly state: BatchState
  /** Milliseconds since the epoch, when the provider tells. */
  readonly createdAt: number | undefined
}

/**
 * What a refusal of an upload or a create means for its jobs.
 * `account`: the key, its rights or its balance: nothing of this account will run now.
 * `capacity`: no room at the moment: hold and try again. `too-large`: split. `invalid`: these jobs cannot run, none of them.
 * `rows`: at least one of them cannot, those named or, where none is, one yet to be found; the others can.
 */
export type Refusal = 'account' | 'capacity' | 'too-large' | 'invalid' | { readonly rows: readonly BatchProblem[] }

/** Rows of a batch that still runs. */
export interface FinishedRows {
  readonly rows: readonly JobResult[]
  /** Where the next look goes on; handed back as it is. */
  readonly since: JsonObject
}

/** What people ask before they trust a provider with their work; the README's table is made of it. */
export interface ProviderFacts {
  /** As its makers write it. */
  readonly title: string
  /** What it batches, as its documentation names it: `/v1/chat/completions`. */
  readonly endpoints: readonly string[]
  /** Off the live price, with what is uncertain about it: `50 %`. */
  readonly discount: string
  /** By what a batch is found again after a create that nobody answered: `metadata`. */
  readonly recoveredBy: string
  /** What of its live surface goes through at full price, in a few words each. */
  readonly passesThrough: readonly string[]
}

/**
 * Everything we know about one provider. Stateless: no timers, environment, store or global fetch.
 * Unknown statuses mean still running; replies are parsed leniently, only the fields read here.
 */
export interface ProviderAdapter {
  /** Stored with every job; renaming it is a migration. */
  readonly name: string
  readonly facts: ProviderFacts
  /** The base URLs it answers for by itself, e.g. `https://api.openai.com/v1`. */
  readonly bases: readonly string[]
  /**
   * What its official SDK puts between the base URL it is given and the paths used here, where it does: `['/v1']`. A base URL somebody
   * configures may end before it or after it. The usual one first.
   */
  readonly prefixes?: readonly string[]
  /** Environment variable in which its SDK looks for another base URL; undefined: its SDK looks in none. */
  readonly baseUrlEnv: string | undefined
  readonly limits: Limits
  /** What may share one batch. */
  readonly mixes: 'nothing' | 'models' | 'endpoints'
  readonly credentials: {
    /** Lower-case names of the headers that identify whom the provider bills. */
    readonly headers: readonly string[]
    readonly env: string
    /** The headers its SDK makes of the environment, for commands without a caller's request; undefined when it holds no key. */
    fromEnvironment?(env: Readonly<Record<string, string | undefined>>): readonly HeaderPair[] | undefined
  }
  /** Response header in which SDKs look for the request id. */
  readonly requestIdHeader: string
  /** The pace of polls its documentation asks for, in milliseconds, where the user sets none. Default 10 000. */
  readonly pollIntervalMs?: number
  /**
   * The same adapter with options of this provider's own: `batchify({ providers: { <name>: settings } })`. Throws a `ZodError` on any it does
   * not know. Absent: there are none.
   */
  configure?(settings: unknown): ProviderAdapter
  /** `path` is what follows the base URL. undefined: not batchable, let it through. */
  match(head: RequestHead, path: string): Pick<Target, 'endpoint' | 'model'> | undefined
  /**
   * What our own calls carry of a caller's header (its name in lower case) that could be carried; undefined: nothing. What is carried tells
   * accounts apart, so one meaning should have one spelling. Absent: every header as it is.
   */
  carry?(name: string, value: string): string | undefined
  /** Why this body cannot ride a batch, in a few words for a person; undefined when it can. */
  admit?(body: JsonObject, target: Target): string | undefined
  /** How much of `limits.jobs` a body uses; 1 when absent. */
  weigh?(body: JsonObject, target: Target): number
  /** What a refused upload or create means, where its HTTP status does not tell; undefined: the status does. */
  refusal?(error: ProviderError): Refusal | undefined
  /** One line of input, without its newline. */
  line(line: BatchLine): string
  /** What can be done ahead of the create, free and repeatable: the upload of its rows, mostly. Absent where there is nothing. */
  upload?(intent: Intent, input: BatchInput, call: Call): Promise<JsonObject>
  /** The one call that bills. Sent once per intent, carrying its tag. */
  create(
    intent: Intent,
    upload: JsonObject | undefined,
    input: () => Promise<BatchInput>,
    call: Call,
  ): Promise<BatchState>
  /** Looks for batches carrying the intent's tag. */
  find(intent: Intent, call: Call): Promise<Found>
  /** Every batch of the account that carries a tag of ours, the newest first. Absent where a provider's batches carry none. */
  list?(call: Call): AsyncIterable<TaggedBatch>
  /** One state per handle the provider answered for; a handle it does not answer for is left out, and asked about again. */
  poll(handles: readonly BatchHandle[], call: Call): Promise<readonly BatchState[]>
  /** Every row of every result channel, in any order, in groups as they arrive. */
  results(handle: BatchHandle, call: Call): AsyncIterable<readonly JobResult[]>
  /**
   * Rows that have finished while the batch still runs, from where an earlier look left off (`since`; undefined: from the first). A row may
   * come twice or not at all: `results` reads them all in the end. Present where running batches are `partial`.
   */
  finished?(handle: BatchHandle, since: JsonObject | undefined, call: Call): AsyncIterable<FinishedRows>
  cancel(handle: BatchHandle, call: Call): Promise<void>
  /** Removes what the intent left in the provider's storage and nobody needs any more. */
  release?(handle: BatchHandle, call: Call): Promise<void>
  /** A refusal in this provider's own error envelope, as JSON text. */
  envelope(problem: Problem): string
  /** JSON text of an answer as the live endpoint gives it, with nothing in it but its shape: what a dry run answers with. */
  stub(body: JsonObject, target: Target): string
  /** Tokens of an answer; undefined when it tells none. */
  usage(json: unknown): Usage | undefined
}
