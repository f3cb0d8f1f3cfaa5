import type { EventOf } from '../core/events.ts'

/** Something that keeps us waiting for a provider, as long as nothing shows that it is over. */
export interface Trouble {
  readonly provider: string
  readonly doing: string
  readonly since: number
  readonly reason: string
  readonly retryAt: number
}

export type Troubles = Map<string, Trouble>

/** A failure that is not repeated this long after its retry was due is over, even if no event says so. */
const GRACE_MS = 90_000

export function noteTrouble(troubles: Troubles, event: EventOf<'provider-unreachable'>): void {
  const { provider, doing, since, reason, at, retryInMs } = event
  troubles.set(`${provider} ${doing}`, { provider, doing, since, reason, retryAt: at + retryInMs })
}

/** The provider has done one of these for us again. */
export function clearTrouble(troubles: Troubles, provider: string, ...done: readonly string[]): void {
  if (troubles.size === 0) return
  for (const doing of done) troubles.delete(`${provider} ${doing}`)
}

export function openTroubles(troubles: Troubles, now: number): Trouble[] {
  return [...troubles.values()].filter((trouble) => now < trouble.retryAt + GRACE_MS)
}
