import PQueue from 'p-queue'
import type { BatchInput, Refusal } from '../core/adapter.ts'
import type { BatchProblem, BatchState } from '../core/batch.ts'
import { sleep } from '../core/clock.ts'
import { ProviderError } from '../core/errors.ts'
import type { Answer, JobId } from '../core/job.ts'
import type { Problem } from '../core/reply.ts'
import { backOffMs } from '../core/poll-policy.ts'
import type { IntentChange } from '../core/store.ts'
import { about, aboutBatch } from './about.ts'
import { isOutside, reasonOf } from './caller.ts'
import { advance, OpenBatch, type Account, type ManagerContext, type QueueAgain } from './context.ts'
import { type Gate, TIME_UP } from './gate.ts'
import type { JobQueue } from './queue.ts'
import type { Refused } from './rejection.ts'
import { type Recovery, UPLOAD_LASTS_MS } from './recovery.ts'
import { answerReply, problemAnswer } from './replies.ts'
import type { Settler } from './settler.ts'
import { type Spool, spool, sweepSpool } from './spool.ts'
import type { Waiters } from './waiters.ts'

/** Batches of one account being uploaded or created at once. More would only share the same line. */
const AT_ONCE = 4
/** How long callers of a refused account are told so without asking the provider again. */
const REFUSAL_MS = 60_000
const LONGEST_HOLD_MS = 15 * 60_000

export interface SubmitterParts {
  readonly context: ManagerContext
  readonly settler: Settler
  readonly gate: Gate
  readonly waiters: Waiters
  readonly recovery: Recovery
  readonly queueAgain: QueueAgain
  /** Some row of a batch made the provider refuse it: finds out which. */
  readonly reject: (batch: OpenBatch, refused: Refused, jobs: readonly JobId[]) => void
  /** Takes over a batch once the provider has it. */
  readonly watch: (batch: OpenBatch) => void
  readonly newTag: () => string
  /** Runs work that the scope waits for before it is over. */
  readonly track: (work: () => Promise<void>) => Promise<void>
}

/** Another owner has the intent, or the lease ran out: whatever comes next is theirs to do. */
class LostIntent extends Error {}
/** The scope stopped before the create left. */
class Stopped extends Error {}

/**
 * The submission protocol: intent, upload, write-ahead, create, batch id, each durable before the next begins. Whatever state an
 * intent was found in, the same loop carries it on, so resuming is starting.
 */
export class Submitter {
  readonly #parts: SubmitterParts
  readonly #context: ManagerContext
  /** One per account: a provider that is down, or a key without room, keeps nobody else waiting. */
  readonly #lines = new Map<Account, PQueue>()
  #swept: Promise<void> | undefined
  /** By this process. */
  readonly #uploadedAt = new WeakMap<OpenBatch, number>()

  constructor(parts: SubmitterParts) {
    this.#parts = parts
    this.#context = parts.context
  }

  /** tx1, then everything that follows. Resolves when the batch is with the provider, or will never be. */
  async submit(queue: JobQueue, jobs: readonly JobId[], reason: string, root?: number): Promise<void> {
    const { store, clock, emit, settings, owner } = this.#context
    const { target, account } = queue
    const { windows } = account.adapter.limits
    const { completionWindow, metadata } = settings
    // A scope may use several providers; one that does not offer the window gives its usual one.
    const window = windows.includes(completionWindow) ? completionWindow : (windows[0] ?? completionWindow)
    const { gate, newTag } = this.#parts
    const admitted = gate.admit(jobs)
    if (admitted.length === 0) return
    const reservation = gate.reservation(admitted)
    const wanted = { tag: newTag(), target, window, metadata, root }
    const intent = store.claim(owner(), wanted, admitted, clock.now(), reservation)
    if (reservation && (intent?.jobs ?? 0) < admitted.length) gate.refuseOver(admitted)
    if (!intent) return
    emit({ ...aboutBatch(intent, clock.now()), type: 'batch-submitting', reason })
    await this.carryOn(new OpenBatch(intent, account))
  }

