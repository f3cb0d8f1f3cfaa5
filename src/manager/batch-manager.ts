import type { ProviderAdapter } from '../core/adapter.ts'
import type { Intent } from '../core/batch.ts'
import { type Clock, sleep } from '../core/clock.ts'
import { DeferredExit, type RunningBatch } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import { shouldFlush, type FlushReason } from '../core/flush-policy.ts'
import type { JobId } from '../core/job.ts'
import type { Reply } from '../core/reply.ts'
import type { CapturedRequest } from '../core/request.ts'
import type { JobTarget, NewJob, Placement, Store } from '../core/store.ts'
import { about, aboutBatch } from './about.ts'
import { Accounts, fingerprint, lineBytes } from './accounts.ts'
import { Caller } from './caller.ts'
import { Collector } from './collector.ts'
import { OpenBatch, type Account, type ManagerContext, type ManagerSettings } from './context.ts'
import { Hold } from './hold.ts'
import { Lease } from './lease.ts'
import { Neighbours } from './neighbours.ts'
import { Poller, type PollerListener } from './poller.ts'
import type { JobQueue } from './queue.ts'
import { Recovery } from './recovery.ts'
import { Rejection } from './rejection.ts'
import { answerReply, problemAnswer } from './replies.ts'
import { Settler } from './settler.ts'
import { faultMessage, Submitter } from './submitter.ts'
import { Waiters, type Waiter } from './waiters.ts'

export interface ManagerOptions {
  readonly adapters: ReadonlyMap<string, ProviderAdapter>
  readonly store: Store
  readonly clock: Clock
  readonly emit: Emit
  /** Reaches the network past our own interception. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  /** In [0, 1). */
  readonly random: () => number
  /** A new intent's tag: 12 characters of `[a-z0-9]`. */
  readonly newTag: () => string
  readonly pid: number
  readonly settings: ManagerSettings
  /** Told of a fault of offpeak's own (a full disk, a bug) after every caller has been answered. */
  readonly onFault: (error: unknown) => void
  /** Told that only polling has been left for `deferAfterMs`: `defer()` is expected next. */
  readonly onDeferred: (exit: DeferredExit) => void
  /** Something the user should know, in a sentence. */
  readonly notify: (text: string) => void
}

/** Jobs, or characters of their bodies, kept in memory until the turn ends; beyond, they are written at once. */
const GROUP_JOBS = 4096
const GROUP_CHARACTERS = 4_000_000
/** How long a scope whose callers are all answered stays for the rest of its own work. */
const TIDY_UP_MS = 5000

interface Arrival extends Waiter {
  /** Of the request only this: its headers and its parsed body are free again before the group is written. */
  readonly request: Pick<CapturedRequest, 'body' | 'target' | 'cancel'>
  readonly occurrence: number
}

/** From a captured request to its reply: places jobs, decides when queues become batches, and ends in order. */
export class BatchManager {
  readonly #options: ManagerOptions
  readonly #context: ManagerContext
  readonly #stopping = new AbortController()
  readonly #waiters = new Waiters(() => this.#hold.update())
  readonly #accounts: Accounts
  readonly #settler: Settler
  readonly #submitter: Submitter
  readonly #poller: Poller
  readonly #neighbours: Neighbours
  readonly #lease: Lease
  readonly #hold: Hold
  readonly #tasks = new Set<Promise<void>>()
  /** How often this scope has asked exactly this. */
  readonly #occurrences = new Map<string, number>()
  readonly #timers = new Map<JobQueue, () => void>()
  #inbox: Arrival[] = []
  #inboxCharacters = 0
  /** Jobs whose callers left while they were queued. */
  #leavers: (readonly [JobId, Waiter])[] = []
  /** Accounts whose earlier work has been looked for. */
  readonly #met = new Set<Account>()
  /** A fault of ours; from then on nothing is accepted. */
  #broken: unknown
  #ending: Promise<void> | undefined
  #stopDeferring: (() => void) | undefined

