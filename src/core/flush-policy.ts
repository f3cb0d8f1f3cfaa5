/** A queue, as far as flushing is concerned. */
export interface QueueSize {
  readonly jobs: number
  /** What its jobs use of the provider's limit of jobs: their number, unless some count for several. */
  readonly weight: number
  readonly bytes: number
  /** When the oldest job in it was queued. */
  readonly oldestAt: number
}

export interface FlushLimits {
  readonly batchSize: number
  readonly batchWindowMs: number
  /** The provider's own, jobs and bytes. */
  readonly maxJobs: number
  readonly maxBytes: number
}

export type FlushReason = 'size' | 'bytes' | 'window' | 'asked' | 'idle'
export type FlushVerdict =
  | { readonly flush: true; readonly reason: FlushReason }
  | { readonly flush: false; readonly inMs: number }

/** Whether a queue should become a batch now, and if not, when to ask again (`Infinity` for an empty one). */
export function shouldFlush(queue: QueueSize, limits: FlushLimits, now: number): FlushVerdict {
  if (queue.jobs === 0) return { flush: false, inMs: Number.POSITIVE_INFINITY }
  if (queue.jobs >= limits.batchSize || queue.weight >= limits.maxJobs) return { flush: true, reason: 'size' }
  if (queue.bytes >= limits.maxBytes) return { flush: true, reason: 'bytes' }
  const inMs = queue.oldestAt + limits.batchWindowMs - now
  return inMs <= 0 ? { flush: true, reason: 'window' } : { flush: false, inMs }
}

/** How many of the queue's first jobs fit one batch. At least one: a job too large alone is the provider's to refuse, not ours to keep. */
export function batchFit(bytes: readonly number[], weights: readonly number[], limits: FlushLimits): number {
  let usedBytes = 0
  let usedWeight = 0
  let jobs = 0
  while (jobs < bytes.length && jobs < limits.batchSize) {
    usedBytes += bytes[jobs] ?? 0
    usedWeight += weights[jobs] ?? 1
    if (jobs > 0 && (usedBytes > limits.maxBytes || usedWeight > limits.maxJobs)) break
    jobs += 1
  }
  return jobs
}
