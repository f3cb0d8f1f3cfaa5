import type { Json } from '../../../core/request.ts'
import { digestText } from '../../digest.ts'
import { contentText, type Endpoint } from '../../endpoint.ts'
import { badRequest } from '../envelope.ts'
import { isObject } from '../../json.ts'

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

export const moderations: Endpoint = {
  path: '/v1/moderations',
  defaultModel: 'omni-moderation-latest',
  check({ input }) {
    return input === undefined || input === null
      ? badRequest("Missing required parameter: 'input'.", 'input', 'missing_required_parameter')
      : undefined
  },
  prompt: ({ input }) => textsOf(input).join('\n'),
  answer(body, { digest, model }) {
    return { id: `modr-${digest}`, model, results: textsOf(body['input']).map(resultOf) }
  },
  events: undefined,
}

/** A list of strings is judged one by one; text and image parts together are one input. */
function textsOf(input: Json | undefined): readonly string[] {
  if (Array.isArray(input) && !input.some((part: Json) => isObject(part))) return input.map(String)
  return [contentText(input)]
}

/** Never flagged; the scores, all below 0.01, are the text's own. */
function resultOf(text: string): Record<string, unknown> {
  return {
    flagged: false,
    categories: byCategory(() => false),
    category_scores: byCategory((category) => (digestText(`${category}\0${text}`).low % 10_000) / 1_000_000),
    category_applied_input_types: byCategory(() => ['text']),
  }
}

function byCategory<T>(value: (category: string) => T): Record<string, T> {
  return Object.fromEntries(CATEGORIES.map((category) => [category, value(category)]))
}
