const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 60 * 60_000,
  d: 24 * 60 * 60_000,
}

/** What durations look like on a command line, for messages and help. */
export const DURATION_FORM = '2s, 10m, 24h or 7d'

const LONGEST_MS = 100 * 365 * 24 * 60 * 60_000

/** `500ms`, `2s`, `10m`, `24h`, `7d` in milliseconds; undefined for anything else, and for nothing. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,9})(ms|[smhd])$/.exec(text) ?? []
  const ms = Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN)
  return ms <= LONGEST_MS ? ms : undefined
}
