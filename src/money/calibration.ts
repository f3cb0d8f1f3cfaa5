/** How far answers told of the same kind have been from each other. */
interface Sample {
  readonly n: number
  readonly sum: number
  readonly squares: number
}

/**
 * What real answers of one provider, endpoint and model have taught: sums, to be kept as JSON. What is kept under which key is the keeper's
 * business; `learn` is all it needs.
 */
export interface Calibration {
  /** Input tokens as estimated, before any correction, and as the provider counted them. */
  readonly input: { readonly n: number; readonly estimated: number; readonly actual: number }
  /** Output tokens. */
  readonly output: Sample
  /** Output tokens as a share of the most the request allowed, where it named one. */
  readonly share: Sample
}

/** One answer beside what was expected of it. */
export interface Observation {
  /** Before any correction; undefined when something of the prompt could not be counted. */
  readonly estimatedInput: number | undefined
  /** The most the request allowed. */
  readonly maxOutput: number | undefined
  readonly usage: { readonly input: number; readonly output: number }
}

/** From this many answers on, older ones count for half: prompts change. */
const WINDOW = 2000
/** A first guess counts as much as this many answers. */
const GUESS_WEIGHT = 2
/** Fewer answers than this say nothing about how far answers are apart. */
const FEW = 5

const NONE: Sample = { n: 0, sum: 0, squares: 0 }
const UNTAUGHT: Calibration = { input: { n: 0, estimated: 0, actual: 0 }, output: NONE, share: NONE }

/** What is known once one more answer is. Changes nothing. */
export function learn(before: Calibration | undefined, { estimatedInput, maxOutput, usage }: Observation): Calibration {
  const { input, output, share } = before ?? UNTAUGHT
  return {
    input: estimatedInput === undefined || estimatedInput <= 0 ? input : withInput(input, estimatedInput, usage.input),
    output: withOne(output, usage.output),
    share: maxOutput === undefined || maxOutput <= 0 ? share : withOne(share, Math.min(1, usage.output / maxOutput)),
  }
}

/** By how much estimates of input are to be multiplied: 1 until answers teach otherwise. */
export function inputFactor(known: Calibration | undefined): number {
  const { n, estimated, actual } = (known ?? UNTAUGHT).input
  if (n === 0) return 1
  const guess = (estimated / n) * GUESS_WEIGHT
  return (actual + guess) / (estimated + guess)
}

/** Where nearly all of a sample lies; undefined as long as it is too small to say. */
export function spread(sample: Sample | undefined): { readonly low: number; readonly high: number } | undefined {
  if (!sample || sample.n < FEW) return undefined
  const mean = sample.sum / sample.n
  const deviation = Math.sqrt(Math.max(0, sample.squares / sample.n - mean * mean))
  return { low: Math.max(0, mean - 2 * deviation), high: mean + 2 * deviation }
}

/** The mean of a sample, drawn towards a guess while it is small. */
export function meanOf(sample: Sample | undefined, guess: number): number {
  const { n, sum } = sample ?? NONE
  return (sum + guess * GUESS_WEIGHT) / (n + GUESS_WEIGHT)
}

function withInput(before: Calibration['input'], estimated: number, actual: number): Calibration['input'] {
  const keep = before.n >= WINDOW ? 0.5 : 1
  return {
    n: before.n * keep + 1,
    estimated: before.estimated * keep + estimated,
    actual: before.actual * keep + actual,
  }
}

function withOne(before: Sample, value: number): Sample {
  const keep = before.n >= WINDOW ? 0.5 : 1
  return { n: before.n * keep + 1, sum: before.sum * keep + value, squares: before.squares * keep + value * value }
}
