/** What a caller gets back: everything a `Response` needs, and nothing that ties it to one. */
export interface Reply {
  readonly status: number
  /** Lower-case names. Always has `content-type`. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON text. */
  readonly body: string
  /**
   * The same body already parsed, when somebody had to parse it anyway. Handed to one reader only, who owns it.
   */
  json?: unknown
}

/** Tokens of one answer, as the provider reported them. */
export interface Usage {
  readonly input: number
  readonly output: number
  /** The part of `input` served from the provider's prompt cache. */
  readonly cachedInput?: number
  /** The part of `input` written to the provider's prompt cache, where that costs more than reading it plainly. */
  readonly cacheWrite?: number
  /** The part of `cacheWrite` that is kept for an hour, where that costs more again. */
  readonly cacheWriteHour?: number
  /** The part of `output` spent on reasoning. */
  readonly reasoning?: number
}

/**
 * A refusal offpeak words itself, in the provider's own envelope: HTTP 400-class so that no SDK retries it.
 * 400 invalid · 424 expired, lost or unreadable · 499 cancelled, dropped or scope closed.
 */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly param?: string | undefined
}
