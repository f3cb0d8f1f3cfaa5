/** Requests by where they stand. `total` is every request a provider was recognised for. */
export interface RequestCounts {
  total: number
  /** Answered from the store. */
  cached: number
  queued: number
  /** Submitted and not settled; those that joined a job of an earlier run or another process count here too. */
  running: number
  completed: number
  failed: number
  /** Went through at full price. */
  passedThrough: number
}

/** One batch, as far as anybody knows. */
export interface BatchSnapshot {
  /** The provider's id, or the intent's tag until there is one. */
  id: string
  provider: string
  endpoint: string
  model: string
  /** `submitting`, then the provider's own word, then `completed`, `failed` or `cancelled`. */
  state: string
  total: number
  /** Never goes down. `undefined` while the provider reports no counts: unknown, which is neither zero nor all. */
  completed: number | undefined
  failed: number | undefined
  ageMs: number
}

/** Progress of a scope as plain data, at one moment. */
export interface Snapshot {
  requests: RequestCounts
  batches: readonly BatchSnapshot[]
  elapsedMs: number
}
