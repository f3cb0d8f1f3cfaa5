import type { WouldPassThrough } from '../../core/dry-run.ts'

/** Calls that no batch can carry, by where they were going and why. */
export class PassThroughs {
  readonly #counts = new Map<string, { readonly call: Omit<WouldPassThrough, 'requests'>; requests: number }>()

  add(call: Omit<WouldPassThrough, 'requests'>): void {
    const key = [call.provider, call.endpoint, call.model, call.reason, call.detail].join('\0')
    const known = this.#counts.get(key)
    if (known) known.requests += 1
    else this.#counts.set(key, { call, requests: 1 })
  }

  list(): readonly WouldPassThrough[] {
    return [...this.#counts.values()].map(({ call, requests }) => Object.assign({ requests }, call))
  }
}
