import type { ProviderAdapter } from '../core/adapter.ts'
import type { Intent } from '../core/batch.ts'
import { type Clock, sleep } from '../core/clock.ts'
import { type CostLimitError, DeferredExit, type RunningBatch } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { FlushReason } from '../core/flush-policy.ts'
import type { JobId } from '../core/job.ts'
import type { PricingPort } from '../core/pricing.ts'
import type { Reply } from '../core/reply.ts'
import type { CapturedRequest } from '../core/request.ts'
import type { NewRun, Store } from '../core/store.ts'
import { about, aboutBatch } from './about.ts'
import { Accounts, fingerprint, lineBytes, modelOf } from './accounts.ts'
import { whyNotBatched } from './admission.ts'
import { Caller } from './caller.ts'
import { Collector } from './collector.ts'
import { OpenBatch, type Account, type ManagerContext, type ManagerSettings } from './context.ts'
import { Deferral } from './deferral.ts'
import { faultMessage } from './fault-message.ts'
import { Flusher } from './flusher.ts'
import { Gate } from './gate.ts'
import { Hold } from './hold.ts'
import { Inbox } from './inbox.ts'
import { Lease } from './lease.ts'
import { Leavers } from './leavers.ts'
import { Neighbours } from './neighbours.ts'
import { Placer, refuse } from './placer.ts'
import { Poller } from './poller.ts'
import { Recovery } from './recovery.ts'
import { Rejection } from './rejection.ts'
import { answerReply, problemAnswer } from './replies.ts'
import { Settler } from './settler.ts'
import { Submitter } from './submitter.ts'
import { Tasks } from './tasks.ts'
import { TimeLimit } from './time-limit.ts'
import { Waiters } from './waiters.ts'

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
  /** Absent: nobody knows what anything costs. */
  readonly pricing?: PricingPort | undefined
  /** What the store shall know of this run. */
  readonly run?: NewRun | undefined
}

/** How long a scope whose callers are all answered stays for the rest of its own work. */
const TIDY_UP_MS = 5000
const DEFERRED = 'offpeak: deferred; what was submitted goes on, and running the program again picks the answer up'

