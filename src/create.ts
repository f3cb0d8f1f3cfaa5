import { randomBytes } from 'node:crypto'
import { type BatchifyOptions, type Config, parseConfig } from './config.ts'
import { type CostLimitError, type DeferredExit, OffpeakError, type RunningBatch } from './core/errors.ts'
import type { EventOf, EventType, OffpeakEvent } from './core/events.ts'
import type { Reply } from './core/reply.ts'
import type { Report } from './core/report.ts'
import type { CapturedRequest } from './core/request.ts'
import type { Snapshot } from './core/snapshot.ts'
import type { Store } from './core/store.ts'
import { announceScope } from './diagnostics.ts'
import { openDryRun } from './dry-run/open-dry-run.ts'
import { createEmitter } from './emitter.ts'
import { type Batcher, bypass, INTERCEPTION, type InterceptionScope, openScope } from './intercept/scope.ts'
import { onIdle } from './idle.ts'
import { onLeaving } from './leaving.ts'
import { BatchManager } from './manager/batch-manager.ts'
import { moreCommands } from './more-commands.ts'
import { type AnswerCost as LedgerCost, createLedger, type Ledger } from './money/ledger.ts'
import { createPricing, type ScopePricing } from './price-requests.ts'
import { programName } from './program-name.ts'
import { createDisplay, type Display } from './progress/display.ts'
import { createProgress, type Progress, reduce, toReport, toSnapshot } from './progress/snapshot.ts'
import { passThroughWarning } from './progress/warnings.ts'
import { adapters, createMatch } from './providers/registry.ts'
import { openSqliteStore } from './store/sqlite-store.ts'
import { systemClock } from './system-clock.ts'

/** Everything that is open between `batchify()` and its end. */
export interface BatchScope extends AsyncDisposable {
  /** Runs `fn` with every call it makes batched. Any number of times, also at once. Throws `scope-closed` afterwards. */
  run<T>(fn: () => T | Promise<T>): Promise<T>
  /** Batches whatever its caller's context: hand it to an SDK, `new OpenAI({ fetch: batch.fetch })`. */
  readonly fetch: typeof fetch
  /** Submits what is queued now. Resolves when those batches are with the provider, or will never be. */
  flush(): Promise<void>
  /** Listens to one type of event; returns the undo. */
  on<T extends EventType>(event: T, listener: (event: EventOf<T>) => void): () => void
  /** Progress as plain data. */
  snapshot(): Snapshot
  /** Counts, tokens, cost and savings so far. */
  report(): Report
  /** Flushes, waits for every job somebody waits for, restores. May be called twice. Rejects with `DeferredExit` if the scope defers itself first. */
  close(): Promise<void>
  /** Leaves now: queued calls are refused, submitted batches stay resumable. */
  abort(reason?: unknown): void
}

/** A scope with what only `batchify` may do to it. */
export interface OpenedScope extends BatchScope {
  readonly [INTERCEPTION]: InterceptionScope
  /** Ends when its callback has returned: as `close`, but once deferred it goes on refusing what the callback may still ask. */
  finish(cause?: unknown): Promise<void>
  /** What a limit of cost has kept from being sent; undefined when nothing. */
  costLimit(): CostLimitError | undefined
  /** Ends when its callback has failed, by `cause`: as `abort`, with the same exception. Resolves once the store is let go of. */
  abandon(cause?: unknown): Promise<void>
  /** Rejects with `DeferredExit` if the scope defers itself; never resolves. */
  readonly deferred: Promise<never>
  /** Takes a request as interception would. undefined: it cannot ride a batch, and an event has said why. */
  submit(request: CapturedRequest): Promise<Reply> | undefined
  /** Callers still waiting. */
  pending(): number
  /** The process ends now, whatever is under way, with this exit code, and perhaps by an error: shows the summary, synchronously. */
  conclude(exitCode?: number, cause?: unknown): void
}

/** What becomes of those who wait when a scope defers itself: the reply that says so, or nothing, because the process ends. */
export type AtDeferral = 'answer' | 'leave'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

