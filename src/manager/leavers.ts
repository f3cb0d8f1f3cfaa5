import type { JobId } from '../core/job.ts'
import { about, aboutBatch } from './about.ts'
import type { ManagerContext } from './context.ts'
import type { Poller } from './poller.ts'
import type { Tasks } from './tasks.ts'
import type { Waiter, Waiters } from './waiters.ts'

export interface LeaversParts {
  readonly waiters: Waiters
  readonly poller: Poller
  readonly tasks: Tasks
}

/** Callers that went away. Their queued jobs are taken out; submitted ones stay, to be found by the next run. */
export class Leavers {
  readonly #context: ManagerContext
  readonly #parts: LeaversParts
  /** Jobs nobody waits for any more, until the turn ends. */
  #left: (readonly [JobId, Waiter])[] = []

  constructor(context: ManagerContext, parts: LeaversParts) {
    this.#context = context
    this.#parts = parts
  }

  leave(job: JobId, waiter: Waiter): void {
    const { waiters, tasks } = this.#parts
    // Whoever was answered already has nothing to leave.
    if (!waiters.has(job) || !waiters.remove(job, waiter)) return
    if (this.#left.length === 0) this.#context.clock.soon(() => tasks.guard(() => this.drop()))
    this.#left.push([job, waiter])
  }

  /** Takes them out of the store's queue now. */
  drop(): void {
    if (this.#left.length === 0) return
    const left = new Map(this.#left)
    this.#left = []
    const { store, clock, emit, owner, settings } = this.#context
    const dropped = store.drop(owner(), [...left.keys()])
    for (const job of dropped) {
      const queue = left.get(job)?.queue
      if (!queue) continue
      const common = { ...about(queue.target, clock.now()), job, batch: undefined, usage: undefined }
      emit({ ...common, type: 'request-settled', status: 499, reason: 'caller-left' })
    }
    if (settings.cancelOnAbort && dropped.length < left.size) void this.#parts.tasks.track(() => this.cancelUnwanted())
  }

  /** Cancels batches that no caller waits for any more. */
  async cancelUnwanted(): Promise<void> {
    const { store, clock, emit } = this.#context
    for (const batch of this.#parts.poller.open) {
      const { handle } = batch.intent
      const isWanted = store.unsettled(batch.intent.id).some(({ job }) => this.#parts.waiters.has(job))
      if (isWanted || !handle) continue
      const { adapter, call } = batch.account
      try {
        // Once: unlike others, this call is not cut short by the end of the scope, being part of it.
        await adapter.cancel(
          handle,
          call.once(() => undefined),
        )
        emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-cancelled', reason: 'abandoned' })
      } catch {
        // It stays in the store and goes on; nothing is lost but the saving.
      }
    }
  }
}
