import { AsyncResource } from 'node:async_hooks'
import type { Order } from '../order.ts'
import type { NotOurs } from '../results.ts'
import { scopeOptions } from './scope-options.ts'

const CALLS = 20_000
const ROUNDS = 15
const ORIGIN = 'https://example.com'
const PATH = '/somewhere/else?page=1'
/** Where Node's fetch looks for its dispatcher. */
const SLOT = Symbol.for('undici.globalDispatcher.1')

interface Dispatching {
  dispatch(options: object, handler: object): boolean
}

/**
 * What such a call meets of ours is the shim above Node's fetch and the net below it. Each is measured over a stand-in that answers at
 * once, because a native fetch in between takes 100 µs, give or take more than what is looked for.
 */
export async function notOurs(order: Order): Promise<NotOurs> {
  const answered = Promise.resolve(new Response())
  const plainFetch = async (): Promise<Response> => answered
  const plainDispatcher: Dispatching = { dispatch: () => true }
  // `globalThis` has no type for undici's symbol.
  const slots = globalThis as { [slot: symbol]: unknown }
  globalThis.fetch = plainFetch
  void new Headers()
  slots[SLOT] = plainDispatcher

  const { batchify } = await import('../../../src/index.ts')
  const native = { fetch: plainFetch, dispatcher: plainDispatcher }
  const ours = (): Way => ({ fetch: globalThis.fetch, dispatcher: slots[SLOT] as Dispatching }) // a net is put there by us
  const outside = new AsyncResource('outside')

  const idleUs = addedUs(native, ours())
  await using scope = batchify(scopeOptions(order))
  const inScopeUs = await scope.run(() => addedUs(native, ours()))
  const outOfScopeUs = outside.runInAsyncScope(() => addedUs(native, ours()))
  return { idleUs, outOfScopeUs, inScopeUs }
}

interface Way {
  readonly fetch: (url: string) => Promise<Response>
  readonly dispatcher: Dispatching
}

function addedUs(native: Way, ours: Way): number {
  return median(Array.from({ length: ROUNDS }, () => costUs(ours) - costUs(native)))
}

function costUs({ fetch, dispatcher }: Way): number {
  const handler = {}
  const cpu = process.cpuUsage()
  for (let call = 0; call < CALLS; call += 1) {
    void fetch(ORIGIN + PATH)
    dispatcher.dispatch({ origin: ORIGIN, path: PATH, method: 'GET', headers: {} }, handler)
  }
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / CALLS
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}
