import type { TimeLeft } from '../core/snapshot.ts'

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

/** `4–12m left`, `40s–3m left`, `up to 5m left`, `2h or more left`: no finer than anybody knows. */
export function formatTimeLeft({ fromMs, toMs }: TimeLeft, to: string): string {
  const from = roughly(fromMs, Math.floor)
  if (toMs === undefined) return `${from.text} or more left`
  const until = roughly(toMs, Math.ceil)
  if (from.count === 0) return `up to ${until.text} left`
  if (from.text === until.text) return `about ${until.text} left`
  return `${from.unit === until.unit ? from.count : from.text}${to}${until.text} left`
}

interface Rough {
  readonly count: number
  readonly unit: 's' | 'm' | 'h' | 'd'
  readonly text: string
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** In one unit, and seconds by fives: a guess that ticks looks like a promise. */
function roughly(ms: number, round: (value: number) => number): Rough {
  const seconds = round(ms / 5000) * 5
  if (seconds < 60) return rough(seconds, 's')
  const minutes = round(ms / MINUTE_MS)
  if (minutes < 100) return rough(minutes, 'm')
  const hours = round(ms / HOUR_MS)
  return hours < 48 ? rough(hours, 'h') : rough(round(ms / (24 * HOUR_MS)), 'd')
}

function rough(count: number, unit: Rough['unit']): Rough {
  return { count, unit, text: `${count}${unit}` }
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