  constructor(options: ManagerOptions) {
    this.#options = options
    const { store, clock, emit, random, settings } = options
    const onFault = (error: unknown): void => this.#fault(error)
    this.#lease = new Lease(options, () => this.#guard(() => this.#rejoin()))
    const context = {
      store,
      clock,
      emit,
      random,
      settings,
      stopping: this.#stopping.signal,
      owner: () => this.#lease.owner,
    }
    this.#context = context
    this.#accounts = new Accounts(
      store.salt,
      new Caller({ fetch: options.fetch, now: () => clock.now(), stopping: this.#stopping.signal }),
      settings,
    )
    this.#hold = new Hold(clock, () => this.#waiters.size > 0 && this.#isUnderWay())
    this.#settler = new Settler(context, this.#waiters)
    const queueAgain = (jobs: readonly JobId[]): void => this.#queueAgain(jobs)
    const recovery = new Recovery(context, this.#settler, options.notify)
    this.#submitter = new Submitter({
      context,
      settler: this.#settler,
      waiters: this.#waiters,
      recovery,
      queueAgain,
      watch: (batch) => this.#watch(batch),
      newTag: options.newTag,
      track: (work) => this.#track(work),
    })
    const rejection = new Rejection(context, this.#settler, this.#submitter)
    const collector = new Collector(context, this.#settler, rejection, queueAgain)
    const onEnded: PollerListener['onEnded'] = (batch, state) => {
      this.#lookForTwins(recovery, batch)
      if (state.outcome !== 'failed') this.#roomAgain(batch)
      void this.#track(() => collector.collect(batch, state))
    }
    this.#poller = new Poller(context, {
      onEnded,
      onFault,
      onRunning: (batch) => this.#lookForTwins(recovery, batch),
    })
    this.#neighbours = new Neighbours(context, {
      settler: this.#settler,
      waiters: this.#waiters,
      queueAgain,
      accounts: () => this.#accounts.all,
      resume: (intent, account) => this.#resume(intent, account),
      onFault,
    })
  }

  /** Takes a request; the reply may come hours later and always comes. undefined: it cannot ride a batch (an event has said why). */
  submit(request: CapturedRequest): Promise<Reply> | undefined {
    const { target, json } = request
    const { clock, emit } = this.#context
    const adapter = this.#options.adapters.get(target.provider)
    if (!adapter) return undefined
    const queue = this.#accounts.queueFor(request, adapter)
    const bytes = lineBytes(request.body)
    const tooLarge = bytes > adapter.limits.bytesPerJob ? 'its body is larger than a batch may be' : undefined
    const isClosed = this.#stopping.signal.aborted
    const detail = isClosed ? 'the scope has ended' : (adapter.admit?.(json, target) ?? tooLarge)
    if (detail !== undefined) {
      const reason = isClosed ? 'scope-closed' : 'not-admitted'
      emit({ ...about(queue.target, clock.now()), type: 'request-passed-through', reason, detail })
      return undefined
    }
    if (queue.refusal && queue.refusal.until > clock.now()) return Promise.resolve(queue.refusal.reply)

    const print = fingerprint(request, queue.account)
    const failure = this.#settler.knownFailure(print)
    if (failure) return Promise.resolve(failure)
    const occurrence = this.#occurrence(request, print)
    const weight = adapter.weigh?.(json, target) ?? 1
    const { body, cancel } = request
    const kept = cancel ? { body, target, cancel } : { body, target }
    return new Promise((resolve) => {
      this.#arrive({ request: kept, queue, fingerprint: print, occurrence, bytes, weight, resolve })
    })
  }

  /** Submits what is queued now. Resolves when those batches are with the provider, or will never be. */
  async flush(reason: FlushReason = 'asked'): Promise<void> {
    this.#place()
    await Promise.all([...this.#accounts.queues()].map((queue) => this.#flushQueue(queue, reason)))
  }

  /** Jobs somebody waits for. */
  get pending(): number {
    return this.#waiters.size + this.#inbox.length
  }

  /** Flushes, waits for every job somebody waits for, and leaves the store. */
  async close(): Promise<void> {
    while (this.pending > 0) {
      await this.flush()
      await this.#waiters.whenEmpty()
    }
    // The last batch's tidying up, but not the work of earlier runs that nobody here waits for.
    await Promise.race([this.#idle(), sleep(this.#context.clock, TIDY_UP_MS, { signal: this.#stopping.signal })])
    await this.#end('finished')
  }

  async #idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  /**
   * Leaves now: callers are answered at once, queued jobs are taken out, submitted batches stay resumable. Resolves when calls already
   * on their way have come back and the store is left.
   */
  async abort(): Promise<void> {
    this.#stopping.abort()
    this.#place()
    const { store, owner } = this.#context
    const jobs = [...this.#waiters.jobs()]
    let dropped: ReadonlySet<JobId> = new Set()
    this.#guard(() => (dropped = new Set(store.drop(owner(), jobs))))
    this.#settler.turnAway(
      jobs,
      ({ queue }, job) => {
        const { adapter } = queue.account
        const message = dropped.has(job)
          ? 'offpeak: its scope ended before this request was submitted; nothing was sent and nothing is billed'
          : 'offpeak: its scope ended before the answer came; the batch goes on, and running the program again picks the answer up'
        const answer = problemAnswer(adapter, { status: 499, code: 'scope_closed', message })
        return answerReply(adapter, answer, { job, batch: undefined, cache: 'miss' })
      },
      'scope-closed',
    )
    if (this.#context.settings.cancelOnAbort) await this.#track(() => this.#cancelUnwanted())
    await this.#end()
  }

  /** Leaves now, for a process about to end: nobody is answered, queued jobs stay queued for the next run. */
  async leave(): Promise<void> {
    this.#stopping.abort()
    this.#place()
    await this.#end()
  }

  /** Ends after `onDeferred`: callers hear that their batches go on. */
  async defer(): Promise<void> {
    this.#stopping.abort()
    this.#turnAllAway(
      'deferred',
      'offpeak: deferred; its batch goes on, and running the program again picks the answer up',
    )
    await this.#end()
  }

  /** What goes on at providers without us. */
  running(): readonly RunningBatch[] {
    const { store, owner } = this.#context
    return store
      .openIntents({ owner: owner() })
      .flatMap(({ provider, handle, jobs }) => (handle ? [{ provider, id: handle.id, jobs }] : []))
  }

  /** Once, even when a close that waits is overtaken by an abort. */
  #end(how?: 'finished'): Promise<void> {
    return (this.#ending ??= this.#stop(how))
  }

  async #stop(how: 'finished' | undefined): Promise<void> {
    const { store, clock, owner } = this.#context
    this.#guard(() => this.#dropLeavers())
    const cancelTimers = [...this.#timers.values()]
    this.#timers.clear()
    for (const cancelTimer of cancelTimers) cancelTimer()
    this.#keepGoing()
    this.#neighbours.stop()
    this.#poller.stop()
    this.#stopping.abort()
    await this.#idle()
    this.#poller.stop()
    this.#lease.stop()
    this.#hold.stop()
    store.leave(owner(), clock.now(), how)
  }

  // ── arriving ──

  /** The k-th of its kind in this scope, from 1. An SDK's own retry is the same request again, not another one. */
  #occurrence(request: CapturedRequest, print: string): number {
    const before = this.#occurrences.get(print) ?? 0
    if (before > 0 && isRetry(request)) return before
    this.#occurrences.set(print, before + 1)
    return before + 1
  }

  #arrive(arrival: Arrival): void {
    if (this.#inbox.length === 0) this.#context.clock.soon(() => this.#place())
    this.#inbox.push(arrival)
    this.#inboxCharacters += arrival.request.body.length
    if (this.#inbox.length >= GROUP_JOBS || this.#inboxCharacters >= GROUP_CHARACTERS) this.#place()
  }

  #place(): void {
    this.#guard(() => this.#placeInbox())
  }

  /** Writes down what has arrived, in one transaction, and only then queues it. */
  #placeInbox(): void {
    const arrivals = this.#inbox.filter(({ request }) => !request.cancel?.cancelled)
    this.#inbox = []
    this.#inboxCharacters = 0
    if (arrivals.length === 0) return
    const { store, clock, owner, settings } = this.#context
    const reuse = settings.cache ? 'answers' : 'unfinished'
    const jobs = arrivals.map(({ request, queue, fingerprint, occurrence }): NewJob => {
      const { body, target } = request
      return { target: jobTarget(queue, target), fingerprint, occurrence, body, reuse }
    })
    let placements: readonly Placement[]
    try {
      if (this.#broken !== undefined) throw this.#broken
      this.#lease.keep()
      placements = store.enqueue(owner(), jobs, clock.now())
    } catch (error) {
      return this.#refuse(arrivals, error)
    }
    const touched = new Set<JobQueue>()
    for (const [index, placement] of placements.entries()) {
      const arrival = arrivals[index]
      if (!arrival) continue
      if (this.#settle(arrival, placement)) touched.add(arrival.queue)
    }
    for (const { queue } of arrivals) this.#meet(queue.account)
    for (const queue of touched) this.#consider(queue)
    this.#hold.update()
    this.#considerDeferring()
  }

  /** True when its queue has grown. */
  #settle(arrival: Arrival, placement: Placement): boolean {
    const { clock, emit } = this.#context
    const { request, queue, fingerprint, bytes, weight, resolve } = arrival
    const { job } = placement
    const common = about(queue.target, clock.now())
    if (placement.kind === 'answered') {
      const { answer, batch } = placement
      emit({ ...common, type: 'request-cached', job, status: answer.status })
      resolve(answerReply(queue.account.adapter, answer, { job, batch, cache: 'hit' }))
      return false
    }
    const waiter: Waiter = { queue, fingerprint, bytes, weight, resolve }
    this.#waiters.add(job, waiter)
    if (request.cancel) request.cancel.onCancel = () => this.#leave(job, waiter)
    if (placement.kind === 'waiting') {
      emit({ ...common, type: 'request-joined', job })
      this.#neighbours.wait(job)
      return false
    }
    emit({ ...common, type: 'request-queued', job })
    queue.push(job, { bytes, weight }, clock.now())
    return true
  }

  /** The store cannot take the jobs: nothing was sent, and their callers hear why. */
  #refuse(arrivals: readonly Arrival[], error: unknown): void {
    const { code, message } = faultMessage(error)
    for (const { queue, resolve } of arrivals) {
      const { adapter } = queue.account
      const answer = problemAnswer(adapter, { status: 424, code, message })
      resolve(answerReply(adapter, answer, { job: undefined, batch: undefined, cache: 'miss' }))
    }
  }

  /** The first request of an account brings the key with which earlier runs' batches can be asked about. */
  #meet(account: Account): void {
    if (this.#met.has(account)) return
    this.#met.add(account)
    this.#neighbours.takeOver(account)
    this.#sayWhoIsMissed(account)
  }

  /** Batches of an earlier run that only another key can ask about: to this one the provider would say that there are none. */
  #sayWhoIsMissed({ id, adapter, call }: Account): void {
    const { store, clock } = this.#context
    const missed = store
      .openIntents()
      .filter(({ provider, baseUrl }) => provider === adapter.name && baseUrl === call.baseUrl)
      .filter(({ account, handle, owner }) => account !== id && handle && store.isGone(owner, clock.now()))
    if (missed.length === 0) return
    const jobs = missed.reduce((sum, intent) => sum + intent.jobs, 0)
    const ids = missed.map(({ handle }) => handle?.id).join(', ')
    this.#options.notify(
      `${jobs} requests of an earlier run are still with ${adapter.name} under another key, organisation or project (${ids}): run the program with that one to collect their answers`,
    )
  }

  // ── queues ──

  #queueAgain(jobs: readonly JobId[]): void {
    const touched = new Set<JobQueue>()
    for (const job of jobs) {
      const waiter = this.#waiters.first(job)
      if (!waiter) continue
      waiter.queue.push(job, waiter, this.#context.clock.now())
      touched.add(waiter.queue)
    }
    for (const queue of touched) this.#consider(queue)
  }

  /** Flushes a queue if it is time, and sets its timer otherwise. */
  #consider(queue: JobQueue): void {
    const { clock } = this.#context
    this.#timers.get(queue)?.()
    this.#timers.delete(queue)
    if (this.#stopping.signal.aborted) return
    const now = clock.now()
    const heldMs = queue.heldUntil - now
    let verdict = shouldFlush(queue.size(), queue.limits, now)
    while (verdict.flush && queue.heldUntil <= now) {
      void this.#submit(queue, verdict.reason)
      verdict = shouldFlush(queue.size(), queue.limits, now)
    }
    const inMs = Math.max(verdict.flush ? 0 : verdict.inMs, heldMs)
    if (Number.isFinite(inMs))
      this.#timers.set(
        queue,
        clock.after(inMs, () => this.#consider(queue)),
      )
  }

  async #flushQueue(queue: JobQueue, reason: FlushReason): Promise<void> {
    if (queue.heldUntil > this.#context.clock.now()) return
    const submissions: Promise<void>[] = []
    while (queue.size().jobs > 0) submissions.push(this.#submit(queue, reason))
    await Promise.all(submissions)
  }

  #submit(queue: JobQueue, reason: FlushReason): Promise<void> {
    // Nobody pays for a job whose caller left in this very turn.
    this.#guard(() => this.#dropLeavers())
    const jobs = queue.take(this.#context.clock.now())
    return this.#track(() => this.#submitter.submit(queue, jobs, reason))
  }

  /** A batch has ended: there may be room again for queues that were held. */
  #roomAgain({ account }: OpenBatch): void {
    for (const queue of this.#accounts.queues()) {
      if (queue.account !== account) continue
      queue.holds = 0
      if (queue.heldUntil === 0) continue
      queue.heldUntil = 0
      this.#consider(queue)
    }
  }

  // ── batches ──

  #watch(batch: OpenBatch, isOld = false): void {
    this.#poller.watch(batch, isOld)
    this.#hold.update()
  }

  /** An intent that was created more than once may have more than one batch: the first may turn up after all. */
  #lookForTwins(recovery: Recovery, batch: OpenBatch): void {
    if (batch.intent.creates > 1) void this.#track(() => recovery.cancelTwins(batch))
  }

  /** Carries on an intent of an owner that is gone. */
  #resume(intent: Intent, account: Account): void {
    const { store, clock, emit } = this.#context
    const batch = new OpenBatch(intent, account)
    if (intent.state === 'claimed' || intent.state === 'uploaded') {
      // Nothing was billed: its jobs are placed as if new, and only those that this run asks for.
      const jobs = store.unsettled(intent.id).map(({ job }) => job)
      const wanted = this.#settler.sendBack(batch, jobs, 'taken-over', { counted: false })
      store.advance(batch.ref, { state: 'abandoned', endedAt: clock.now() })
      return this.#queueAgain(wanted)
    }
    emit({ ...aboutBatch(intent, clock.now()), type: 'batch-recovered', how: 'resumed' })
    if (intent.state === 'created') this.#watch(batch, true)
    else void this.#submitter.carryOn(batch)
  }

  /** Our lease ran out while we were suspended: what nobody took over is ours again under a new one; the rest is waited for. */
  #rejoin(): void {
    const { store, clock, owner } = this.#context
    this.#poller.stop()
    const waiting = [...this.#waiters.jobs()]
    store.reclaim(owner(), waiting, clock.now())
    for (const job of waiting) this.#neighbours.wait(job)
    this.#neighbours.look()
  }

  // ── leaving ──

  #leave(job: JobId, waiter: Waiter): void {
    // Whoever was answered already has nothing to leave.
    if (!this.#waiters.has(job) || !this.#waiters.remove(job, waiter)) return
    if (this.#leavers.length === 0) this.#context.clock.soon(() => this.#guard(() => this.#dropLeavers()))
    this.#leavers.push([job, waiter])
  }

  /** Jobs nobody waits for leave their queue; those already submitted stay, to be found by the next run. */
  #dropLeavers(): void {
    if (this.#leavers.length === 0) return
    const leavers = new Map(this.#leavers)
    this.#leavers = []
    const { store, clock, emit, owner, settings } = this.#context
    const dropped = store.drop(owner(), [...leavers.keys()])
    for (const job of dropped) {
      const queue = leavers.get(job)?.queue
      if (!queue) continue
      const common = about(queue.target, clock.now())
      emit({
        ...common,
        type: 'request-settled',
        job,
        status: 499,
        batch: undefined,
        usage: undefined,
        reason: 'caller-left',
      })
    }
    if (settings.cancelOnAbort && dropped.length < leavers.size) void this.#track(() => this.#cancelUnwanted())
  }

  /** Cancels batches that no caller waits for any more. */
  async #cancelUnwanted(): Promise<void> {
    const { store, clock, emit } = this.#context
    for (const batch of this.#poller.open) {
      const { handle } = batch.intent
      const isWanted = store.unsettled(batch.intent.id).some(({ job }) => this.#waiters.has(job))
      if (isWanted || !handle) continue
      try {
        // Once: unlike others, this call is not cut short by the end of the scope, being part of it.
        await batch.account.adapter.cancel(
          handle,
          batch.account.call.once(() => undefined),
        )
        emit({ ...aboutBatch(batch.intent, clock.now()), type: 'batch-cancelled', reason: 'abandoned' })
      } catch {
        // It stays in the store and goes on; nothing is lost but the saving.
      }
    }
  }

  // ── deferring ──

  /** Starts, keeps or stops the time after which waiting is all that has been left to do. */
  #considerDeferring(): void {
    const { clock, settings } = this.#context
    if (settings.deferAfterMs === undefined) return
    if (this.#isOnlyPolling()) this.#stopDeferring ??= clock.after(settings.deferAfterMs, () => this.#sayDeferred())
    else this.#keepGoing()
  }

  #keepGoing(): void {
    this.#stopDeferring?.()
    this.#stopDeferring = undefined
  }

  #isOnlyPolling(): boolean {
    if (this.#stopping.signal.aborted || this.#waiters.size === 0) return false
    if (this.#inbox.length > 0 || this.#tasks.size > 0) return false
    return [...this.#accounts.queues()].every((queue) => queue.size().jobs === 0)
  }

  #sayDeferred(): void {
    this.#options.onDeferred(new DeferredExit(this.running(), this.pending, this.#context.store.location))
  }

  /** Whether something is on its way that needs the process to stay. */
  #isUnderWay(): boolean {
    if (this.#tasks.size > 0 || this.#poller.open.length > 0 || this.#neighbours.waiting > 0) return true
    const now = this.#context.clock.now()
    return [...this.#accounts.queues()].some(({ heldUntil }) => heldUntil > now)
  }

  /** Work the scope waits for before it is over. */
  #track(work: () => Promise<void>): Promise<void> {
    const task = work()
      .catch((error: unknown) => this.#fault(error))
      .finally(() => {
        this.#tasks.delete(task)
        this.#hold.update()
        this.#considerDeferring()
      })
    this.#tasks.add(task)
    this.#hold.update()
    return task
  }

  /** For timers and turns of the event loop, where nobody else would catch. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fault(error)
    }
  }

  /** Something of ours failed. What is stored stays stored; nobody is left hanging. */
  #fault(error: unknown): void {
    const isFirst = this.#broken === undefined
    this.#broken ??= error
    const { code, message } = faultMessage(error)
    this.#turnAllAway(code, message)
    // What follows from it need not be told as well.
    if (isFirst) this.#options.onFault(error)
  }

  /** Answers everybody who waits; their jobs stay as they are stored. */
  #turnAllAway(code: string, message: string): void {
    this.#settler.turnAway(
      [...this.#waiters.jobs()],
      ({ queue }, job) => {
        const { adapter } = queue.account
        const answer = problemAnswer(adapter, { status: 424, code, message })
        return answerReply(adapter, answer, { job, batch: undefined, cache: 'miss' })
      },
      code,
    )
  }
}

function isRetry({ headers }: CapturedRequest): boolean {
  return headers.some(([name, value]) => name === 'x-stainless-retry-count' && Number(value) > 0)
}

/** A queue that models or endpoints share holds jobs of several targets. */
function jobTarget({ target, account }: JobQueue, { endpoint, model }: CapturedRequest['target']): JobTarget {
  return account.adapter.mixes === 'nothing' ? target : { ...target, endpoint, model: model ?? target.model }
}