  /** Carries an intent on from wherever it stands. */
  carryOn(batch: OpenBatch): Promise<void> {
    const line = this.#lines.get(batch.account) ?? new PQueue({ concurrency: AT_ONCE })
    this.#lines.set(batch.account, line)
    return this.#parts.track(() => line.add(() => this.#carryOn(batch)))
  }

  /** Jobs of a batch that had no room wait, longer each time, and go out again. */
  hold(batch: OpenBatch, jobs: readonly JobId[], reason: string): void {
    const { clock, settings } = this.#context
    const wanted = this.#parts.settler.sendBack(batch, jobs, reason, { counted: false })
    const isAlone = !this.#hasOthers(batch)
    for (const queue of new Set(wanted.flatMap((job) => this.#parts.waiters.first(job)?.queue ?? []))) {
      // The limit may be smaller than the batch: then no waiting makes it fit.
      if (isAlone) queue.shrink(jobs.length)
      if (queue.heldUntil > clock.now()) continue
      queue.heldUntil = clock.now() + Math.min(settings.maxPollIntervalMs * 2 ** queue.holds, LONGEST_HOLD_MS)
      queue.holds += 1
    }
    this.#parts.queueAgain(wanted)
  }

  /** Whether other batches of this account and model take up room. */
  #hasOthers({ intent: { id, account, model } }: OpenBatch): boolean {
    return this.#context.store
      .openIntents({ account })
      .some((other) => other.id !== id && other.model === model && other.state === 'created')
  }

  /** Jobs of a batch go out again as several. */
  split(batch: OpenBatch, groups: readonly (readonly JobId[])[], reason: string): void {
    const { settler, waiters, track } = this.#parts
    for (const group of groups) {
      // What was reserved for these is free again when they are claimed anew.
      const wanted = settler.sendBack(batch, group, reason, { counted: false })
      const queue = wanted[0] === undefined ? undefined : waiters.first(wanted[0])?.queue
      if (queue) void track(() => this.submit(queue, wanted, 'split', batch.intent.root))
    }
  }

  async #carryOn(batch: OpenBatch): Promise<void> {
    let failures = 0
    let since = 0
    for (;;) {
      const { state } = batch.intent
      try {
        if (state === 'created') return this.#parts.watch(batch)
        if (state === 'ended' || state === 'abandoned') return
        if (state === 'creating') {
          if (!(await this.#parts.recovery.resolve(batch))) return
          continue
        }
        if (this.#isOver()) return this.#letGo(batch)
        if (!this.#isReserved(batch)) return this.#sendAgain(batch)
        if (state === 'claimed') await this.#upload(batch)
        else if (this.#isUploadOld(batch)) this.#mustAdvance(batch, { state: 'claimed' })
        else await this.#create(batch)
        failures = 0
      } catch (error) {
        if (error instanceof LostIntent) return
        if (error instanceof Stopped) return this.#letGo(batch)
        const refusal = error instanceof ProviderError ? refusalOf(batch, error) : undefined
        if (error instanceof ProviderError && refusal !== undefined && refusal !== 'capacity') {
          return this.#refused(batch, refusal, error)
        }
        // What is no failure of the provider's or of the way to it is a fault of ours.
        if (!isOutside(error)) throw error
        failures += 1
        if (failures === 1) since = this.#context.clock.now()
        await this.#backOff(batch, error, failures, since)
      }
    }
  }

  async #upload(batch: OpenBatch): Promise<void> {
    const { adapter, call } = batch.account
    if (!adapter.upload) return this.#mustAdvance(batch, { state: 'uploaded' })
    await (this.#swept ??= sweepSpool(this.#context.store))
    await using spooled = await spool(this.#context.store, adapter, batch.intent)
    const upload = await adapter.upload(batch.intent, spooled.input, call)
    this.#uploadedAt.set(batch, this.#context.clock.now())
    this.#mustAdvance(batch, { state: 'uploaded', upload })
  }

  /** A provider that was down, or had no room, for longer than uploads last no longer has ours. */
  #isUploadOld(batch: OpenBatch): boolean {
    const uploadedAt = this.#uploadedAt.get(batch) ?? batch.intent.createdAt
    return batch.intent.upload !== undefined && this.#context.clock.now() - uploadedAt > UPLOAD_LASTS_MS
  }

  async #create(batch: OpenBatch): Promise<void> {
    const { store, clock, emit } = this.#context
    const { adapter, call } = batch.account
    let spooled: Spool | undefined
    let isAway = false
    const writeAhead = (): void => {
      if (this.#isOver()) throw new Stopped()
      const now = clock.now()
      this.#mustAdvance(batch, { state: 'creating', creatingAt: now }, now)
      // The write itself may have outlasted the lease, on a disk that stalls or a computer that slept: then it is somebody else's.
      if (store.isGone(batch.intent.owner, clock.now())) throw new LostIntent()
      isAway = true
    }
    let created: BatchState
    try {
      const input = async (): Promise<BatchInput> => (spooled ??= await spool(store, adapter, batch.intent)).input
      created = await adapter.create(batch.intent, batch.intent.upload, input, call.once(writeAhead))
    } catch (error) {
      if (!isAway) throw error
      if (!isDefinite(error)) {
        this.#sayUnreachable(batch, 'create', error, clock.now(), 0)
        return
      }
      this.#mustAdvance(batch, { state: 'uploaded' })
      throw error
    } finally {
      await spooled?.[Symbol.asyncDispose]()
    }
    const { handle, status, counts } = created
    if (!advance(this.#context, batch, { state: 'created', handle, status, counts, submittedAt: clock.now() })) {
      return await this.#parts.recovery.disown(batch, created)
    }
    emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-submitted' })
  }

  /** The intent is over: its jobs go out again in other batches, or are told why they cannot. */
  #refused(batch: OpenBatch, refusal: Exclude<Refusal, 'capacity'>, error: ProviderError): void {
    const { store, clock, emit } = this.#context
    const { settler } = this.#parts
    const jobs = store.unsettled(batch.intent.id).map(({ job }) => job)
    // Every row named is all of them refused, in the provider's words.
    const named = typeof refusal === 'object' ? new Set(refusal.rows.map(({ line }) => line)).size : jobs.length
    if (typeof refusal === 'object' && jobs.length > 1 && named < jobs.length) {
      this.#mustAdvance(batch, { status: 'failed' })
      const problems = refusal.rows.length > 0 ? refusal.rows : [problemOf(error)]
      this.#parts.reject(batch, { status: 'failed', refused: 'invalid', problems }, jobs)
      return this.#abandon(batch)
    }
    const canSplit = refusal === 'too-large' && jobs.length > 1
    const reason = error.code ?? `http-${error.status}`
    emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-failed', reason, willRetry: canSplit })
    if (canSplit) {
      const middle = jobs.length >> 1
      this.split(batch, [jobs.slice(0, middle), jobs.slice(middle)], reason)
    } else if (refusal === 'account') {
      this.#turnAway(batch, jobs, { status: error.status, requestId: undefined, body: bodyOf(batch, error) }, reason)
    } else {
      settler.settle(
        batch,
        jobs.map((job) => ({
          job,
          status: asRefusalStatus(error.status),
          requestId: undefined,
          body: bodyOf(batch, error),
        })),
      )
    }
    this.#abandon(batch)
  }

  /** The account is refused: callers hear it now, the jobs stay stored for a run whose key works. */
  turnAway(batch: OpenBatch, jobs: readonly JobId[], problem: Problem, reason: string): void {
    this.#turnAway(batch, jobs, problemAnswer(batch.account.adapter, problem), reason)
  }

  #turnAway(batch: OpenBatch, jobs: readonly JobId[], answer: Answer, reason: string): void {
    const { clock } = this.#context
    const { adapter } = batch.account
    const waiting = this.#parts.settler.sendBack(batch, jobs, reason, { counted: false })
    this.#parts.settler.turnAway(
      waiting,
      ({ queue }, job) => {
        queue.refusal = { answer, until: clock.now() + REFUSAL_MS }
        return answerReply(adapter, answer, { job, batch: undefined, cache: 'miss' })
      },
      reason,
    )
  }

  /** An intent of a run without a limit that was never created comes under the limit of the run that takes it over. */
  #isReserved(batch: OpenBatch): boolean {
    const { store, settings } = this.#context
    if (settings.maxCostUsd === undefined || batch.intent.epoch === 1) return true
    const jobs = store.unsettled(batch.intent.id).map(({ job }) => job)
    const reservation = this.#parts.gate.reservation(jobs)
    return reservation === undefined || store.reserve(batch.ref, jobs, reservation)
  }

  /** Its jobs go out again, as far as somebody wants them and they fit. */
  #sendAgain(batch: OpenBatch): void {
    const jobs = this.#context.store.unsettled(batch.intent.id).map(({ job }) => job)
    const wanted = this.#parts.settler.sendBack(batch, jobs, 'taken-over', { counted: false })
    this.#abandon(batch)
    this.#parts.queueAgain(wanted)
  }

  #isOver(): boolean {
    const { stopping, timeUp } = this.#context
    return stopping.aborted || timeUp.aborted
  }

