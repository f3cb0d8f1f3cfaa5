import type { Estimate } from '../core/dry-run.ts'
import type { PricedAt } from '../core/pricing.ts'
import type { Learned } from '../core/store.ts'
import type { Calibration } from '../money/calibration.ts'
import { createEstimator } from '../money/estimate.ts'
import { loadTokenizer } from '../money/tokenizer.ts'
import type { CountTokens } from '../money/tokens.ts'
import { calibrationIn } from '../price-requests.ts'

/** From so many answers on, what they have taught is better than a tokenizer, which has one vocabulary for every model. */
const TAUGHT = 20

export interface Estimating {
  readonly estimate: Estimate
  /** Resolves once it is as good as it gets. */
  readonly ready: Promise<void>
}

/** Estimates by what earlier answers have taught or, where they have not, by the exact tokenizer, if it is installed. */
export function estimating(
  learned: readonly Learned[],
  load: () => Promise<CountTokens | undefined> = loadTokenizer,
): Estimating {
  const calibrations = new Map<string, Calibration | undefined>()
  for (const each of learned) calibrations.set(keyOf(each), calibrationIn(each))
  const calibrationOf = (target: Omit<PricedAt, 'at'>): Calibration | undefined => calibrations.get(keyOf(target))

  const taught = createEstimator({ calibrationOf })
  let untaught = taught
  const ready = load().then((count) => {
    if (!count) return
    // What was learned of the input corrects the built-in estimate, not this one.
    const ofOutput = (target: PricedAt): Calibration | undefined => withoutInput(calibrationOf(target))
    untaught = createEstimator({ count, calibrationOf: ofOutput })
  })
  return {
    estimate: (request) => ((calibrationOf(request)?.input.n ?? 0) >= TAUGHT ? taught : untaught)(request),
    ready,
  }
}

function withoutInput(known: Calibration | undefined): Calibration | undefined {
  return known && { ...known, input: { n: 0, estimated: 0, actual: 0 } }
}

function keyOf({ provider, endpoint, model }: Omit<PricedAt, 'at'>): string {
  return [provider, endpoint, model].join('\0')
}
