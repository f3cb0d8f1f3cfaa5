import type { BatchState } from '../core/batch.ts'
import { type NetworkError, ProviderError } from '../core/errors.ts'
import { backOffMs, nextPollMs } from '../core/poll-policy.ts'
import { about, aboutBatch } from './about.ts'
import { isOutside, reasonOf } from './caller.ts'
import { advance, type Account, type ManagerContext, type OpenBatch, pollIntervalMs } from './context.ts'

/**
 * A poll may come this much, or this part of its wait, before it is due, to share the round of another that is: together they cost
 * a few pages of a list where the provider has one.
 */
const ROUND_SLACK_MS = 250
const ROUND_SLACK_SHARE = 0.25

interface Watched {
  readonly batch: OpenBatch
  dueAt: number
  /** From here on it joins a round that others are due for. */
  joinsAt: number
  polls: number
  failures: number
  failingSince: number
  isBusy: boolean
}

type Ended = BatchState & { phase: 'ended' }

/** Who hears what polls find out. */
export interface PollerListener {
  onRunning(batch: OpenBatch, state: BatchState): void
  /** The batch is no longer watched. */
  onEnded(batch: OpenBatch, state: Ended): void
  /** A fault of ours. */
  onFault(error: unknown): void
}

/** Asks about everything open: one timer, one round at a time per account, each batch at its own pace. A failed poll never fails a batch. */
export class Poller {
  readonly #context: ManagerContext
  readonly #told: PollerListener
  readonly #watched = new Map<number, Watched>()
  #stopTimer: () => void = () => {}
  #timerAt = Number.POSITIVE_INFINITY

  constructor(context: ManagerContext, told: PollerListener) {
    this.#context = context
    this.#told = told
  }

  get open(): readonly OpenBatch[] {
    return [...this.#watched.values()].map(({ batch }) => batch)
  }

  /** `isOld`: it may have ended long ago, so ask at once. */
  watch(batch: OpenBatch, isOld = false): void {
    const { clock } = this.#context
    const watched = { batch, dueAt: 0, joinsAt: 0, polls: 0, failures: 0, failingSince: 0, isBusy: false }
    wait(watched, clock.now(), isOld ? 0 : this.#pace(watched))
    this.#watched.set(batch.intent.id, watched)
    this.#arm()
  }

  unwatch(intent: number): void {
    this.#watched.delete(intent)
  }

  stop(): void {
    this.#stopTimer()
    this.#watched.clear()
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #pace({ batch, polls }: Watched, retryAfterMs?: number): number {
    const { settings, random } = this.#context
    const intervalMs = pollIntervalMs(this.#context, batch.account)
    return nextPollMs(polls, { intervalMs, maxIntervalMs: settings.maxPollIntervalMs }, random(), retryAfterMs)
  }

  #arm(): void {
    const { clock } = this.#context
    let next = Number.POSITIVE_INFINITY
    for (const { dueAt, isBusy } of this.#watched.values()) if (!isBusy && dueAt < next) next = dueAt
    if (next === this.#timerAt) return
    this.#stopTimer()
    this.#timerAt = next
    if (next === Number.POSITIVE_INFINITY) return
    this.#stopTimer = clock.after(Math.max(next - clock.now(), 0), () => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.#round()
      this.#arm()
    })
  }

  #round(): void {
    const now = this.#context.clock.now()
    const due = new Map<Account, Watched[]>()
    for (const watched of this.#watched.values()) {
      if (watched.isBusy || watched.joinsAt > now) continue
      watched.isBusy = true
      const { account } = watched.batch
      const group = due.get(account) ?? []
      group.push(watched)
      due.set(account, group)
    }
    for (const [account, group] of due) void this.#ask(account, group)
  }

  async #ask(account: Account, group: readonly Watched[]): Promise<void> {
    try {
      const answer = await this.#statesOf(account, group)
      for (const watched of group) {
        const state = answer instanceof Map ? answer.get(watched.batch.intent.handle?.id) : undefined
        if (state) this.#heard(watched, state)
        else this.#failed(watched, answer instanceof Map ? undefined : answer)
      }
    } catch (error) {
      this.#told.onFault(error)
      const { clock, settings } = this.#context
      for (const watched of group) wait(watched, clock.now(), settings.maxPollIntervalMs)
    }
    for (const watched of group) watched.isBusy = false
    this.#arm()
  }

