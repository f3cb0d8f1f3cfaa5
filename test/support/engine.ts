import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { ProviderAdapter } from '../../src/core/adapter.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { EventOf, EventType, OffpeakEvent } from '../../src/core/events.ts'
import type { Reply } from '../../src/core/reply.ts'
import type { CancelToken, CapturedRequest, JsonObject } from '../../src/core/request.ts'
import type { Store } from '../../src/core/store.ts'
import { BatchManager } from '../../src/manager/batch-manager.ts'
import type { ManagerSettings } from '../../src/manager/context.ts'
import { createPricing } from '../../src/price-requests.ts'
import { adapters, createMatch } from '../../src/providers/registry.ts'
import {
  answerDigest,
  startSimulator,
  type SimulatedProvider,
  type Simulator,
  type SimulatorOptions,
} from '../../src/simulator/index.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import { fakeClock, type FakeClock } from './fake-clock.ts'
import { tempFolder } from './store.ts'

/** One provider, one store and one time, in which programs come and go. */
export interface World extends AsyncDisposable {
  readonly simulator: Simulator
  readonly clock: FakeClock
  /** The database file. */
  readonly path: string
  /** A program's run: a manager over a connection of its own. */
  engine(options?: EngineOptions): Engine
  /** Lets time pass, whenever nothing but time is waited for, until the promise settles. */
  until<T>(promise: Promise<T>): Promise<T>
  /** Lets time pass until something is true. */
  untilTrue(isTrue: () => boolean): Promise<void>
}

export interface EngineOptions {
  readonly settings?: Partial<ManagerSettings>
  /** Whom its programs ask. Default OpenAI. */
  readonly provider?: SimulatedProvider
  /** Changes to what is known of the provider, e.g. lower limits. */
  readonly adapter?: Partial<ProviderAdapter>
  /** Called before each HTTP call; `crash` in it is a crash before the call leaves. */
  readonly onCall?: (call: { readonly method: string; readonly path: string }) => void
  /** Called after each HTTP call has had its effect and before the engine hears of it. */
  readonly onAnswered?: (call: { readonly method: string; readonly path: string }) => void
  /** Whether it knows what answers cost, and learns from them. */
  readonly hasPrices?: boolean
  /** Stands between the engine and its store. */
  readonly wrapStore?: (store: Store) => Store
}

export interface AskOptions {
  readonly key?: string
  readonly model?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** With its question mark. */
  readonly query?: string
  /** Instead of a chat of one message. */
  readonly body?: JsonObject
  readonly cancel?: CancelToken
}

export interface Engine {
  readonly manager: BatchManager
  readonly store: Store
  readonly events: readonly OffpeakEvent[]
  readonly faults: readonly unknown[]
  ask(prompt: string, options?: AskOptions): Promise<Reply>
  eventsOf<T extends EventType>(type: T): EventOf<T>[]
  /** As `kill -9`: from here on it does and hears nothing, and its lease stays behind. */
  crash(): void
}

export const SETTINGS: ManagerSettings = {
  batchSize: 1000,
  batchWindowMs: 2000,
  pollIntervalMs: 10_000,
  maxPollIntervalMs: 60_000,
  completionWindow: '24h',
  cache: true,
  metadata: {},
  cancelOnAbort: false,
  settleMs: 180_000,
  leaseMs: 30_000,
  onAmbiguous: 'wait',
  deferAfterMs: undefined,
}

/** Nobody waits longer than this for an answer, whatever goes wrong. */
const LONGEST_MS = 30 * 24 * 60 * 60_000
/** Turns of the event loop without a call or a file operation under way, until nothing but time can be what is waited for. */
const QUIET_TURNS = 10

export async function startWorld(options: SimulatorOptions = {}): Promise<World> {
  const clock = fakeClock()
  const simulator = await startSimulator({ time: 'virtual', startsAt: clock.now(), batchMs: 30_000, ...options })
  clock.onStep((ms) => simulator.advance(ms))
  const folder = tempFolder()
  const path = join(folder.path, 'store.db')
  const closers: (() => void)[] = []
  const traffic = { underWay: 0, seen: 0 }
  const drivers: (() => boolean)[] = []

  async function untilTrue(isTrue: () => boolean): Promise<void> {
    const start = clock.now()
    let quiet = 0
    let seen = -1
    drivers.push(isTrue)
    while (!isTrue()) {
      await turn()
      const isBusy = traffic.underWay > 0 || traffic.seen !== seen || filesAreBusy()
      quiet = isBusy ? 0 : quiet + 1
      seen = traffic.seen
      // Of several that wait at once, the one that began last moves time on.
      if (quiet < QUIET_TURNS || drivers.at(-1) !== isTrue) continue
      quiet = 0
      const next = clock.nextInMs()
      if (next === undefined) throw new Error('nothing will ever happen: somebody is left hanging')
      if (clock.now() - start > LONGEST_MS) throw new Error('a month has passed: somebody is left hanging')
      clock.advance(next)
    }
    drivers.splice(drivers.indexOf(isTrue), 1)
  }

  return {
    simulator,
    clock,
    path,
    untilTrue,
    async until(promise) {
      let isSettled = false
      const settle = (): void => void (isSettled = true)
      promise.then(settle, settle)
      await untilTrue(() => isSettled)
      return promise
    },
    engine(engineOptions = {}) {
      const store = openSqliteStore({ path })
      closers.push(() => store[Symbol.dispose]())
      return startEngine(engineOptions, { store, clock, traffic, simulator })
    },
    async [Symbol.asyncDispose]() {
      await simulator.close()
      for (const close of closers) close()
      folder[Symbol.dispose]()
    },
  }
}

