import { isObject } from '../../core/json.ts'
import type { Json, JsonObject } from '../../core/request.ts'
import { stubId } from './stub-text.ts'

/** `Moderation.Categories` of the `openai` SDK 7.55. */
const CATEGORIES = [
  'harassment',
  'harassment/threatening',
  'hate',
  'hate/threatening',
  'illicit',
  'illicit/violent',
  'self-harm',
  'self-harm/instructions',
  'self-harm/intent',
  'sexual',
  'sexual/minors',
  'violence',
  'violence/graphic',
] as const

/** An answer of OpenAI's moderations: nothing is ever flagged. */
export function moderationsStub(body: JsonObject): JsonObject {
  const result = {
    flagged: false,
    categories: byCategory(CATEGORIES, false),
    category_scores: byCategory(CATEGORIES, 0),
    category_applied_input_types: byCategory(CATEGORIES, ['text']),
  }
  return {
    id: stubId('modr-'),
    model: body.model ?? 'omni-moderation-latest',
    results: Array.from({ length: judged(body.input) }, () => result),
  }
}

export function byCategory(categories: readonly string[], value: Json): JsonObject {
  return Object.fromEntries(categories.map((category) => [category, value]))
}

/** Texts are judged one by one; parts, of text and pictures, together. */
function judged(input: Json | undefined): number {
  return Array.isArray(input) && !input.some((part: Json) => isObject(part)) ? input.length : 1
}
