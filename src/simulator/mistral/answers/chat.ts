import type { JsonObject } from '../../../core/request.ts'
import {
  contentText,
  DONE_EVENT,
  event,
  pieces,
  type Answer,
  type AnswerContext,
  type Endpoint,
} from '../../endpoint.ts'
import { isObject } from '../../json.ts'
import { conversationText, endsInToolResult, formatted, lastUserText } from '../../openai-like/conversation.ts'
import { chosenTool, functionTools } from '../../openai/answers/tool-choice.ts'
import { instanceOf } from '../../../core/schema-instance.ts'
import { checkFields, isAnything, isList, type Fields } from '../check-fields.ts'
import { usageOf } from './usage.ts'

/** `ChatCompletionRequest` of the SDK 2.7; the two document limits are what the AI SDK sends. */
const FIELDS: Fields = {
  required: { model: isAnything, messages: isList },
  optional: [
    'document_image_limit',
    'document_page_limit',
    'frequency_penalty',
    'guardrails',
    'max_tokens',
    'metadata',
    'n',
    'parallel_tool_calls',
    'prediction',
    'presence_penalty',
    'prompt_cache_key',
    'prompt_mode',
    'random_seed',
    'reasoning_effort',
    'response_format',
    'safe_prompt',
    'service_tier',
    'stop',
    'stream',
    'temperature',
    'tool_choice',
    'tools',
    'top_p',
  ],
}

export const chatCompletions: Endpoint = {
  path: '/v1/chat/completions',
  defaultModel: undefined,
  check: (body) => checkFields(body, FIELDS),
  prompt: ({ messages }) => lastUserText(messages),
  answer(body, context) {
    const { message, text, finish } = messageFor(body, context)
    const choices = Math.max(1, Number(body['n'] ?? 1))
    return {
      id: context.digest,
      object: 'chat.completion',
      created: context.createdAt,
      model: context.model,
      choices: Array.from({ length: choices }, (_, index) => ({ index, finish_reason: finish, message })),
      usage: usageOf(conversationText(body['messages']), text.repeat(choices)),
    }
  },
  events: completionEvents,
}

interface Said {
  readonly message: Answer
  readonly text: string
  readonly finish: 'stop' | 'tool_calls'
}

function messageFor(body: JsonObject, { digest, wantsTool }: AnswerContext): Said {
  const { tool_choice: choice, messages } = body
  const tools = functionTools(body['tools'], (tool) => tool['function'])
  // `any` is Mistral's older word for `required`.
  const tool = chosenTool(tools, choice === 'any' ? 'required' : choice, wantsTool && !endsInToolResult(messages))
  if (!tool) {
    const text = formatted(body['response_format'], digest, lastUserText(messages))
    return { message: { role: 'assistant', content: text, tool_calls: null }, text, finish: 'stop' }
  }
  const text = JSON.stringify(instanceOf(tool.parameters, digest) ?? {})
  // Ids of its calls are nine letters and digits.
  const call = { id: digest.slice(0, 9), function: { name: tool.name, arguments: text }, index: 0 }
  return { message: { role: 'assistant', content: '', tool_calls: [call] }, text, finish: 'tool_calls' }
}

/** Chat and FIM completions stream alike; usage comes with the last piece, asked for or not. */
export function completionEvents(answer: Answer): readonly string[] {
  const { choices, usage, ...head } = answer
  const events: string[] = []
  const all = Array.isArray(choices) ? choices.filter((choice: unknown) => isObject(choice)) : []
  for (const [place, { index, message, finish_reason: finish }] of all.entries()) {
    if (!isObject(message)) continue
    const send = (delta: Answer, finish: unknown, more: Answer = {}): void => {
      const choice = { index, delta, finish_reason: finish }
      events.push(event({ ...head, object: 'chat.completion.chunk', choices: [choice], ...more }))
    }
    send({ role: 'assistant', content: '' }, null)
    for (const piece of pieces(contentText(message['content']))) send({ content: piece }, null)
    const calls = message['tool_calls']
    const last = Array.isArray(calls) ? { content: '', tool_calls: calls } : { content: '' }
    send(last, finish, place === all.length - 1 ? { usage } : {})
  }
  return [...events, DONE_EVENT]
}
