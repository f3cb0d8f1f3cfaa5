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

/** How much longer something takes, going by earlier batches of the same provider and model. */
export interface TimeLeft {
  fromMs: number
  /** Absent when nobody can say: it takes that long at least. */
  toMs?: number
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
  ended: boolean
  total: number
  /** Never goes down. Zero as long as `countsKnown` is false. */
  completed: number
  failed: number
  /** False until the provider has reported counts or given rows: the two above then say nothing. */
  countsKnown: boolean
  /** Since it was claimed, or, by an earlier run, submitted; stands still once it has ended. */
  ageMs: number
  /** Absent when it cannot be told: too few earlier batches are known, or all of them were faster. */
  left?: TimeLeft
}

/** Progress of a scope as plain data, at one moment. */
export interface Snapshot {
  requests: RequestCounts
  batches: readonly BatchSnapshot[]
  elapsedMs: number
  /** Until everything asked for so far is answered. Absent when it cannot be told, and when nothing is awaited. */
  left?: TimeLeft
}
