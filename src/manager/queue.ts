import { batchFit, type FlushLimits, type QueueSize } from '../core/flush-policy.ts'
import type { Answer, JobId } from '../core/job.ts'
import type { JobTarget } from '../core/store.ts'
import type { Account } from './context.ts'

/** What a job takes of a batch's limits. */
export interface JobSize {
  readonly bytes: number
  readonly weight: number
}

/** Jobs waiting to share a batch: their ids and sizes only, their bodies are in the store. */
export class JobQueue {
  readonly account: Account
  readonly target: JobTarget
  limits: FlushLimits
  /** Not flushed before this: the provider has no room. */
  heldUntil = 0
  /** How often in a row it had no room. */
  holds = 0
  /** The provider refuses this account; callers are told at once until `until`. */
  refusal: { readonly answer: Answer; readonly until: number } | undefined
  readonly #otherTargets = new Map<string, JobTarget>()
  #jobs: JobId[] = []
  #bytes: number[] = []
  #weights: number[] = []
  #totalBytes = 0
  #totalWeight = 0
  #oldestAt = 0

  constructor(account: Account, target: JobTarget, limits: FlushLimits) {
    this.account = account
    this.target = target
    this.limits = limits
  }

  /** So many jobs had no room although nothing of ours was in their way: from now on a batch is at most half as large. */
  shrink(jobs: number): void {
    const batchSize = Math.max(1, Math.min(this.limits.batchSize, jobs >> 1))
    this.limits = { ...this.limits, batchSize }
  }

  /** What a job of this queue is for; where models or endpoints may share it, that differs from job to job. */
  targetFor(endpoint: string, model: string): JobTarget {
    if (endpoint === this.target.endpoint && model === this.target.model) return this.target
    const key = `${endpoint}\0${model}`
    const known = this.#otherTargets.get(key)
    if (known) return known
    const target = { ...this.target, endpoint, model }
    this.#otherTargets.set(key, target)
    return target
  }

  push(job: JobId, size: JobSize, now: number): void {
    if (this.#jobs.length === 0) this.#oldestAt = now
    this.#jobs.push(job)
    this.#bytes.push(size.bytes)
    this.#weights.push(size.weight)
    this.#totalBytes += size.bytes
    this.#totalWeight += size.weight
  }

  get jobs(): readonly JobId[] {
    return this.#jobs
  }

  size(): QueueSize {
    return {
      jobs: this.#jobs.length,
      bytes: this.#totalBytes,
      weight: this.#totalWeight,
      oldestAt: this.#oldestAt,
    }
  }

  /** Takes out the jobs of the next batch, oldest first: as many as fit one. */
  take(now: number): readonly JobId[] {
    const fit = batchFit(this.#bytes, this.#weights, this.limits)
    const taken = this.#jobs.splice(0, fit)
    for (const bytes of this.#bytes.splice(0, fit)) this.#totalBytes -= bytes
    for (const weight of this.#weights.splice(0, fit)) this.#totalWeight -= weight
    this.#oldestAt = now
    return taken
  }
}
