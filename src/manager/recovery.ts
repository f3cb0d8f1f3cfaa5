import type { Found } from '../core/adapter.ts'
import type { BatchHandle, BatchState } from '../core/batch.ts'
import { sleep } from '../core/clock.ts'
import { ProviderError } from '../core/errors.ts'
import { parseCustomId } from '../core/job.ts'
import { backOffMs } from '../core/poll-policy.ts'
import { about, aboutBatch } from './about.ts'
import { isOutside, reasonOf } from './caller.ts'
import { advance, type ManagerContext, type OpenBatch, pollIntervalMs } from './context.ts'
import { answerReply, problemAnswer } from './replies.ts'
import type { Settler } from './settler.ts'

/** Uploads are kept for weeks, by Google for two days; one from before this is not relied on. */
export const UPLOAD_LASTS_MS: number = 36 * 60 * 60_000
/** How long the results of a batch that may be ours can be refused before it is somebody else's. */
const REFUSED_MS = 20 * 60_000
/** Pause between two looks, when the provider answered and the batch was not there (yet). */
const LOOK_AGAIN_MS = 15_000

/** Batches without a tag that an intent has nothing to do with. */
interface Strangers {
  readonly known: Set<string>
  readonly refusedSince: Map<string, number>
}

function newStrangers(): Strangers {
  return { known: new Set(), refusedSince: new Map() }
}

/** The provider answers, and what it answers is that these results are not for us. */
function isRefusal(error: unknown): boolean {
  return error instanceof ProviderError && [400, 403, 404, 410].includes(error.status)
}

/**
 * After a create whose outcome is unknown: looks for the batch by its tag, adopts it, or, once nothing has turned up for the settle
 * time, declares it never created.
 */
export class Recovery {
  readonly #context: ManagerContext
  readonly #settler: Settler

  readonly #notify: (text: string) => void
  /** Twins that have been dealt with. */
  readonly #twins = new Set<string>()
  /** Batches without a tag that were looked into and are somebody else's. */
  readonly #strangers = new WeakMap<OpenBatch, Strangers>()

  constructor(context: ManagerContext, settler: Settler, notify: (text: string) => void) {
    this.#context = context
    this.#settler = settler
    this.#notify = notify
  }

  /** True when the intent can be carried on; false when this scope lets it rest as it is, for a later run. */
  async resolve(batch: OpenBatch): Promise<boolean> {
    const { clock, random, settings, stopping } = this.#context
    const { adapter, call } = batch.account
    // From the first look that was answered, not from the create: that may have waited on its way, as we may have in a closed laptop.
    let clearSince: number | undefined
    const strangers = newStrangers()
    let failures = 0
    let since = clock.now()
    while (!stopping.aborted) {
      const lookedAt = clock.now()
      let pauseMs: number
      try {
        const found = await adapter.find(batch.intent, call)
        if (found.kind === 'adopted') return await this.#adopt(batch, found.states)
        const { ours, undecided } = await this.#examine(
          batch,
          found.kind === 'candidates' ? found.states : [],
          strangers,
        )
        if (ours) return await this.#adopt(batch, [ours])
        // One that is still running could be ours; it will tell when it has results.
        clearSince = undecided > 0 ? undefined : (clearSince ?? lookedAt)
        const leftMs =
          settings.onAmbiguous === 'resubmit'
            ? 0
            : (clearSince ?? Number.POSITIVE_INFINITY) + settings.settleMs - lookedAt
        if (leftMs <= 0) return this.#neverCreated(batch)
        if (settings.onAmbiguous === 'fail') return this.#giveUp(batch)
        failures = 0
        // A candidate is looked at as often as a batch that is known to be ours.
        pauseMs = Math.min(LOOK_AGAIN_MS, leftMs, undecided > 0 ? pollIntervalMs(this.#context, batch.account) : leftMs)
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
    for (const twin of twins) await this.#cancelTwin(batch, twin)
    return true
  }

  /** Of batches that carry no tag, the one whose results prove it ours, or those that may still turn out to be. */
  async #examine(
    batch: OpenBatch,
    states: readonly BatchState[],
    strangers: Strangers,
  ): Promise<{ readonly ours: BatchState | undefined; readonly undecided: number }> {
    const { store } = this.#context
    let undecided = 0
    for (const state of states) {
      const { id } = state.handle
      if (strangers.known.has(id) || store.knowsBatch(batch.intent.provider, id)) continue
      const isOurs = state.phase === 'ended' ? await this.#isOurs(batch, state.handle, strangers) : undefined
      if (isOurs) return { ours: state, undecided }
      if (isOurs === undefined) undecided += 1
      else strangers.known.add(id)
    }
    return { ours: undefined, undecided }
  }

  /** undefined: not to be told yet. Results that stay refused for long are not ours: this account made ours, and may read it. */
  async #isOurs(batch: OpenBatch, handle: BatchHandle, strangers: Strangers): Promise<boolean | undefined> {
    try {
      return await this.#hasOurRows(batch, handle)
    } catch (error) {
      if (!isRefusal(error)) throw error
      const now = this.#context.clock.now()
      const since = strangers.refusedSince.get(handle.id) ?? now
      strangers.refusedSince.set(handle.id, since)
      return now - since >= REFUSED_MS ? false : undefined
    }
  }

  /** Batches of this intent. One without a tag shows in its results alone whose it is: by then it has run, and can only be told. */
  async #oursAmong(batch: OpenBatch, found: Found): Promise<readonly BatchState[]> {
    if (found.kind === 'adopted') return found.states
    if (found.kind === 'none') return []
    const strangers = this.#strangers.get(batch) ?? newStrangers()
    this.#strangers.set(batch, strangers)
    const { ours } = await this.#examine(batch, found.states, strangers)
    return ours ? [ours] : []
  }