  async #statesOf(
    { adapter, call }: Account,
    group: readonly Watched[],
  ): Promise<ReadonlyMap<string | undefined, BatchState> | ProviderError | NetworkError> {
    try {
      const handles = group.flatMap(({ batch }) => batch.intent.handle ?? [])
      const states = await adapter.poll(handles, call)
      return new Map(states.map((state) => [state.handle.id, state]))
    } catch (error) {
      if (isOutside(error)) return error
      throw error
    }
  }

  #heard(watched: Watched, state: BatchState): void {
    const { clock, emit, stopping } = this.#context
    const { batch } = watched
    if (this.#watched.get(batch.intent.id) !== watched || stopping.aborted) return
    const wasUnreachable = watched.failures > 0
    watched.failures = 0
    watched.polls += 1
    wait(watched, clock.now(), this.#pace(watched, state.retryAfterMs), state.retryAfterMs)
    const { handle, counts } = state
    const status = statusOf(state)
    const before = batch.intent
    // Counts alone are not worth a write to the disk: the next poll tells them again.
    if (status !== before.status || state.phase === 'ended') {
      if (!advance(this.#context, batch, { handle, status, counts })) return this.unwatch(batch.intent.id)
    } else {
      batch.intent = { ...before, counts }
    }
    if (wasUnreachable || status !== before.status || !sameCounts(counts, before.counts)) {
      emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-progress', status })
    }
    if (state.phase !== 'ended') return this.#told.onRunning(batch, state)
    this.unwatch(batch.intent.id)
    this.#told.onEnded(batch, state)
  }

  #failed(watched: Watched, error: unknown): void {
    const { clock, emit, random } = this.#context
    watched.failures += 1
    if (watched.failures === 1) watched.failingSince = clock.now()
    const retryAfterMs = error instanceof ProviderError ? error.retryAfterMs : 0
    const retryInMs = backOffMs(watched.failures, random(), retryAfterMs)
    wait(watched, clock.now(), retryInMs, retryAfterMs)
    const common = about(watched.batch.intent, clock.now())
    const reason = pollFailure(error, watched.batch)
    emit({ ...common, type: 'provider-unreachable', doing: 'poll', since: watched.failingSince, reason, retryInMs })
  }
}

/** A batch that is not there is most likely there for another key: nothing is given up, and its user is told. */
function pollFailure(error: unknown, { intent }: OpenBatch): string {
  if (error === undefined) return 'the provider did not answer for this batch'
  if (!(error instanceof ProviderError) || error.status !== 404) return reasonOf(error)
  return `this key does not see batch ${intent.handle?.id ?? ''}; it needs the key, organisation and project that created it`
}

/** The provider's own word, for people; what the store counts as a refusal has one word. */
function statusOf(state: BatchState): string {
  return state.phase === 'ended' && state.outcome === 'failed' ? 'failed' : state.status
}

/** `atLeastMs` is what the provider asks for. */
function wait(watched: Watched, now: number, waitMs: number, atLeastMs = 0): void {
  const earlyMs = Math.max(ROUND_SLACK_MS, waitMs * ROUND_SLACK_SHARE)
  watched.dueAt = now + waitMs
  watched.joinsAt = now + Math.max(waitMs - earlyMs, atLeastMs)
}

function sameCounts(a: BatchState['counts'], b: BatchState['counts']): boolean {
  return a?.total === b?.total && a?.completed === b?.completed && a?.failed === b?.failed
}
