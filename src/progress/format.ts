/** `48s`, `1m 12s`, `2h 05m`, `3d 04h`: two units at most, so that a day-long run stays short. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** 12:03, on this machine's clock. */
export function formatTimeOfDay(at: number): string {
  const date = new Date(at)
  return `${two(date.getHours())}:${two(date.getMinutes())}`
}

const thousands = new Intl.NumberFormat('en-US')

/** 12,345 */
export function formatCount(count: number): string {
  return count < 1000 ? String(count) : thousands.format(count)
}

/** Cents from a dollar up, two significant digits below a cent: a small sum is never shown as nothing. */
export function formatUsd(usd: number): string {
  if (usd < 0) return `-${formatUsd(-usd)}`
  if (usd === 0) return '$0.00'
  if (usd >= 1000) return `$${thousands.format(Math.round(usd))}`
  if (usd >= 0.995) return `$${usd.toFixed(2)}`
  const digits = Math.min(12, Math.max(2, 1 - Math.floor(Math.log10(usd))))
  return `$${usd.toFixed(digits)}`
}

/** `1 batch`, `2 batches` */
export function formatPlural(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}