  async #hasOurRows(batch: OpenBatch, handle: BatchHandle): Promise<boolean> {
    const { adapter, call } = batch.account
    for await (const results of adapter.results(handle, call)) {
      for (const result of results) {
        // All its rows are of one program: the first that can be read decides.
        if (result.kind !== 'unreadable') return parseCustomId(result.customId)?.tag === batch.intent.tag
      }
    }
    return false
  }

  /**
   * A create of ours came through although somebody else has taken the intent over, as when this computer slept while it was on its way:
   * unless they take up this batch, it is a twin of theirs.
   */
  async disown(batch: OpenBatch, ours: BatchState): Promise<void> {
    const { store, clock, stopping } = this.#context
    for (;;) {
      const theirs = store.intent(batch.intent.id)
      if (theirs?.handle?.id === ours.handle.id) return
      if (theirs?.state !== 'creating') {
        batch.intent = theirs ?? batch.intent
        return await this.#cancelTwin(batch, ours)
      }
      // They are still looking for it.
      if (stopping.aborted) return
      await sleep(clock, Math.min(LOOK_AGAIN_MS, pollIntervalMs(this.#context, batch.account)), { signal: stopping })
    }
  }

  /** Looks once for further batches of an intent and cancels them: what has run by then was paid for twice, and is said. */
  async cancelTwins(batch: OpenBatch): Promise<void> {
    const { adapter, call } = batch.account
    try {
      const found = await adapter.find(batch.intent, call)
      for (const state of await this.#oursAmong(batch, found)) {
        const { id } = state.handle
        if (id === batch.intent.handle?.id || this.#twins.has(id)) continue
        await this.#cancelTwin(batch, state)
      }
    } catch (error) {
      // The next poll of the batch looks again.
      if (!isOutside(error)) throw error
    }
  }

  async #cancelTwin(batch: OpenBatch, twin: BatchState): Promise<void> {
    const { clock, emit } = this.#context
    const { adapter, call } = batch.account
    const { id } = twin.handle
    this.#twins.add(id)
    const common = { ...aboutBatch(batch.intent, clock.now()), id }
    this.#notify(
      `${batch.intent.provider} has two batches of the same ${batch.intent.jobs} requests: ${batch.intent.handle?.id ?? ''} is kept, ${id} ${twin.phase === 'ended' ? 'had ended' : 'is cancelled'}; what it had run by then may be billed twice`,
    )
    try {
      if (twin.phase !== 'ended') await adapter.cancel(twin.handle, call)
      emit({ ...common, type: 'batch-cancelled', reason: 'twin' })
    } catch (error) {
      if (!isOutside(error)) throw error
      // It may have ended by itself. Its rows are never read: no caller is answered from two batches.
      emit({ ...common, type: 'batch-cancelled', reason: `twin, not confirmed: ${reasonOf(error)}` })
    }
  }

  #neverCreated(batch: OpenBatch): boolean {
    const { clock, emit } = this.#context
    // An old upload may have expired, and a rebuilt store knows of none: uploading is free.
    const { upload, createdAt } = batch.intent
    const canUpload = batch.account.adapter.upload !== undefined
    const isOld = upload === undefined || clock.now() - createdAt > UPLOAD_LASTS_MS
    if (!advance(this.#context, batch, { state: canUpload && isOld ? 'claimed' : 'uploaded' })) return false
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
