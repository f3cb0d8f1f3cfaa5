import type { Store } from '../../../src/core/store.ts'

export type Moment = 'before' | 'after'
export const MOMENTS: readonly Moment[] = ['before', 'after']

/** Called on the way into every transaction of the store and every call to the provider, and on the way out. */
export type Reach = (point: string, moment: Moment) => void

type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** A store that says before and after each of its transactions which one it is. */
export function observedStore(store: Store, reach: Reach): Store {
  return new Proxy(store, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name)
      if (typeof found !== 'function' || typeof name === 'symbol') return found
      return (...given: readonly unknown[]): unknown => {
        const point = storePoint(name, given)
        if (name === 'bodies') return observedBodies(point, () => Reflect.apply(found, target, given), reach)
        reach(point, 'before')
        const result: unknown = Reflect.apply(found, target, given)
        reach(point, 'after')
        return result
      }
    },
  })
}

/** Read page by page: its transactions are done when the reader is. */
function* observedBodies(point: string, read: () => unknown, reach: Reach): Generator {
  reach(point, 'before')
  yield* read() as Iterable<unknown> // what `bodies` returns
  reach(point, 'after')
}

/** Each state an intent advances to is a transaction of its own kind. */
function storePoint(method: string, given: readonly unknown[]): string {
  if (method !== 'advance') return `store.${method}`
  const change = given[1]
  const state: unknown = typeof change === 'object' && change !== null && 'state' in change ? change.state : undefined
  return typeof state === 'string' ? `store.advance.${state}` : 'store.advance'
}

/** A way to the provider that says before a call leaves, and after its reply has come, which one it is. */
export function observedFetch(fetch: Fetch, reach: Reach): Fetch {
  return async (url, init) => {
    const point = `call.${callOf(init.method ?? 'GET', new URL(url).pathname)}`
    reach(point, 'before')
    const response = await fetch(url, init)
    reach(point, 'after')
    return response
  }
}

const CALLS: readonly (readonly [pattern: RegExp, call: string])[] = [
  [/^POST \/v1\/files$/, 'upload'],
  [/^POST \/v1\/batches$/, 'create'],
  [/^GET \/v1\/batches$/, 'find'],
  [/^GET \/v1\/batches\/[^/]+$/, 'poll'],
  [/^GET \/v1\/files\/[^/]+\/content$/, 'results'],
  [/^POST \/v1\/batches\/[^/]+\/cancel$/, 'cancel'],
  [/^DELETE \/v1\/files\/[^/]+$/, 'release'],
]

/** The adapter's method that makes such a call. */
function callOf(method: string, path: string): string {
  const found = CALLS.find(([pattern]) => pattern.test(`${method} ${path}`))
  if (!found) throw new Error(`no fail point stands at ${method} ${path}`)
  return found[1]
}
