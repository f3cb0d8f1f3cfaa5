/** The pace of polls where neither the user nor the provider's documentation asks for one. */
export const DEFAULT_POLL_MS = 10_000

export interface PollPace {
  readonly intervalMs: number
  readonly maxIntervalMs: number
}

/**
 * When to ask about a batch again: half as long again each time, up to the maximum, ±10 % so that many batches spread out.
 * `random` is in [0, 1). A provider's own Retry-After wins when it is longer.
 */
export function nextPollMs(polls: number, pace: PollPace, random: number, retryAfterMs = 0): number {
  const grown = Math.min(pace.intervalMs * 1.5 ** Math.min(polls, 40), pace.maxIntervalMs)
  return Math.max(retryAfterMs, Math.round(grown * (0.9 + 0.2 * random)))
}

/** How long to leave a provider alone after its n-th failure in a row: from 1 s, doubling to 60 s, ±25 %, never under its Retry-After. */
export function backOffMs(failures: number, random: number, retryAfterMs = 0): number {
  const grown = Math.min(1000 * 2 ** Math.min(Math.max(failures - 1, 0), 16), 60_000)
  return Math.max(retryAfterMs, Math.round(grown * (0.75 + 0.5 * random)))
}
