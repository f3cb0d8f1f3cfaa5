import type { Answer, Endpoint } from '../../endpoint.ts'
import { digestText } from '../../digest.ts'
import { checkFields, isAnything, isList, isTextOrTexts } from '../check-fields.ts'
import { conversationsOf, textsOf } from './inputs.ts'
import { usageOf } from './usage.ts'

const CATEGORIES = [
  'sexual',
  'hate_and_discrimination',
  'violence_and_threats',
  'dangerous_and_criminal_content',
  'selfharm',
  'health',
  'financial',
  'law',
  'pii',
] as const

export const moderations: Endpoint = {
  path: '/v1/moderations',
  defaultModel: undefined,
  check: (body) => checkFields(body, { required: { model: isAnything, input: isTextOrTexts }, optional: ['metadata'] }),
  prompt: ({ input }) => textsOf(input).join('\n'),
  answer: ({ input }, { digest, model }) => judged(digest, model, textsOf(input)),
  events: undefined,
}

export const chatModerations: Endpoint = {
  path: '/v1/chat/moderations',
  defaultModel: undefined,
  check: (body) => checkFields(body, { required: { model: isAnything, input: isList }, optional: [] }),
  prompt: ({ input }) => conversationsOf(input).join('\n'),
  answer: ({ input }, { digest, model }) => judged(digest, model, conversationsOf(input)),
  events: undefined,
}

/** Nothing is ever in a category; the scores, all below 0.01, are the text's own. */
function judged(digest: string, model: string, texts: readonly string[]): Answer {
  return {
    id: digest,
    model,
    usage: usageOf(texts.join(''), ''),
    results: texts.map((text) => ({
      categories: Object.fromEntries(CATEGORIES.map((category) => [category, false])),
      category_scores: Object.fromEntries(CATEGORIES.map((category) => [category, scoreOf(category, text)])),
    })),
  }
}

function scoreOf(category: string, text: string): number {
  return (digestText(`${category}\0${text}`).low % 10_000) / 1_000_000
}
