import { Order, type CaseName } from './order.ts'

/** One case in a process of its own: a fresh heap, and only the code that this case needs. */
const CASES: Readonly<Record<CaseName, (order: Order) => Promise<unknown>>> = {
  'hand-rolled': async (order) => (await import('./cases/hand-rolled.ts')).handRolled(order),
  'scope-fetch': async (order) => (await import('./cases/scope-fetch.ts')).scopeFetch(order),
  rerun: async (order) => (await import('./cases/scope-fetch.ts')).scopeFetch(order),
  'sdk-batched': async (order) => (await import('./cases/sdk.ts')).sdkBatched(order),
  'sdk-instant': async (order) => (await import('./cases/sdk.ts')).sdkInstant(order),
  'not-ours': async (order) => (await import('./cases/not-ours.ts')).notOurs(order),
  'open-batches': async (order) => (await import('./cases/open-batches.ts')).openBatches(order),
}

const order = Order.parse(JSON.parse(process.argv[2] ?? 'null'))
const result = await CASES[order.case](order)
process.send?.(result)
process.disconnect?.()
