import {
  contentText,
  answerText,
  tokensOf,
  type Answer,
  type AnswerContext,
  type Endpoint,
  type RowError,
} from '../../endpoint.ts'
import { badRequest } from '../envelope.ts'
import type { JsonObject } from '../../../core/request.ts'

/** A PNG of one transparent pixel: what an image is of, its `revised_prompt` says. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='

export const imageGenerations: Endpoint = {
  path: '/v1/images/generations',
  defaultModel: 'gpt-image-1',
  check: checkPrompt,
  prompt: ({ prompt }) => contentText(prompt),
  answer: images,
  events: undefined,
}

export const imageEdits: Endpoint = {
  path: '/v1/images/edits',
  defaultModel: 'gpt-image-1',
  check(body) {
    if (body['images'] === undefined && body['image'] === undefined) {
      return badRequest("Missing required parameter: 'images'.", 'images', 'missing_required_parameter')
    }
    return checkPrompt(body)
  },
  prompt: ({ prompt }) => contentText(prompt),
  answer: images,
  events: undefined,
}

function checkPrompt({ prompt }: JsonObject): RowError | undefined {
  return typeof prompt === 'string' && prompt !== ''
    ? undefined
    : badRequest("Missing required parameter: 'prompt'.", 'prompt', 'missing_required_parameter')
}

function images(body: JsonObject, { digest, createdAt }: AnswerContext): Answer {
  const prompt = contentText(body['prompt'])
  const inputTokens = tokensOf(prompt)
  const amount = Math.max(1, Number(body['n'] ?? 1))
  const image = body['response_format'] === 'url' ? { url: `data:image/png;base64,${PIXEL}` } : { b64_json: PIXEL }
  return {
    created: createdAt,
    background: 'transparent',
    data: Array.from({ length: amount }, () => ({ ...image, revised_prompt: answerText(digest, prompt) })),
    output_format: 'png',
    quality: 'low',
    size: '1024x1024',
    usage: {
      input_tokens: inputTokens,
      input_tokens_details: { image_tokens: 0, text_tokens: inputTokens },
      output_tokens: amount,
      total_tokens: inputTokens + amount,
    },
  }
}
