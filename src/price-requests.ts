import { z } from 'zod'
import type { Clock } from './core/clock.ts'
import type { Forecast, PricedAt, PricingPort } from './core/pricing.ts'
import type { JsonObject } from './core/request.ts'
import type { Learned, Store } from './core/store.ts'
import { type Calibration, learn } from './money/calibration.ts'
import { createEstimator, type RequestEstimate } from './money/estimate.ts'
import { createLedger } from './money/ledger.ts'
import { maxOutput, outputRange } from './money/output.ts'
import { dayOf, type Pricing, pricing } from './money/pricing.ts'

/** Prices for one scope, and what its answers teach: loaded at its start, kept now and then and at its end. */
export interface ScopePricing extends PricingPort, Disposable {}

/** An estimate of input is off by less than this part and this many tokens: what is reserved has to be enough. */
const INPUT_MARGIN = 1.3
const INPUT_MARGIN_TOKENS = 64
/** Where nothing limits an answer and nobody allows for it, so many times what is likely is reserved. */
const OUTPUT_MARGIN = 4
/** The first answers of a model teach most; of later ones some are enough. */
const FIRST = 200
const EVERY = 64
/** What was learned is written no more often than this. */
const KEEP_MS = 5000

const Sample = z.object({ n: z.number(), sum: z.number(), squares: z.number() })
const StoredCalibration = z.object({
  input: z.object({ n: z.number(), estimated: z.number(), actual: z.number() }),
  output: Sample,
  share: Sample,
})

type Target = Omit<PricedAt, 'at'>

interface Lessons {
  readonly target: Target
  calibration: Calibration | undefined
  asked: number
  isNew: boolean
}

export function createPricing(store: Pick<Store, 'learned' | 'keepLearned'>, clock: Clock): ScopePricing {
  const lessons = new Map<string, Lessons>()
  const prices = new Map<string, Pricing>()
  // Only for the prices it knows: what is settled is counted elsewhere.
  const book = createLedger()
  const estimate = createEstimator({ calibrationOf: (target) => lessonsOf(target).calibration })
  let last: Lessons | undefined
  let stopTimer: (() => void) | undefined

  for (const learned of store.learned()) lessonsOf(learned).calibration = calibrationIn(learned)

  /** One request is mostly like the one before. */
  function lessonsOf({ provider, endpoint, model }: Target): Lessons {
    const target = last?.target
    if (last && target?.model === model && target.endpoint === endpoint && target.provider === provider) return last
    const key = [provider, endpoint, model].join('\0')
    last = lessons.get(key) ?? { target: { provider, endpoint, model }, calibration: undefined, asked: 0, isNew: false }
    lessons.set(key, last)
    return last
  }

  function priceOf(request: PricedAt): Pricing['batch'] {
    const key = [request.provider, request.endpoint, request.model, dayOf(request.at)].join('\0')
    const known = prices.get(key) ?? pricing(request)
    prices.set(key, known)
    return known.batch
  }

  function keep(): void {
    stopTimer?.()
    stopTimer = undefined
    const fresh = [...lessons.values()].filter(({ isNew }) => isNew)
    if (fresh.length === 0) return
    for (const lesson of fresh) lesson.isNew = false
    try {
      store.keepLearned(fresh.map(learnedIn))
    } catch {
      // A store that cannot be written says so where it matters; what is lost here is a lesson.
    }
  }

  function forecast(request: PricedAt & { readonly body: JsonObject }, use: 'limit'): Forecast
  function forecast(request: PricedAt & { readonly body: JsonObject }, use: 'limit' | 'learning'): Forecast | undefined
  function forecast(
    request: PricedAt & { readonly body: JsonObject },
    use: 'limit' | 'learning',
  ): Forecast | undefined {
    const lesson = lessonsOf(request)
    lesson.asked += 1
    if (use === 'learning' && lesson.asked > FIRST && lesson.asked % EVERY !== 0) return undefined
    const estimated = estimate(request)
    const allowed = maxOutput(request.body)
    const { most, guessUsd } = atMost(request, estimated, allowed, priceOf(request))
    return { most, guessUsd, estimatedInput: estimated.input.uncorrected, maxOutput: allowed }
  }

  return {
    forecast,
    price(answer) {
      const cost = book.settle(answer)
      return cost.kind === 'known' ? { costUsd: cost.costUsd, liveCostUsd: cost.liveCostUsd } : undefined
    },
    learn(target, { estimatedInput, maxOutput: allowed }, usage) {
      const lesson = lessonsOf(target)
      lesson.calibration = learn(lesson.calibration, { estimatedInput, maxOutput: allowed, usage })
      lesson.isNew = true
      stopTimer ??= clock.after(KEEP_MS, keep)
    },
    [Symbol.dispose]: keep,
  }
}

function atMost(
  request: PricedAt & { readonly body: JsonObject },
  { input, output }: RequestEstimate,
  allowed: number | undefined,
  price: Pricing['batch'],
): Pick<Forecast, 'most' | 'guessUsd'> {
  const unknown = (because: string, guessUsd = 0): Pick<Forecast, 'most' | 'guessUsd'> => ({
    most: { kind: 'unknown', because },
    guessUsd,
  })
  if (price.kind === 'unknown') return unknown(price.because)
  // What costs nothing whatever its usage costs nothing whatever its size.
  if (price.of(undefined) === 0) return { most: { kind: 'known', costUsd: 0 }, guessUsd: 0 }
  if (input.uncounted.length > 0) return unknown(`nobody can count ${input.uncounted.join(', ')} from here`)
  const tokens = Math.ceil(input.tokens * INPUT_MARGIN) + INPUT_MARGIN_TOKENS
  const hasNoOutput = outputRange(request.body, request.endpoint, undefined).high === 0
  const longest = hasNoOutput ? 0 : allowed
  if (longest === undefined) {
    const guess = price.of({ input: tokens, output: output.high ?? output.likely * OUTPUT_MARGIN })
    return unknown('its request names no maximum of output tokens, such as max_tokens', guess)
  }
  const costUsd = price.of({ input: tokens, output: longest })
  if (costUsd === undefined) return unknown('some of its tokens have no price')
  return { most: { kind: 'known', costUsd }, guessUsd: costUsd }
}

function learnedIn({ target: { provider, endpoint, model }, calibration }: Lessons): Learned {
  return { provider, endpoint, model, state: JSON.stringify(calibration) }
}

/** What another version wrote may have another form: then it is learned anew. */
export function calibrationIn({ state }: Learned): Calibration | undefined {
  try {
    return StoredCalibration.parse(JSON.parse(state))
  } catch {
    return undefined
  }
}
