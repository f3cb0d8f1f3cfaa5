import { sleep } from '../core/clock.ts'
import { ProviderError } from '../core/errors.ts'
import { backOffMs } from '../core/poll-policy.ts'
import { isSettled } from '../core/store.ts'
import { about } from './about.ts'
import { isOutside, reasonOf } from './caller.ts'
import type { ManagerContext, OpenBatch } from './context.ts'
import { type Gate, TIME_UP } from './gate.ts'
import type { Poller } from './poller.ts'
import type { JobQueue } from './queue.ts'
import { answerReply, problemAnswer } from './replies.ts'
import type { Settler } from './settler.ts'
import type { Tasks } from './tasks.ts'
import type { Waiters } from './waiters.ts'

export interface TimeLimitParts {
  readonly gate: Gate
  readonly settler: Settler
  readonly waiters: Waiters
  readonly poller: Poller
  readonly tasks: Tasks
  readonly queues: () => Iterable<JobQueue>
  readonly notify: (text: string) => void
}

/**
 * When the time is up nothing more is sent, and what is under way is cancelled: its batches end soon, with the answers they have by then,
 * and each of their callers hears how far it came.
 */
export class TimeLimit {
  readonly #context: ManagerContext
  readonly #parts: TimeLimitParts

  constructor(context: ManagerContext, parts: TimeLimitParts) {
    this.#context = context
    this.#parts = parts
  }

  /** The time is up: refuses what is queued or with others, and cancels what is ours. */
  end(): void {
    const { poller, notify } = this.#parts
    notify(
      'The time limit is over: nothing more is sent, and batches under way are cancelled. Answers they have are kept.',
    )
    this.sweep()
    for (const batch of poller.open) this.cancel(batch)
  }

  /** Refuses what is queued here, and what waits for batches that are not ours to cancel. */
  sweep(): void {
    const { store, clock, owner } = this.#context
    const { gate, settler, waiters, queues } = this.#parts
    for (const queue of queues()) {
      for (let jobs = queue.take(clock.now()); jobs.length > 0; jobs = queue.take(clock.now()))
        gate.refuse(jobs, TIME_UP)
    }
    const ours = new Set(store.openIntents({ owner: owner() }).map(({ id }) => id))
    const others = store
      .status([...waiters.jobs()])
      .filter(({ state, intent }) => !isSettled(state) && (intent === undefined || !ours.has(intent)))
      .map(({ job }) => job)
    settler.turnAway(
      others,
      ({ queue: { account } }, job) =>
        answerReply(account.adapter, problemAnswer(account.adapter, TIME_UP), { job, batch: undefined, cache: 'miss' }),
      'batch-expired',
    )
  }

  /** Cancels a batch that somebody here waits for, as often as it takes; it stays watched until it has ended. */
  cancel(batch: OpenBatch): void {
    const { store } = this.#context
    const { waiters, tasks } = this.#parts
    if (store.unsettled(batch.intent.id).some(({ job }) => waiters.has(job)))
      void tasks.track(() => this.#cancel(batch))
  }

  async #cancel(batch: OpenBatch): Promise<void> {
    const { clock, emit, random, stopping } = this.#context
    const { adapter, call } = batch.account
    const { handle } = batch.intent
    if (!handle) return
    const since = clock.now()
    const isOpen = (): boolean => this.#parts.poller.open.includes(batch)
    for (let failures = 1; isOpen() && !stopping.aborted; failures += 1) {
      try {
        return await adapter.cancel(handle, call)
      } catch (error) {
        if (!isOutside(error)) throw error
        // It has ended already, or is not to be cancelled: its end tells.
        if (error instanceof ProviderError && error.status < 500 && error.status !== 408 && error.status !== 429) return
        const retryInMs = backOffMs(failures, random(), error instanceof ProviderError ? error.retryAfterMs : 0)
        const common = about(batch.intent, clock.now())
        emit({ ...common, type: 'provider-unreachable', doing: 'cancel', since, reason: reasonOf(error), retryInMs })
        await sleep(clock, retryInMs, { signal: stopping })
      }
    }
  }
}
