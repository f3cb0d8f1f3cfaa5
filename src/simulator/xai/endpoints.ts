import type { Answer, Endpoint } from '../endpoint.ts'
import { isObject } from '../json.ts'
import { reworded } from '../openai-like/reword.ts'
import { chatCompletions } from '../openai/answers/chat.ts'
import { imageEdits, imageGenerations } from '../openai/answers/images.ts'
import { responses } from '../openai/answers/responses.ts'
import { errorBody } from './envelope.ts'

const words = {
  error: ({ status, message }: { readonly status: number; readonly message: string }) => errorBody(status, message),
}

const chat = reworded(chatCompletions, words)
const images = [imageGenerations, imageEdits].map((endpoint) => withModel(reworded(endpoint, words)))

/** What can be called live. */
export const LIVE: ReadonlyMap<string, Endpoint> = byPath([chat, reworded(responses, words), ...images])

/** A batch answers calls of the Responses API in the shape of chat completions (@ai-sdk/xai, `xai-batch.ts`). */
export const BATCHABLE: ReadonlyMap<string, Endpoint> = byPath([
  chat,
  reworded(responses, { ...words, answer: chatShaped }),
  ...images,
])

/** What inline requests call these endpoints, and results their answers. */
export const KINDS: ReadonlyMap<string, { readonly path: string; readonly result: string }> = new Map([
  ['chat_get_completion', { path: '/v1/chat/completions', result: 'chat_get_completion' }],
  ['responses', { path: '/v1/responses', result: 'chat_get_completion' }],
  ['image_generation', { path: '/v1/images/generations', result: 'image_generation' }],
  ['image_edit', { path: '/v1/images/edits', result: 'image_generation' }],
])

function chatShaped(answer: Answer): Answer {
  const [item]: readonly unknown[] = Array.isArray(answer['output']) ? answer['output'] : []
  const usage = isObject(answer['usage']) ? answer['usage'] : {}
  return {
    id: answer['id'],
    object: 'chat.completion',
    created: answer['created_at'],
    model: answer['model'],
    choices: [{ index: 0, ...choiceOf(item) }],
    usage: {
      prompt_tokens: usage['input_tokens'],
      completion_tokens: usage['output_tokens'],
      total_tokens: usage['total_tokens'],
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
  }
}

function choiceOf(item: unknown): Answer {
  const message = { role: 'assistant', refusal: null }
  if (!isObject(item)) return { message: { ...message, content: '' }, finish_reason: 'stop' }
  if (item['type'] === 'function_call') {
    const called = { name: item['name'], arguments: item['arguments'] }
    const call = { id: item['call_id'], type: 'function', function: called }
    return { message: { ...message, content: null, tool_calls: [call] }, finish_reason: 'tool_calls' }
  }
  const [part]: readonly unknown[] = Array.isArray(item['content']) ? item['content'] : []
  const content = isObject(part) ? part['text'] : ''
  return { message: { ...message, content }, finish_reason: 'stop' }
}

/** It has no model of its own choice. */
function withModel(endpoint: Endpoint): Endpoint {
  return { ...endpoint, defaultModel: undefined }
}

function byPath(endpoints: readonly Endpoint[]): ReadonlyMap<string, Endpoint> {
  return new Map(endpoints.map((endpoint) => [endpoint.path, endpoint]))
}
