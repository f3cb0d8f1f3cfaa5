import { join } from 'node:path'
import type { Store } from '../../src/core/store.ts'
import type { batchify, BatchifyOptions, BatchScope, EventOf, EventType } from '../../src/index.ts'
import type { SimulatedProvider, Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import type { Connection } from './clients.ts'
import { startTestSimulator } from './simulator.ts'
import { tempFolder } from './store.ts'

/** A provider, a store and a client's connection; all of it goes with the scene. */
export interface Scene extends AsyncDisposable {
  readonly simulator: Simulator
  readonly connection: Connection
  /** Small times, and the scene's own store. */
  readonly options: BatchifyOptions
  /** Opens a scope without putting the test itself into it. */
  open(more?: BatchifyOptions): Promise<BatchScope>
}

/** The library is handed in, because some tests build their clients before they load it. */
export async function openScene(library: typeof batchify, simulated: SimulatorOptions = {}): Promise<Scene> {
  const folder = tempFolder()
  const scene = sceneWith(library, await startTestSimulator(simulated), 'openai', join(folder.path, 'store.db'))
  return {
    ...scene,
    async [Symbol.asyncDispose]() {
      await scene[Symbol.asyncDispose]()
      folder[Symbol.dispose]()
    },
  }
}

/** The same with a simulator and a store that were there before, in front of one of its providers. The simulator goes with it. */
export function sceneWith(
  library: typeof batchify,
  simulator: Simulator,
  provider: SimulatedProvider,
  store: string | Store,
): Scene {
  const baseUrl = simulator.baseUrl(provider)
  const options: BatchifyOptions = {
    store,
    baseUrls: { [provider]: [baseUrl] },
    batchWindowMs: 20,
    pollIntervalMs: 20,
    maxPollIntervalMs: 40,
    display: 'off',
  }
  return {
    simulator,
    connection: { baseUrl, apiKey: 'sk-test' },
    options,
    async open(more = {}) {
      // The block form reaches as far as the asynchronous function it is in: here, no further than this one.
      await Promise.resolve()
      return library({ ...options, ...more })
    },
    [Symbol.asyncDispose]: () => simulator.close(),
  }
}

/** The next event of a type. */
export function next<T extends EventType>(batch: BatchScope, type: T): Promise<EventOf<T>> {
  return new Promise((resolve) => {
    const undo = batch.on(type, (event) => {
      undo()
      resolve(event)
    })
  })
}

/** Every event of a type, as they come. */
export function allOf<T extends EventType>(batch: BatchScope, type: T): readonly EventOf<T>[] {
  const events: EventOf<T>[] = []
  batch.on(type, (event) => events.push(event))
  return events
}

/** What it rejects with; fails if it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error
  }
  throw new Error(`resolved with ${JSON.stringify(value)}`)
}