  /** The scope stops, or its time is up, before anything was billed: the jobs go back to the store. */
  #letGo(batch: OpenBatch): void {
    const { store, stopping } = this.#context
    const jobs = store.unsettled(batch.intent.id).map(({ job }) => job)
    const reason = stopping.aborted ? 'scope-closed' : 'time-limit'
    const wanted = this.#parts.settler.sendBack(batch, jobs, reason, { counted: false })
    this.#abandon(batch)
    if (!stopping.aborted) this.#parts.gate.refuse(wanted, TIME_UP)
  }

  #abandon(batch: OpenBatch): void {
    const { store, clock } = this.#context
    store.advance(batch.ref, { state: 'abandoned', endedAt: clock.now() })
  }

  async #backOff(batch: OpenBatch, error: unknown, failures: number, since: number): Promise<void> {
    const { clock, random, stopping, timeUp } = this.#context
    const retryAfter = error instanceof ProviderError ? error.retryAfterMs : undefined
    const retryInMs = backOffMs(failures, random(), retryAfter)
    this.#sayUnreachable(batch, batch.intent.state === 'claimed' ? 'upload' : 'create', error, since, retryInMs)
    await sleep(clock, retryInMs, { signal: AbortSignal.any([stopping, timeUp]) })
  }

  #sayUnreachable(batch: OpenBatch, doing: string, error: unknown, since: number, retryInMs: number): void {
    const { clock, emit } = this.#context
    const common = about(batch.intent, clock.now())
    emit({ ...common, type: 'provider-unreachable', doing, since, reason: reasonOf(error), retryInMs })
  }

  #mustAdvance(batch: OpenBatch, change: IntentChange, leaseAfter?: number): void {
    if (!advance(this.#context, batch, change, leaseAfter)) throw new LostIntent()
  }
}

