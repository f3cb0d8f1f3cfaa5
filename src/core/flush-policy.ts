/** A queue, as far as flushing is concerned. */
export interface QueueSize {
  readonly jobs: number
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
  if (queue.jobs >= Math.min(limits.batchSize, limits.maxJobs)) return { flush: true, reason: 'size' }
  if (queue.bytes >= limits.maxBytes) return { flush: true, reason: 'bytes' }
  const inMs = queue.oldestAt + limits.batchWindowMs - now
  return inMs <= 0 ? { flush: true, reason: 'window' } : { flush: false, inMs }
}

/** How many of the queue's first jobs fit one batch. At least one, so that a job too large alone is refused by the provider and not stuck here. */
export function batchFit(sizes: Iterable<number>, limits: FlushLimits): number {
  const maxJobs = Math.min(limits.batchSize, limits.maxJobs)
  let jobs = 0
  let bytes = 0
  for (const size of sizes) {
    bytes += size
    if (jobs === maxJobs || (jobs > 0 && bytes > limits.maxBytes)) break
    jobs += 1
  }
  return jobs
}
