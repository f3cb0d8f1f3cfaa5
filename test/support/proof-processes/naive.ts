import type { Store } from '../../../src/core/store.ts'
import type { Fetch, RunOptions } from './run.ts'

/** The order everybody writes first: create the batch, then write down that it was created; and when a call breaks, send it again. */
export const naiveOrder: Pick<RunOptions, 'wrapStore' | 'wrapFetch'> = {
  wrapStore: (store) => recordsAfterCreate(store),
  wrapFetch: (fetch) => retriesBlindly(fetch),
}

function recordsAfterCreate(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name)
      if (typeof found !== 'function') return found
      if (name !== 'advance') return found.bind(target)
      const advance: Store['advance'] = (ref, change, leaseAfter) =>
        change.state === 'creating' || target.advance(ref, change, leaseAfter)
      return advance
    },
  })
}

function retriesBlindly(fetch: Fetch): Fetch {
  return async (url, init) => {
    try {
      return await fetch(url, init)
    } catch {
      return await fetch(url, init)
    }
  }
}
