import type { EventOf } from '../core/events.ts'

/** Something that keeps us waiting for a provider, as long as nothing shows that it is over. */
export interface Trouble {
  readonly provider: string
  readonly doing: string
  readonly since: number
  readonly reason: string
  /** undefined: not known. */
  readonly retryAt: number | undefined
  /** Not shown any more from then on. */
  readonly until: number
}

export type Troubles = Map<string, Trouble>

/** A failure that is not repeated this long after its retry was due is over: a poll that finds nothing new says nothing. */
const GRACE_MS = 30_000

/** What is being tried when a batch is held back until there is room for it. */
export const NO_ROOM = 'submit'
/** Nobody says when a held batch goes out again; it is said anew each time it is refused. */
const NO_ROOM_MS = 600_000

/** Providers that ask for patience are there; they are only busy. */
const BUSY = /\b(429|rate|limit|quota|too many|capacity|overloaded)\b|rate_limit|limit_(exceeded|reached)|quota/i

export function isBusy(reason: string): boolean {
  return BUSY.test(reason)
}

export function noteTrouble(troubles: Troubles, event: EventOf<'provider-unreachable'>): void {
  const { provider, doing, since, reason, at, retryInMs } = event
  const retryAt = at + retryInMs
  troubles.set(`${provider} ${doing}`, { provider, doing, since, reason, retryAt, until: retryAt + GRACE_MS })
}

/** The provider had no room for a batch (its limit of enqueued tokens): the batch waits here. */
export function noteNoRoom(troubles: Troubles, { provider, reason, at }: EventOf<'batch-failed'>): void {
  const key = `${provider} ${NO_ROOM}`
  const since = troubles.get(key)?.since ?? at
  troubles.set(key, { provider, doing: NO_ROOM, since, reason, retryAt: undefined, until: at + NO_ROOM_MS })
}

/** The provider has done one of these for us again. */
export function clearTrouble(troubles: Troubles, provider: string, ...done: readonly string[]): void {
  if (troubles.size === 0) return
  for (const doing of done) troubles.delete(`${provider} ${doing}`)
}

export function openTroubles(troubles: Troubles, now: number): Trouble[] {
  return [...troubles.values()].filter((trouble) => now < trouble.until)
}
