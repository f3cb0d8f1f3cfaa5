import { randomBytes } from 'node:crypto'
import type { OffpeakEvent } from '../../../src/core/events.ts'
import type { Reply } from '../../../src/core/reply.ts'
import type { CancelToken, CapturedRequest, JsonObject } from '../../../src/core/request.ts'
import type { Store } from '../../../src/core/store.ts'
import { BatchManager } from '../../../src/manager/batch-manager.ts'
import type { ManagerSettings } from '../../../src/manager/context.ts'
import { createMatch } from '../../../src/providers/registry.ts'
// The one file of the simulator that a program needs: the rest would take each of a hundred processes longer to load.
import { answerDigest } from '../../../src/simulator/digest.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'
import { systemClock } from '../../../src/system-clock.ts'
import { observedFetch, observedStore, type Reach } from './fail-points.ts'
import { adapterFor, type Tagging } from './taggings.ts'

export interface Question {
  readonly prompt: string
  readonly model: string
  readonly key: string
}

export interface RunOptions {
  /** The provider's base URL. */
  readonly provider: string
  /** The database file. */
  readonly path: string
  readonly tagging: Tagging
  readonly settings?: Partial<ManagerSettings> | undefined
  readonly reach?: Reach | undefined
  /** Stands between the engine and its store. */
  readonly wrapStore?: ((store: Store) => Store) | undefined
  /** Stands between the engine and its provider. */
  readonly wrapFetch?: ((fetch: Fetch) => Fetch) | undefined
  readonly onEvent?: ((event: OffpeakEvent) => void) | undefined
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** One run of a program, in real time, put together as `create.ts` does. */
export interface Run extends Disposable {
  readonly manager: BatchManager
  readonly store: Store
  readonly faults: readonly unknown[]
  ask(question: Question, cancel?: CancelToken): Promise<Reply>
}

const REAL_TIME: ManagerSettings = {
  batchSize: 1000,
  batchWindowMs: 20,
  pollIntervalMs: 30,
  maxPollIntervalMs: 60,
  completionWindow: '24h',
  cache: true,
  metadata: {},
  cancelOnAbort: false,
  settleMs: 400,
  leaseMs: 400,
  onAmbiguous: 'wait',
  deferAfterMs: undefined,
}

export function startRun(options: RunOptions): Run {
  const { provider, path, tagging, reach = () => {} } = options
  const opened = openSqliteStore({ path })
  const faults: unknown[] = []
  try {
    const observed = observedStore(opened, reach)
    const store = options.wrapStore?.(observed) ?? observed
    const adapter = adapterFor(tagging)
    const plain: Fetch = (url, init) => fetch(url, init)
    const way = options.wrapFetch?.(plain) ?? plain
    store.purge(Date.now() - 24 * 60 * 60_000)
    const manager = new BatchManager({
      adapters: new Map([[adapter.name, adapter]]),
      store,
      clock: systemClock,
      emit: options.onEvent ?? (() => {}),
      fetch: observedFetch(way, reach),
      random: Math.random,
      newTag: () => randomBytes(6).toString('hex'),
      pid: process.pid,
      settings: { ...REAL_TIME, ...options.settings },
      onDeferred: () => {},
      notify: () => {},
      onFault: (error) => void faults.push(error),
    })
    const match = createMatch([adapter], { openai: [provider] })
    return {
      manager,
      store,
      faults,
      ask(question, cancel) {
        const reply = manager.submit(requestOf(provider, match, question, cancel))
        if (!reply) throw new Error('the engine let the request through')
        return reply
      },
      [Symbol.dispose]: () => opened[Symbol.dispose](),
    }
  } catch (error) {
    opened[Symbol.dispose]()
    throw error
  }
}

/** Whether this is the answer to this question, and to no other. */
export function isRight({ prompt, model }: Question, reply: Reply): boolean {
  return reply.status === 200 && reply.body.includes(answerDigest('/v1/chat/completions', chat(prompt, model)))
}

function chat(prompt: string, model: string): JsonObject {
  return { model, messages: [{ role: 'user', content: prompt }] }
}

function requestOf(
  provider: string,
  match: ReturnType<typeof createMatch>,
  { prompt, model, key }: Question,
  cancel: CancelToken | undefined,
): CapturedRequest {
  const head = { method: 'POST', url: `${provider}/chat/completions` }
  const target = match(head)
  if (!target) throw new Error(`no provider answers for ${head.url}`)
  const json = chat(prompt, model)
  return {
    ...head,
    target,
    headers: [['authorization', `Bearer ${key}`]],
    body: JSON.stringify(json),
    json,
    ...(cancel === undefined ? {} : { cancel }),
  }
}
