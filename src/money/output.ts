import type { Json, JsonObject } from '../core/request.ts'
import { type Calibration, meanOf, spread } from './calibration.ts'
import { isObject } from './json.ts'

/** Tokens an answer may have. `high` is undefined where nothing limits it and too few answers have been seen. */
export interface OutputRange {
  readonly low: number
  readonly likely: number
  readonly high: number | undefined
}

/** A guess, for a model that nothing is known of yet: some paragraphs. */
const TYPICAL = 400

/** They give vectors or verdicts, not text. */
const WITHOUT_OUTPUT = /embed|moderation|classification|rerank/i

const MOST = ['max_completion_tokens', 'max_output_tokens', 'max_tokens', 'maxOutputTokens'] as const
const CHOICES = ['n', 'candidateCount', 'candidate_count'] as const

/** The most tokens a request allows its answer, all choices together; undefined when it names none. */
export function maxOutput(body: JsonObject): number | undefined {
  const settings = [body, body['generationConfig'], body['generation_config']]
  const most = firstCount(settings, MOST)
  return most === undefined ? undefined : most * (firstCount(settings, CHOICES) ?? 1)
}

/** How long an answer may be, by what the request allows and what answers to its like have been. */
export function outputRange(body: JsonObject, endpoint: string, known: Calibration | undefined): OutputRange {
  if (WITHOUT_OUTPUT.test(endpoint)) return { low: 0, likely: 0, high: 0 }
  const most = maxOutput(body)
  if (most === undefined) return within(spread(known?.output), meanOf(known?.output, TYPICAL), undefined)
  const share = known?.share
  const seen = spread(share)
  // Answers to requests without a maximum tell something as well, as long as no others do.
  const likely = share?.n === 0 ? meanOf(known?.output, TYPICAL) : meanOf(share, Math.min(1, TYPICAL / most)) * most
  return within(seen && { low: seen.low * most, high: seen.high * most }, likely, most)
}

/** Whole tokens, and none of the three beyond another. */
function within(
  seen: { readonly low: number; readonly high: number } | undefined,
  likely: number,
  most: number | undefined,
): OutputRange {
  const limit = most ?? Number.POSITIVE_INFINITY
  const low = Math.min(limit, Math.round(seen?.low ?? 1))
  const high = Math.min(limit, Math.round(seen?.high ?? limit))
  return {
    low,
    likely: Math.min(high, Math.max(low, Math.round(likely))),
    high: high === Number.POSITIVE_INFINITY ? undefined : high,
  }
}

function firstCount(from: readonly (Json | undefined)[], fields: readonly string[]): number | undefined {
  for (const settings of from) {
    if (!isObject(settings)) continue
    for (const field of fields) {
      const value = settings[field]
      if (typeof value === 'number' && value > 0) return value
    }
  }
  return undefined
}
