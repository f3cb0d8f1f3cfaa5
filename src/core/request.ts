/** Plain JSON, as parsed or as stored. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }
export type JsonObject = { readonly [key: string]: Json | undefined }

/** What decides whether a request is ours, before any body is read. */
export interface RequestHead {
  readonly method: string
  /** Absolute URL, as the caller wrote it. */
  readonly url: string
}

/** Where a matched request was going, in the provider's own terms. */
export interface Target {
  /** The adapter's name. */
  readonly provider: string
  /** Scheme, host, port and path prefix our own calls are built on; no trailing slash, no query. */
  readonly baseUrl: string
  /** The base URL's query (`?tenant=7`) that every call of this client carries, or ''. May hold a secret: never stored. */
  readonly query: string
  /** The path a batch line names, e.g. `/v1/chat/completions`. */
  readonly endpoint: string
  /** Set when the model is part of the URL; otherwise it is read from the body. */
  readonly model?: string
}

/** Lower-case name and value of one header. */
export type HeaderPair = readonly [name: string, value: string]

/** The caller's way out of one request; set `cancelled`, then call `onCancel` if the manager left one. */
export interface CancelToken {
  cancelled: boolean
  onCancel?: () => void
}

/** A request read without harming it, ready to become a job. */
export interface CapturedRequest extends RequestHead {
  readonly target: Target
  readonly headers: readonly HeaderPair[]
  /** The caller's own JSON text. */
  readonly body: string
  /** The same, parsed: always an object. */
  readonly json: JsonObject
  readonly cancel?: CancelToken
  /** Which of its kind it is, where that is known: the retry of a stored job, which takes that job's place. Absent: it is counted. */
  readonly occurrence?: number
}

/** Why a request that matched a provider went through at full price. */
export type PassReason =
  | 'streaming'
  | 'not-json'
  | 'unreadable-body'
  | 'outside-scope'
  | 'not-admitted'
  | 'scope-closed'
  | 'disabled'