/** From a captured request to its reply. Puts the parts together, lets requests in, and ends in order. */
export class BatchManager {
  /** By which the store knows this run, whatever becomes of its lease. */
  readonly run: number
  readonly #options: ManagerOptions
  readonly #context: ManagerContext
  readonly #stopping = new AbortController()
  readonly #timeUp = new AbortController()
  readonly #waiters = new Waiters(() => this.#hold.update())
  readonly #tasks = new Tasks(
    () => this.#changed(),
    (error) => this.#fault(error),
  )
  readonly #accounts: Accounts
  readonly #inbox: Inbox
  readonly #placer: Placer
  readonly #flusher: Flusher
  readonly #settler: Settler
  readonly #submitter: Submitter
  readonly #recovery: Recovery
  readonly #poller: Poller
  readonly #neighbours: Neighbours
  readonly #leavers: Leavers
  readonly #lease: Lease
  readonly #hold: Hold
  readonly #deferral: Deferral
  readonly #gate: Gate
  readonly #timeLimit: TimeLimit
  #stopTimeLimit: () => void = () => {}
  /** A fault of ours; from then on nothing is accepted. */
  #broken: unknown
  /**
   * What becomes of calls after the end. A program that was told to stop may try again instead: it must not pay the full price for
   * what its batches bring at half of it.
   */
  #afterwards: 'pass' | 'refused' | 'unanswered' = 'pass'
  #ending: Promise<void> | undefined

  constructor(options: ManagerOptions) {
    const { store, clock, emit, random, settings, notify } = options
    const waiters = this.#waiters
    const tasks = this.#tasks
    const stopping = this.#stopping.signal
    const onFault = (error: unknown): void => this.#fault(error)
    const owner = (): number => this.#lease.owner
    const timeUp = this.#timeUp.signal
    const context: ManagerContext = {
      store,
      clock,
      emit,
      random,
      settings,
      stopping,
      timeUp,
      owner,
      pricing: options.pricing,
    }
    this.#options = options
    this.#context = context
    this.#lease = new Lease(options, () => tasks.guard(() => this.#rejoin()))
    this.run = this.#lease.owner
    this.#hold = new Hold(clock, () => waiters.size > 0 && this.#isUnderWay())
    this.#deferral = new Deferral(
      clock,
      settings.deferAfterMs,
      () => this.#isOnlyWaiting(),
      () => options.onDeferred(new DeferredExit(this.running(), this.pending, store.location)),
    )
    const caller = new Caller({ fetch: options.fetch, now: () => clock.now(), stopping })
    this.#accounts = new Accounts(store.salt, caller, settings)
    this.#inbox = new Inbox(clock, () => this.#place())
    this.#settler = new Settler(context, waiters)
    this.#gate = new Gate(context, this.#settler, waiters)
    this.#recovery = new Recovery(context, this.#settler, notify)
    const flusher = new Flusher(context, {
      waiters,
      queues: () => this.#accounts.queues(),
      submit: (queue, take, reason) => {
        // Nobody pays for a job whose caller left in this very turn.
        tasks.guard(() => this.#leavers.drop())
        const jobs = take()
        return tasks.track(() => this.#submitter.submit(queue, jobs, reason))
      },
    })
    this.#flusher = flusher
    const queueAgain = (jobs: readonly JobId[]): void => flusher.queueAgain(jobs)
    this.#submitter = new Submitter({
      context,
      settler: this.#settler,
      gate: this.#gate,
      waiters,
      recovery: this.#recovery,
      queueAgain,
      reject: (batch, refused, jobs) => rejection.handle(batch, refused, jobs),
      watch: (batch) => this.#watch(batch),
      newTag: options.newTag,
      track: (work) => tasks.track(work),
    })
    const rejection = new Rejection(context, this.#settler, this.#submitter)
    const collector = new Collector(context, this.#settler, rejection, queueAgain)
    this.#poller = new Poller(context, {
      onFault,
      onRunning: (batch, state) => {
        this.#lookForTwins(batch)
        if (state.phase !== 'running' || !state.partial) return
        void tasks.track(async () => {
          if (await collector.collectFinished(batch)) this.#poller.unwatch(batch.intent.id)
        })
      },
      onEnded: (batch, state) => {
        this.#lookForTwins(batch)
        if (state.outcome !== 'failed') flusher.roomAgain(batch.account)
        void tasks.track(async () => {
          await collector.collect(batch, state)
          // Now it counts no more among those in flight.
          if (settings.maxBatchesInFlight !== undefined) flusher.roomAgain(batch.account)
        })
      },
    })
    this.#leavers = new Leavers(context, { waiters, tasks, poller: this.#poller })
    this.#neighbours = new Neighbours(context, {
      settler: this.#settler,
      waiters,
      queueAgain,
      accounts: () => this.#accounts.all,
      resume: (intent, account) => this.#resume(intent, account),
      onFault,
    })
    this.#placer = new Placer(context, {
      waiters,
      neighbours: this.#neighbours,
      leavers: this.#leavers,
      lease: this.#lease,
      notify,
    })
    this.#timeLimit = new TimeLimit(context, {
      gate: this.#gate,
      settler: this.#settler,
      waiters,
      poller: this.#poller,
      tasks,
      queues: () => this.#accounts.queues(),
      notify,
    })
    if (settings.timeLimitMs !== undefined) {
      this.#stopTimeLimit = clock.after(settings.timeLimitMs, () => this.#endTime())
    }
  }

  /** Takes a request; the reply may come hours later and always comes. undefined: it cannot ride a batch (an event has said why). */
  submit(request: CapturedRequest): Promise<Reply> | undefined {
    const { target, json } = request
    const { clock, emit, pricing, settings } = this.#context
    const adapter = this.#options.adapters.get(target.provider)
    if (!adapter) return undefined
    const queue = this.#accounts.queueFor(request, adapter)
    const bytes = lineBytes(request.body)
    const isClosed = this.#stopping.signal.aborted && this.#afterwards === 'pass'
    const detail = isClosed ? 'the scope has ended' : whyNotBatched(adapter, request, bytes)
    if (detail !== undefined) {
      const reason = isClosed ? 'scope-closed' : 'not-admitted'
      emit({ ...about(queue.target, clock.now()), type: 'request-passed-through', reason, detail })
      return undefined
    }
    if (this.#afterwards === 'unanswered') return new Promise(() => undefined)
    if (this.#afterwards === 'refused') {
      const answer = problemAnswer(adapter, { status: 424, code: 'deferred', message: DEFERRED })
      return Promise.resolve(answerReply(adapter, answer, { job: undefined, batch: undefined, cache: 'miss' }))
    }
    if (queue.refusal && queue.refusal.until > clock.now()) {
      return Promise.resolve(
        answerReply(adapter, queue.refusal.answer, { job: undefined, batch: undefined, cache: 'miss' }),
      )
    }

    const print = fingerprint(request, queue.account)
    // A retry is asked because of a failure, and is not answered with one.
    const failure = request.occurrence === undefined ? this.#settler.knownFailure(print) : undefined
    if (failure) return Promise.resolve(failure)
    const occurrence = request.occurrence ?? this.#inbox.occurrence(request, print)
    const weight = adapter.weigh?.(json, target) ?? 1
    const { body, cancel } = request
    const kept = cancel ? { body, target, cancel } : { body, target }
    const model = modelOf(request)
    const planned = { provider: adapter.name, endpoint: target.endpoint, model, at: clock.now(), body: json }
    const forecast = pricing?.forecast(planned, settings.maxCostUsd === undefined ? 'learning' : 'limit')
    return new Promise((resolve) => {
      const arrival = { request: kept, queue, model, fingerprint: print, occurrence, bytes, weight, resolve, forecast }
      this.#inbox.add(arrival)
    })
  }

  /** Submits what is queued now. Resolves when those batches are with the provider, or will never be. */
  async flush(reason: FlushReason = 'asked'): Promise<void> {
    this.#place()
    await this.#flusher.flushAll(reason)
  }

  /** Jobs somebody waits for. */
  get pending(): number {
    return this.#waiters.size + this.#inbox.size
  }

  /** What goes on at providers without us. */
  running(): readonly RunningBatch[] {
    const { store, owner } = this.#context
    return store
      .openIntents({ owner: owner() })
      .flatMap(({ provider, handle, jobs }) => (handle ? [{ provider, id: handle.id, jobs }] : []))
  }

  /** What the limit of cost has kept from being sent; undefined when nothing. `cause`: what the program made of it. */
  costLimit(cause?: unknown): CostLimitError | undefined {
    return this.#gate.error(cause)
  }

  // ── endings ──

  /** Flushes, waits for every job somebody waits for, and leaves the store. */
  async close(): Promise<void> {
    while (this.pending > 0) {
      await this.flush()
      await this.#waiters.whenEmpty()
    }
    // The last batch's tidying up, but not the work of earlier runs that nobody here waits for.
    await Promise.race([this.#tasks.idle(), sleep(this.#context.clock, TIDY_UP_MS, { signal: this.#stopping.signal })])
    await this.#end('finished')
  }

  /**
   * Leaves now: callers are answered at once, queued jobs are taken out, submitted batches stay resumable. Resolves when calls already
   * on their way have come back and the store is left.
   */
  async abort(): Promise<void> {
    this.#stopping.abort()
    this.#place()
    const { store, owner, settings } = this.#context
    let dropped: ReadonlySet<JobId> = new Set()
    this.#tasks.guard(() => (dropped = new Set(store.drop(owner(), [...this.#waiters.jobs()]))))
    this.#turnAllAway(499, 'scope_closed', (job) =>
      dropped.has(job)
        ? 'offpeak: its scope ended before this request was submitted; nothing was sent and nothing is billed'
        : 'offpeak: its scope ended before the answer came; the batch goes on, and running the program again picks the answer up',
    )
    if (settings.cancelOnAbort) await this.#tasks.track(() => this.#leavers.cancelUnwanted())
    await this.#end()
  }

  /** Leaves now, for a process about to end: nobody is answered, queued jobs stay queued for the next run. */
  async leave(): Promise<void> {
    this.#afterwards = 'unanswered'
    this.#stopping.abort()
    this.#place()
    await this.#end()
  }

  /** Ends after `onDeferred`: callers hear that their batches go on, and so does whoever asks later. */
  async defer(): Promise<void> {
    this.#afterwards = 'refused'
    this.#stopping.abort()
    this.#place()
    this.#turnAllAway(424, 'deferred', () => DEFERRED)
    await this.#end()
  }

  /** Once, even when a close that waits is overtaken by an abort. */
  #end(how?: 'finished'): Promise<void> {
    return (this.#ending ??= this.#stop(how))
  }

  async #stop(how: 'finished' | undefined): Promise<void> {
    const { store, clock, owner } = this.#context
    this.#tasks.guard(() => this.#leavers.drop())
    this.#flusher.stop()
    this.#deferral.stop()
    this.#stopTimeLimit()
    this.#neighbours.stop()
    this.#poller.stop()
    this.#stopping.abort()
    await this.#tasks.idle()
    this.#poller.stop()
    this.#lease.stop()
    this.#hold.stop()
    this.#gate.close()
    store.leave(owner(), clock.now(), how)
  }

  // ── what happens on the way ──

  #place(): void {
    this.#tasks.guard(() => {
      const arrivals = this.#inbox.take()
      if (arrivals.length === 0) return
      if (this.#broken !== undefined) return refuse(arrivals, this.#broken)
      const grown = this.#placer.place(arrivals)
      if (this.#timeUp.signal.aborted) this.#timeLimit.sweep()
      for (const queue of grown) this.#flusher.consider(queue)
      this.#changed()
    })
  }

  #watch(batch: OpenBatch, isOld = false): void {
    this.#poller.watch(batch, isOld)
    if (this.#timeUp.signal.aborted) this.#timeLimit.cancel(batch)
    this.#hold.update()
  }

  #endTime(): void {
    this.#timeUp.abort()
    this.#place()
    this.#tasks.guard(() => this.#timeLimit.end())
    this.#changed()
  }

  /** An intent that was created more than once may have more than one batch: the first may turn up after all. */
  #lookForTwins(batch: OpenBatch): void {
    if (batch.intent.creates > 1) void this.#tasks.track(() => this.#recovery.cancelTwins(batch))
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
      return this.#flusher.queueAgain(wanted)
    }
    emit({ ...aboutBatch(intent, clock.now()), type: 'batch-recovered', how: 'resumed' })
    if (intent.state === 'created') this.#watch(batch, true)
    else void this.#submitter.carryOn(batch)
  }

  /** Our lease ran out while we were suspended: what nobody took over is ours again under a new one; the rest is waited for. */
  #rejoin(): void {
    const { store, clock, owner } = this.#context
    this.#poller.stop()
    // What is in our queues stays there. Jobs that another took over and had no use for are in nobody's: the look queues them anew.
    const queued = [...this.#accounts.queues()].flatMap(({ jobs }) => jobs)
    const wanted = queued.filter((job) => this.#waiters.has(job))
    store.reclaim(owner(), wanted, clock.now())
    for (const job of this.#waiters.jobs()) this.#neighbours.wait(job)
    this.#neighbours.look()
  }

  #changed(): void {
    this.#hold.update()
    this.#deferral.update()
  }

  /** Whether something is on its way that needs the process to stay. */
  #isUnderWay(): boolean {
    const isSubmitted = this.#tasks.size > 0 || this.#poller.open.length > 0 || this.#neighbours.waiting > 0
    return isSubmitted || this.#flusher.isHolding
  }

  #isOnlyWaiting(): boolean {
    const isBusy = this.#inbox.size > 0 || this.#tasks.size > 0 || !this.#flusher.isEmpty
    return !isBusy && this.#waiters.size > 0 && !this.#stopping.signal.aborted
  }

  /** Something of ours failed. What is stored stays stored; nobody is left hanging. */
  #fault(error: unknown): void {
    const isFirst = this.#broken === undefined
    this.#broken ??= error
    const { code, message } = faultMessage(error)
    this.#turnAllAway(424, code, () => message)
    // What follows from it need not be told as well.
    if (isFirst) this.#options.onFault(error)
  }

  /** Answers everybody who waits; their jobs stay as they are stored. */
  #turnAllAway(status: number, code: string, messageFor: (job: JobId) => string): void {
    this.#settler.turnAway(
      [...this.#waiters.jobs()],
      ({ queue }, job) => {
        const { adapter } = queue.account
        const answer = problemAnswer(adapter, { status, code, message: messageFor(job) })
        return answerReply(adapter, answer, { job, batch: undefined, cache: 'miss' })
      },
      code.replaceAll('_', '-'),
    )
  }
}
