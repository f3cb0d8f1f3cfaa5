import type { Answer, Endpoint } from '../../endpoint.ts'
import { digestText } from '../../digest.ts'
import { checkFields, isAnything, isTextOrTexts } from '../check-fields.ts'
import { conversationsOf, textsOf } from './inputs.ts'
import { usageOf } from './usage.ts'

export const classifications: Endpoint = {
  path: '/v1/classifications',
  defaultModel: undefined,
  check: (body) => checkFields(body, { required: { model: isAnything, input: isTextOrTexts }, optional: ['metadata'] }),
  prompt: ({ input }) => textsOf(input).join('\n'),
  answer: ({ input }, { digest, model }) => classified(digest, model, textsOf(input)),
  events: undefined,
}

export const chatClassifications: Endpoint = {
  path: '/v1/chat/classifications',
  defaultModel: undefined,
  check: (body) => checkFields(body, { required: { model: isAnything, input: isAnything }, optional: [] }),
  prompt: ({ input }) => conversationsOf(input).join('\n'),
  answer: ({ input }, { digest, model }) => classified(digest, model, conversationsOf(input)),
  events: undefined,
}

/** A classifier of one target with two labels, whose scores are the text's own. */
function classified(digest: string, model: string, texts: readonly string[]): Answer {
  return {
    id: digest,
    model,
    usage: usageOf(texts.join(''), ''),
    results: texts.map((text) => {
      const yes = (digestText(text).low % 1000) / 1000
      return { label: { scores: { yes, no: 1 - yes } } }
    }),
  }
}
