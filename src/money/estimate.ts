import type { JsonObject } from '../core/request.ts'
import { BATCH_RATES, type BatchRateRow } from './batch-rates.ts'
import { type Calibration, inputFactor } from './calibration.ts'
import { outputRange, type OutputRange } from './output.ts'
import { dayOf, type Price, type Priced, type Pricing, pricing } from './pricing.ts'
import { promptSize } from './prompt.ts'
import { type CountTokens, estimateTokens } from './tokens.ts'

/** A request before it is sent. */
export interface PlannedRequest extends Priced {
  readonly body: JsonObject
}

/** What a request may cost, in USD. `high` is undefined where nothing limits the answer. */
export type CostEstimate =
  | { readonly kind: 'known'; readonly low: number; readonly likely: number; readonly high: number | undefined }
  /** Which is not zero. */
  | { readonly kind: 'unknown'; readonly because: string }

export interface RequestEstimate {
  readonly input: {
    /** Corrected by what real answers have taught. */
    readonly tokens: number
    /** Before that: what `learn` wants. undefined when something of the prompt could not be counted. */
    readonly uncorrected: number | undefined
    /** Pictures among them, each taken for one of usual size. */
    readonly images: number
    /** What nobody can count from here. It comes on top. */
    readonly uncounted: readonly string[]
  }
  readonly output: OutputRange
  readonly live: CostEstimate
  readonly batch: CostEstimate
}

export interface EstimatorOptions {
  readonly rows?: readonly BatchRateRow[]
  /** An exact tokenizer, where there is one. */
  readonly count?: CountTokens
  /** What answers of a provider, endpoint and model have taught so far. */
  readonly calibrationOf?: (target: Priced) => Calibration | undefined
}

/** Estimates requests, one after the other. Prices are looked up once per model and day. */
export function createEstimator({
  rows = BATCH_RATES,
  count = estimateTokens,
  calibrationOf = () => undefined,
}: EstimatorOptions = {}): (request: PlannedRequest) => RequestEstimate {
  const prices = new Map<string, Pricing>()

  function pricesOf(request: PlannedRequest): Pricing {
    const key = [request.provider, request.endpoint, request.model, dayOf(request.at)].join('\0')
    let found = prices.get(key)
    if (!found) {
      found = pricing(request, rows)
      prices.set(key, found)
    }
    return found
  }

  return (request) => {
    const { tokens, images, uncounted } = promptSize(request.body, request.provider, count)
    const known = calibrationOf(request)
    const corrected = Math.ceil(tokens * inputFactor(known))
    const output = outputRange(request.body, request.endpoint, known)
    const { live, batch } = pricesOf(request)
    return {
      input: { tokens: corrected, uncorrected: uncounted.length === 0 ? tokens : undefined, images, uncounted },
      output,
      live: costEstimate(live, corrected, output, uncounted),
      batch: costEstimate(batch, corrected, output, uncounted),
    }
  }
}

function costEstimate(
  price: Price,
  input: number,
  { low, likely, high }: OutputRange,
  uncounted: readonly string[],
): CostEstimate {
  if (price.kind === 'unknown') return price
  // What costs nothing whatever its usage costs nothing whatever its size.
  if (price.of(undefined) === 0) return { kind: 'known', low: 0, likely: 0, high: 0 }
  if (uncounted.length > 0) return { kind: 'unknown', because: `nobody can count ${uncounted.join(', ')} from here` }
  const [least, probable] = [low, likely].map((output) => price.of({ input, output }))
  if (least === undefined || probable === undefined) {
    return { kind: 'unknown', because: 'some of its tokens have no price' }
  }
  return {
    kind: 'known',
    low: least,
    likely: probable,
    high: high === undefined ? undefined : price.of({ input, output: high }),
  }
}