function filesAreBusy(): boolean {
  // A file that is being closed is none of the requests.
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq') || name === 'CloseReq')
}

interface Surroundings {
  readonly store: Store
  readonly clock: FakeClock
  readonly traffic: { underWay: number; seen: number }
  readonly simulator: Simulator
}

function startEngine(options: EngineOptions, { store, clock, traffic, simulator }: Surroundings): Engine {
  const events: OffpeakEvent[] = []
  const faults: unknown[] = []
  let hasCrashed = false
  const own = options.wrapStore?.(store) ?? store
  const provider = options.provider ?? 'openai'
  const baseUrl = simulator.baseUrl(provider)
  const known = adapters.map((adapter) =>
    adapter.name === provider ? Object.assign({}, adapter, options.adapter) : adapter,
  )
  const match = createMatch(known, { [provider]: [baseUrl] })

  const ownClock: Clock = {
    now: () => clock.now(),
    after: (ms, fire, how) => clock.after(ms, () => (hasCrashed ? undefined : fire()), how),
    soon: (fire) => clock.soon(() => (hasCrashed ? undefined : fire())),
  }

  async function call(url: string, init: RequestInit): Promise<Response> {
    const about = { method: init.method ?? 'GET', path: new URL(url).pathname }
    options.onCall?.(about)
    if (hasCrashed) return new Promise(() => {})
    traffic.seen += 1
    traffic.underWay += 1
    try {
      const response = await fetch(url, init)
      options.onAnswered?.(about)
      if (!hasCrashed) return counted(response)
    } finally {
      traffic.underWay -= 1
    }
    return new Promise(() => {})
  }

  /** Under way until its body is read, too. */
  function counted(response: Response): Response {
    if (!response.body) return response
    const reader = response.body.getReader()
    traffic.underWay += 1
    let isOver = false
    const over = (): void => {
      if (!isOver) traffic.underWay -= 1
      isOver = true
    }
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          over()
          controller.close()
        } catch (error) {
          over()
          controller.error(error)
        }
      },
      async cancel(reason) {
        over()
        await reader.cancel(reason)
      },
    })
    const { status, statusText, headers } = response
    return new Response(body, { status, statusText, headers })
  }

  const manager = new BatchManager({
    adapters: new Map(known.map((adapter) => [adapter.name, adapter])),
    store: own,
    clock: ownClock,
    emit: (event) => void (hasCrashed || events.push(event)),
    fetch: call,
    random: () => 0.5,
    newTag: () => randomBytes(6).toString('hex'),
    pid: process.pid,
    settings: { ...SETTINGS, ...options.settings },
    onDeferred: () => {},
    notify: () => {},
    ...(options.hasPrices ? { pricing: createPricing(own, ownClock) } : {}),
    run: { program: 'test', metadata: {} },
    onFault: (error) => void faults.push(error),
  })

  return {
    manager,
    store,
    events,
    faults,
    ask(prompt, askOptions = {}) {
      const request = requestOf(baseUrl, match, prompt, askOptions)
      const reply = manager.submit(request)
      if (!reply) throw new Error('the engine let the request through')
      return reply
    },
    // The type was just compared.
    eventsOf: <T extends EventType>(type: T) => events.filter((event) => event.type === type) as EventOf<T>[],
    crash: () => void (hasCrashed = true),
  }
}

function requestOf(
  baseUrl: string,
  match: ReturnType<typeof createMatch>,
  prompt: string,
  options: AskOptions,
): CapturedRequest {
  const { key = 'sk-test', model = 'gpt-4o-mini', path = '/chat/completions', headers = {}, query = '' } = options
  const head = { method: 'POST', url: `${baseUrl}${path}${query}` }
  const target = match(head)
  if (!target) throw new Error(`no provider answers for ${head.url}`)
  const json = options.body ?? chatBody(prompt, model)
  const { cancel } = options
  return {
    ...head,
    target,
    headers: Object.entries({ authorization: `Bearer ${key}`, ...headers }),
    body: JSON.stringify(json),
    json,
    ...(cancel === undefined ? {} : { cancel }),
  }
}

/** `count` different prompts. */
export function prompts(count: number, word = 'prompt'): string[] {
  return Array.from({ length: count }, (_, index) => `${word} ${index + 1}`)
}

/** The chat an `ask` without a body makes of a prompt. */
function chatBody(prompt: string, model = 'gpt-4o-mini'): JsonObject {
  return { model, messages: [{ role: 'user', content: prompt }] }
}

/** Whether this is the answer to this prompt's chat, and to no other. */
export function isAnswerTo(prompt: string, reply: Reply, model?: string): boolean {
  return reply.status === 200 && reply.body.includes(answerDigest('/v1/chat/completions', chatBody(prompt, model)))
}

/** The error code a caller was given. */
export function codeOf(reply: Reply): unknown {
  const { error } = JSON.parse(reply.body) as { error: { code: unknown } } // our own envelope
  return error.code
}
