import type { Json } from '../../../core/request.ts'
import { answerText, DONE_EVENT, event, pieces, tokensOf, type Answer, type Endpoint } from '../../endpoint.ts'
import { badRequest } from '../envelope.ts'
import { isObject } from '../../json.ts'

export const completions: Endpoint = {
  path: '/v1/completions',
  defaultModel: undefined,
  check({ prompt }) {
    return prompt === undefined
      ? badRequest("Missing required parameter: 'prompt'.", 'prompt', 'missing_required_parameter')
      : undefined
  },
  prompt: ({ prompt }) => promptsOf(prompt).join('\n'),
  answer(body, { digest, model, createdAt }) {
    const prompts = promptsOf(body['prompt'])
    const each = Math.max(1, Number(body['n'] ?? 1))
    const texts = prompts.flatMap((prompt) => Array.from({ length: each }, () => answerText(digest, prompt)))
    const promptTokens = tokensOf(prompts.join(''))
    const completionTokens = tokensOf(texts.join(''))
    return {
      id: `cmpl-${digest}`,
      object: 'text_completion',
      created: createdAt,
      model,
      choices: texts.map((text, index) => ({ text, index, logprobs: null, finish_reason: 'stop' })),
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
      },
    }
  },
  events: chunks,
}

function promptsOf(prompt: Json | undefined): readonly string[] {
  if (Array.isArray(prompt) && typeof prompt[0] !== 'number') {
    return prompt.map((one: Json) => (typeof one === 'string' ? one : JSON.stringify(one)))
  }
  return [typeof prompt === 'string' ? prompt : JSON.stringify(prompt ?? '')]
}

function chunks(answer: Answer): readonly string[] {
  const { id, object, created, model, choices } = answer
  const events = (Array.isArray(choices) ? choices : []).flatMap((choice: unknown) => {
    if (!isObject(choice)) return []
    const chunk = (text: string, finish: string | null): string =>
      event({
        id,
        object,
        created,
        model,
        choices: [{ text, index: choice['index'], logprobs: null, finish_reason: finish }],
      })
    const text = typeof choice['text'] === 'string' ? choice['text'] : ''
    return pieces(text)
      .map((piece) => chunk(piece, null))
      .concat(chunk('', 'stop'))
  })
  return [...events, DONE_EVENT]
}
