import type { BatchState } from '../core/batch.ts'
import { sleep } from '../core/clock.ts'
import { ProviderError } from '../core/errors.ts'
import { backOffMs } from '../core/poll-policy.ts'
import { about, aboutBatch } from './about.ts'
import { isOutside, reasonOf } from './caller.ts'
import { advance, type ManagerContext, type OpenBatch } from './context.ts'
import { answerReply, problemAnswer } from './replies.ts'
import type { Settler } from './settler.ts'

/** Pause between two looks, when the provider answered and the batch was not there (yet). */
const LOOK_AGAIN_MS = 15_000

/**
 * After a create whose outcome is unknown: looks for the batch by its tag, adopts it, or, once nothing has turned up for the settle
 * time, declares it never created.
 */
export class Recovery {
  readonly #context: ManagerContext
  readonly #settler: Settler

  constructor(context: ManagerContext, settler: Settler) {
    this.#context = context
    this.#settler = settler
  }

  /** True when the intent can be carried on; false when this scope lets it rest as it is, for a later run. */
  async resolve(batch: OpenBatch): Promise<boolean> {
    const { clock, random, settings, stopping } = this.#context
    const { adapter, call } = batch.account
    // From the first look that was answered, not from the create: that may have waited on its way, as we may have in a closed laptop.
    let clearSince: number | undefined
    let failures = 0
    let since = clock.now()
    while (!stopping.aborted) {
      const lookedAt = clock.now()
      let pauseMs: number
      try {
        const found = await adapter.find(batch.intent, call)
        if (found.kind === 'adopted') return await this.#adopt(batch, found.states)
        clearSince ??= lookedAt
        const leftMs = settings.onAmbiguous === 'resubmit' ? 0 : clearSince + settings.settleMs - lookedAt
        if (leftMs <= 0) return this.#neverCreated(batch)
        if (settings.onAmbiguous === 'fail') return this.#giveUp(batch)
        failures = 0
        pauseMs = Math.min(LOOK_AGAIN_MS, leftMs)
      } catch (error) {
        if (!isOutside(error)) throw error
        failures += 1
        if (failures === 1) since = lookedAt
        pauseMs = backOffMs(failures, random(), error instanceof ProviderError ? error.retryAfterMs : 0)
        this.#sayUnreachable(batch, error, since, pauseMs)
      }
      await sleep(clock, pauseMs, { signal: stopping })
    }
    return false
  }

  async #adopt(batch: OpenBatch, [best, ...twins]: readonly BatchState[]): Promise<boolean> {
    const { clock, emit } = this.#context
    if (!best) return false
    const { handle, status, counts } = best
    if (!advance(this.#context, batch, { state: 'created', handle, status, counts, submittedAt: clock.now() }))
      return false
    emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-recovered', how: 'adopted' })
    const { adapter, call } = batch.account
    for (const twin of twins) {
      const common = { ...aboutBatch(batch.intent, clock.now()), id: twin.handle.id }
      try {
        await adapter.cancel(twin.handle, call)
        emit({ ...common, type: 'batch-cancelled', reason: 'twin' })
      } catch (error) {
        // It may have ended by itself. Its rows are never read: no caller is answered from two batches.
        emit({ ...common, type: 'batch-cancelled', reason: `twin, not confirmed: ${reasonOf(error)}` })
      }
    }
    return true
  }

  #neverCreated(batch: OpenBatch): boolean {
    const { clock, emit } = this.#context
    if (!advance(this.#context, batch, { state: 'uploaded' })) return false
    emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-recovered', how: 'never-created' })
    return true
  }

  #giveUp(batch: OpenBatch): boolean {
    const { adapter } = batch.account
    const jobs = this.#context.store.unsettled(batch.intent.id).map(({ job }) => job)
    const answer = problemAnswer(adapter, {
      status: 424,
      code: 'ambiguous_create',
      message:
        'offpeak: the provider did not say whether it created the batch of this request; a later run will find out',
    })
    this.#settler.turnAway(
      jobs,
      (_waiter, job) => answerReply(adapter, answer, { job, batch: undefined, cache: 'miss' }),
      'ambiguous-create',
    )
    return false
  }

  #sayUnreachable(batch: OpenBatch, error: unknown, since: number, retryInMs: number): void {
    const { clock, emit } = this.#context
    const common = about(batch.intent, clock.now())
    emit({ ...common, type: 'provider-unreachable', doing: 'find', since, reason: reasonOf(error), retryInMs })
  }
}
