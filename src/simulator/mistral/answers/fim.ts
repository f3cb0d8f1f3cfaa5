import { answerText, contentText, type Endpoint } from '../../endpoint.ts'
import { checkFields, isAnything, isText, type Fields } from '../check-fields.ts'
import { completionEvents } from './chat.ts'
import { usageOf } from './usage.ts'

/** `FIMCompletionRequest` of the SDK 2.7. */
const FIELDS: Fields = {
  required: { model: isAnything, prompt: isText },
  optional: [
    'max_tokens',
    'metadata',
    'min_tokens',
    'prompt_cache_key',
    'random_seed',
    'stop',
    'stream',
    'suffix',
    'temperature',
    'top_p',
  ],
}

export const fimCompletions: Endpoint = {
  path: '/v1/fim/completions',
  defaultModel: undefined,
  check: (body) => checkFields(body, FIELDS),
  prompt: ({ prompt }) => contentText(prompt),
  answer(body, { digest, model, createdAt }) {
    const prompt = contentText(body['prompt'])
    const text = answerText(digest, prompt)
    const message = { role: 'assistant', content: text, tool_calls: null }
    return {
      id: digest,
      object: 'chat.completion',
      created: createdAt,
      model,
      choices: [{ index: 0, finish_reason: 'stop', message }],
      usage: usageOf(prompt + contentText(body['suffix']), text),
    }
  },
  events: completionEvents,
}