/** Whether a failed create certainly created nothing. */
function isDefinite(error: unknown): error is ProviderError {
  // 408: the server gave up waiting for a request it may have had whole.
  return error instanceof ProviderError && error.status < 500 && error.status !== 408
}

/** What a refusal means; undefined when trying again later is all there is to do. */
function refusalOf(batch: OpenBatch, error: ProviderError): Refusal | undefined {
  const known = batch.account.adapter.refusal?.(error)
  if (known) return known
  const { status } = error
  if (status === 401 || status === 402 || status === 403) return 'account'
  if (status === 413) return 'too-large'
  if (status === 429) return 'capacity'
  if (status === 408 || status === 409 || status === 425 || status >= 500) return undefined
  return 'invalid'
}

/** A refusal that names no row, as one about all of them. */
function problemOf({ code, message }: ProviderError): BatchProblem {
  return { code, message, line: undefined, param: undefined }
}

/** A refusal reaches SDKs as an error whatever the provider called it. */
function asRefusalStatus(status: number): number {
  return status >= 400 ? status : 400
}

/** The provider's own body, if an SDK can read it; else its words in the provider's envelope. */
function bodyOf(batch: OpenBatch, error: ProviderError): string {
  try {
    const json: unknown = JSON.parse(error.body)
    if (typeof json === 'object' && json !== null) return error.body
  } catch {
    // Not JSON: a proxy's page, say.
  }
  const { adapter } = batch.account
  return adapter.envelope({ status: error.status, code: error.code ?? `http_${error.status}`, message: error.message })
}
