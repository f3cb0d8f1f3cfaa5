import { shouldFlush, type FlushReason } from '../core/flush-policy.ts'
import type { JobId } from '../core/job.ts'
import { type Account, type ManagerContext, pollIntervalMs } from './context.ts'
import type { JobQueue } from './queue.ts'
import type { Waiters } from './waiters.ts'

export interface FlusherParts {
  readonly waiters: Waiters
  readonly queues: () => Iterable<JobQueue>
  /** Makes a batch of these jobs. Resolves when it is with the provider, or will never be. */
  readonly submit: (queue: JobQueue, take: () => readonly JobId[], reason: FlushReason) => Promise<void>
}

/** Decides, with the flush policy, when queues become batches. */
export class Flusher {
  readonly #context: ManagerContext
  readonly #parts: FlusherParts
  readonly #timers = new Map<JobQueue, () => void>()

  constructor(context: ManagerContext, parts: FlusherParts) {
    this.#context = context
    this.#parts = parts
  }

  /** Nothing is queued, or held back for lack of room. */
  get isEmpty(): boolean {
    return [...this.#parts.queues()].every((queue) => queue.size().jobs === 0)
  }

  get isHolding(): boolean {
    const now = this.#context.clock.now()
    return [...this.#parts.queues()].some(({ heldUntil }) => heldUntil > now)
  }

  /** Flushes a queue if it is time, and sets its timer otherwise. */
  consider(queue: JobQueue): void {
    const { clock, stopping } = this.#context
    this.#timers.get(queue)?.()
    this.#timers.delete(queue)
    if (stopping.aborted) return
    const now = clock.now()
    let verdict = shouldFlush(queue.size(), queue.limits, now)
    while (verdict.flush && queue.heldUntil <= now && this.#hasRoom(queue)) {
      void this.#submit(queue, verdict.reason)
      verdict = shouldFlush(queue.size(), queue.limits, now)
    }
    const inMs = Math.max(verdict.flush ? 0 : verdict.inMs, queue.heldUntil - now)
    if (!Number.isFinite(inMs)) return
    const cancelTimer = clock.after(inMs, () => this.consider(queue))
    this.#timers.set(queue, cancelTimer)
  }

  /** Flushes whatever is queued and not held. */
  async flushAll(reason: FlushReason): Promise<void> {
    const now = this.#context.clock.now()
    const submissions: Promise<void>[] = []
    for (const queue of this.#parts.queues()) {
      if (queue.heldUntil > now) continue
      while (queue.size().jobs > 0 && this.#hasRoom(queue)) submissions.push(this.#submit(queue, reason))
    }
    await Promise.all(submissions)
  }

  /** Puts jobs back into the queues of those who wait for them. */
  queueAgain(jobs: readonly JobId[]): void {
    const grown = new Set<JobQueue>()
    for (const job of jobs) {
      const waiter = this.#parts.waiters.first(job)
      if (!waiter) continue
      waiter.queue.push(job, waiter, this.#context.clock.now())
      grown.add(waiter.queue)
    }
    for (const queue of grown) this.consider(queue)
  }

  /** A batch of this account has ended: there may be room again for queues that were held. */
  roomAgain(account: Account): void {
    for (const queue of this.#parts.queues()) {
      if (queue.account !== account) continue
      queue.holds = 0
      if (queue.heldUntil === 0) continue
      queue.heldUntil = 0
      this.consider(queue)
    }
  }

  /** Whether the limit of open batches lets one more begin; if not, the queue is held until one of ours ends, or others may have. */
  #hasRoom(queue: JobQueue): boolean {
    const { store, clock, settings, timeUp } = this.#context
    const { maxBatchesInFlight } = settings
    if (maxBatchesInFlight === undefined || timeUp.aborted) return true
    if (store.openIntents({ account: queue.account.id }).length < maxBatchesInFlight) return true
    queue.heldUntil = clock.now() + pollIntervalMs(this.#context, queue.account)
    return false
  }

  stop(): void {
    for (const cancelTimer of this.#timers.values()) cancelTimer()
    this.#timers.clear()
  }

  #submit(queue: JobQueue, reason: FlushReason): Promise<void> {
    return this.#parts.submit(queue, () => queue.take(this.#context.clock.now()), reason)
  }
}