function newTag(): string {
  return Array.from(randomBytes(12), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join('')
}

/** Puts the house together: the only place that sees every layer. Throws `OffpeakError` on options or a store that cannot be used. */
export function createScope(options: BatchifyOptions, atDeferral: AtDeferral = 'answer'): OpenedScope {
  const config = parseConfig(options, process.env, adapters)
  if (config.dryRun) return openDryRun(config)
  const clock = systemClock
  const store = typeof config.store === 'string' ? openSqliteStore({ path: config.store }) : config.store
  try {
    store.purge(clock.now() - config.retentionMs)
    return assemble(config, store, atDeferral)
  } catch (error) {
    if (typeof config.store === 'string') store[Symbol.dispose]()
    throw error
  }
}

function assemble(config: Config, store: Store, atDeferral: AtDeferral): OpenedScope {
  const clock = systemClock
  const progress = createProgress(clock.now(), (provider, model) => store.durations(provider, model))
  const ledger = createLedger()
  const pricing = createPricing(store, clock)
  const display = createDisplay({
    mode: config.display,
    stream: process.stderr,
    env: process.env,
    clock,
    beside: [process.stdout],
    progress,
    cost: () => ledger.cost(),
    more: () => moreCommands(config.store, manager.run, process.env),
  })
  const emitter = createEmitter()
  const quietly = config.display === 'off' ? warnOnce() : undefined
  const notify = (text: string): void => {
    if (config.display === 'off') process.emitWarning(text, 'OffpeakWarning')
    else display.warn(text)
  }
  const emit = (event: OffpeakEvent): void => {
    reduce(progress, event)
    if (event.type === 'request-settled') ledger.settle(event, recordedCost(event))
    display.handle(event)
    quietly?.(event)
    emitter.emit(event)
  }
  const deferral = Promise.withResolvers<never>()
  // It matters to those who look at it; to others it never happened.
  let hasDeferred = false
  deferral.promise.catch(() => (hasDeferred = true))
  const manager = new BatchManager({
    adapters: new Map(config.adapters.map((adapter) => [adapter.name, adapter])),
    store,
    clock,
    emit,
    fetch: (url, init) => bypass(() => globalThis.fetch(url, init)),
    random: Math.random,
    newTag,
    pid: process.pid,
    settings: config,
    onFault: (error) => process.emitWarning(error instanceof Error ? error : String(error)),
    onDeferred: deferral.reject,
    notify,
    pricing,
    run: { program: programName(process.argv), metadata: config.metadata },
  })
  const match = createMatch(config.adapters, config.baseUrls)
  const batcher: Batcher = {
    match: config.disabled ? () => undefined : match,
    submit: (request) => manager.submit(request),
    passedThrough({ provider, endpoint, model }, reason, detail) {
      // What others ask is no business of a scope that is over.
      if (hasDeferred && reason === 'outside-scope') return
      const at = clock.now()
      emit({ type: 'request-passed-through', at, provider, endpoint, model: model ?? '', reason, detail })
    },
  }
  const interception = openScope(batcher, { kind: config.scope, timeouts: config.timeouts })
  const ownStore = typeof config.store === 'string' ? store : undefined
  const scope = scopeOver({
    manager,
    interception,
    display,
    progress,
    ledger,
    pricing,
    emitter,
    store,
    ownStore,
    emit,
    notify,
    deferred: deferral.promise,
    atDeferral,
  })
  announceScope(scope)
  return scope
}

interface Parts {
  readonly manager: BatchManager
  readonly interception: InterceptionScope
  readonly display: Display
  readonly progress: Progress
  readonly ledger: Ledger
  readonly pricing: ScopePricing
  readonly emitter: ReturnType<typeof createEmitter>
  readonly store: Store
  /** Ours to close. */
  readonly ownStore: Store | undefined
  readonly emit: (event: OffpeakEvent) => void
  readonly notify: (text: string) => void
  readonly deferred: Promise<never>
  readonly atDeferral: AtDeferral
}

function scopeOver(parts: Parts): OpenedScope {
  const { manager, interception, display, progress, ledger, emitter, store, ownStore, emit, notify, deferred } = parts
  let ending: Promise<void> | undefined
  let hasEnded = false

  // Nothing is left to do but to wait for us: do not let the window run out first.
  const stopWatching = onIdle(() => void manager.flush('idle'))

  const stopListening = onLeaving({
    pending: () => manager.pending,
    async leave() {
      const { requests } = toSnapshot(progress, systemClock.now())
      await manager.leave()
      notify(farewell(requests.queued, manager.running(), store.location))
      display.close()
    },
  })

  // Once it is set the scope refuses what it is asked, until whoever opened it lets go of it.
  let exit: DeferredExit | undefined
  const report = (): Report => toReport(progress, ledger.cost())
  const end = async (leave: () => Promise<void>): Promise<void> => {
    emit({ type: 'scope-closing', at: systemClock.now(), pending: manager.pending })
    try {
      await leave()
    } finally {
      stopWatching()
      stopListening()
      if (!exit) interception.close()
      emit({ type: 'scope-closed', at: systemClock.now() })
      display.close(report())
      parts.pricing[Symbol.dispose]()
      ownStore?.[Symbol.dispose]()
      hasEnded = true
    }
  }

  deferred.catch((error: DeferredExit) => {
    exit = error
    const defer = (): Promise<void> => (parts.atDeferral === 'leave' ? manager.leave() : manager.defer())
    if (ending) void defer()
    else ending = end(defer)
  })
  let hasToldLimit = false
  const whenEnded = async (cause?: unknown): Promise<void> => {
    await ending
    if (exit) throw exit
    const refused = manager.costLimit(cause)
    // Whoever has closed the block has heard of it when it is disposed.
    if (!refused || hasToldLimit) return
    hasToldLimit = true
    throw refused
  }

  return {
    [INTERCEPTION]: interception,
    fetch: interception.fetch,
    async run(fn) {
      if (ending)
        throw new OffpeakError('scope-closed', 'offpeak: this scope has ended; open a new one with batchify()')
      return await interception.run(fn)
    },
    flush: () => manager.flush(),
    on: (type, listener) => emitter.on(type, harmless(listener)),
    snapshot: () => toSnapshot(progress, systemClock.now()),
    report,
    close() {
      return this.finish().finally(() => interception.close())
    },
    finish(cause) {
      ending ??= end(() => manager.close())
      return whenEnded(cause).finally(() => interception.leave())
    },
    abandon() {
      if (exit) interception.leave()
      else this.abort()
      return whenEnded()
    },
    abort() {
      // From here on its calls go to the provider directly.
      interception.close()
      // Disposing what was closed before is the ordinary end of a block: there is nothing to leave, and no store to leave it in.
      if (hasEnded) return
      // A close that waits for answers is cut short.
      const leaving = ending ? manager.abort() : (ending = end(() => manager.abort()))
      // Whoever disposes or closes hears of a failure; somebody who only aborts does not wait for it.
      leaving.catch(() => undefined)
    },
    deferred,
    submit: (request) => manager.submit(request),
    costLimit: () => manager.costLimit(),
    pending: () => manager.pending,
    conclude() {
      if (!hasEnded) display.close(report())
    },
    [Symbol.asyncDispose]() {
      // Before anything is awaited: only here does restoring reach the context of the block.
      interception.leave()
      this.abort()
      return whenEnded()
    },
  }
}

/** The engine has priced it already, in the same words as the store. */
function recordedCost({ cost }: EventOf<'request-settled'>): LedgerCost {
  return cost ? { kind: 'known', ...cost } : { kind: 'unknown', because: 'its price is not known' }
}

/** What a user who pressed Ctrl-C wants to know. */
function farewell(queued: number, running: readonly RunningBatch[], store: string): string {
  const ids = running.map(({ id }) => id).join(', ')
  const batches = running.length === 0 ? 'No batch is under way' : `Batches that go on at the provider: ${ids}`
  const unsent = queued === 0 ? '' : ` Requests not sent yet: ${queued}.`
  return `Stopped. ${batches}.${unsent} Run the same program again on the same store (${store}) to carry on.`
}

/** A listener whose mistakes are said, and stay its own: they must not end a program in the middle of a batch. */
function harmless<E>(listener: (event: E) => void): (event: E) => void {
  return (event) => {
    try {
      listener(event)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error), 'OffpeakWarning')
    }
  }
}

/** For scopes that show nothing: full price is said all the same, once per reason, where Node's own warnings go. */
function warnOnce(): (event: OffpeakEvent) => void {
  const said = new Set<string>()
  return (event) => {
    if (event.type !== 'request-passed-through') return
    const { key, text } = passThroughWarning(event)
    if (said.has(key)) return
    said.add(key)
    process.emitWarning(text, 'OffpeakWarning')
  }
}
