import type { JobId } from '../core/job.ts'
import type { Forecast } from '../core/pricing.ts'
import type { Reply } from '../core/reply.ts'
import type { JobQueue, JobSize } from './queue.ts'

/** A caller that waits for a job. */
export interface Waiter extends JobSize {
  readonly queue: JobQueue
  readonly fingerprint: string
  readonly resolve: (reply: Reply) => void
  /** What was expected of it, where somebody has to know. */
  readonly forecast?: Forecast | undefined
}

/** Who waits for which job. Most jobs have one waiter; an SDK's retry that joined adds a second. */
export class Waiters {
  readonly #waiters = new Map<JobId, Waiter | Waiter[]>()
  readonly #onEmpty: () => void
  #untilEmpty: (() => void)[] = []

  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty
  }

  get size(): number {
    return this.#waiters.size
  }

  has(job: JobId): boolean {
    return this.#waiters.has(job)
  }

  /** One of a job's waiters. */
  first(job: JobId): Waiter | undefined {
    const found = this.#waiters.get(job)
    return Array.isArray(found) ? found[0] : found
  }

  jobs(): Iterable<JobId> {
    return this.#waiters.keys()
  }

  add(job: JobId, waiter: Waiter): void {
    const others = this.#waiters.get(job)
    if (others === undefined) this.#waiters.set(job, waiter)
    else if (Array.isArray(others)) others.push(waiter)
    else this.#waiters.set(job, [others, waiter])
  }

  /** Removes and returns all who wait for a job: whoever takes them resolves them. */
  take(job: JobId): readonly Waiter[] {
    const found = this.#waiters.get(job)
    if (found === undefined) return []
    this.#waiters.delete(job)
    this.#tellIfEmpty()
    return Array.isArray(found) ? found : [found]
  }

  /** A caller left. True when nobody waits for the job any more. */
  remove(job: JobId, waiter: Waiter): boolean {
    const found = this.#waiters.get(job)
    const rest = (Array.isArray(found) ? found : found ? [found] : []).filter((other) => other !== waiter)
    if (rest.length > 0) {
      this.#waiters.set(job, rest)
      return false
    }
    this.#waiters.delete(job)
    this.#tellIfEmpty()
    return true
  }

  /** Resolves once nobody waits for anything. */
  whenEmpty(): Promise<void> {
    if (this.#waiters.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#untilEmpty.push(resolve))
  }

  #tellIfEmpty(): void {
    if (this.#waiters.size > 0) return
    const waiting = this.#untilEmpty
    this.#untilEmpty = []
    this.#onEmpty()
    for (const resolve of waiting) resolve()
  }
}
