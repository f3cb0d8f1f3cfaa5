import type { TimeLeft } from '../core/snapshot.ts'

/** Fewer earlier batches than this say nothing: their least and greatest would be a range that most others miss. */
const LEAST_KNOWN = 3
/** The real end comes before the range as rarely as after it. */
const TAIL = 0.1

/** A batch that has not ended, and how long earlier ones of its kind took, in ascending order. */
export interface Underway {
  readonly ageMs: number
  readonly durations: readonly number[]
}

/** How much longer one batch takes: where those ended that had not ended at its age. undefined: nobody can say. */
export function leftOfBatch(batch: Underway): TimeLeft | undefined {
  return rangeOf(batch, 1 - TAIL)
}

/**
 * How much longer all of them take, which is as long as the slowest: of many one is late more often than one alone, so that the
 * far end of the range moves out with their number. `moreToCome`: something waits that is in no batch yet.
 */
export function leftOfAll(batches: readonly Underway[], moreToCome: boolean): TimeLeft | undefined {
  const part = (1 - TAIL) ** (1 / Math.max(1, batches.length))
  const ranges = batches.map((batch) => rangeOf(batch, part))
  const known = ranges.filter((range) => range !== undefined)
  const fromMs = Math.max(0, ...known.map((range) => range.fromMs))
  if (moreToCome || known.length < ranges.length) return fromMs > 0 ? { fromMs } : undefined
  return ranges.length > 0 ? { fromMs, toMs: Math.max(...known.map((range) => range.toMs)) } : undefined
}

function rangeOf({ ageMs, durations }: Underway, upperPart: number): Required<TimeLeft> | undefined {
  if (durations.length < LEAST_KNOWN) return undefined
  const longer = durations.filter((duration) => duration > ageMs)
  const last = longer.length - 1
  const upper = longer[Math.ceil(last * upperPart)]
  if (upper === undefined) return undefined
  // Of too few that took longer, the least is no lower end: this one may end at any moment.
  const lower = longer.length < LEAST_KNOWN ? undefined : longer[Math.floor(last * TAIL)]
  return { fromMs: (lower ?? ageMs) - ageMs, toMs: upper - ageMs }
}
