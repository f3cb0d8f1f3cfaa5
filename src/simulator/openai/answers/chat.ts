import type { JsonObject } from '../../../core/request.ts'
import { isObject } from '../../json.ts'
import { instanceOf } from '../../../core/schema-instance.ts'
import {
  contentText,
  DONE_EVENT,
  event,
  pieces,
  tokensOf,
  type Answer,
  type AnswerContext,
  type Endpoint,
} from '../../endpoint.ts'
import { badRequest } from '../envelope.ts'
import { conversationText, endsInToolResult, formatted, lastUserText } from '../../openai-like/conversation.ts'
import { chosenTool, functionTools } from './tool-choice.ts'

export const chatCompletions: Endpoint = {
  path: '/v1/chat/completions',
  defaultModel: undefined,
  check({ messages, n, temperature }) {
    if (messages === undefined) {
      return badRequest("Missing required parameter: 'messages'.", 'messages', 'missing_required_parameter')
    }
    if (!Array.isArray(messages)) {
      return badRequest("Invalid type for 'messages': expected an array of objects.", 'messages', 'invalid_type')
    }
    if (messages.length === 0) {
      return badRequest(
        "Invalid 'messages': empty array. Expected an array with minimum length 1.",
        'messages',
        'empty_array',
      )
    }
    for (const [index, message] of messages.entries()) {
      if (!isObject(message) || typeof message['role'] !== 'string') {
        const param = `messages[${index}].role`
        return badRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter')
      }
    }
    if (n !== undefined && n !== null && !(typeof n === 'number' && n >= 1 && n <= 128)) {
      return badRequest("Invalid 'n': expected an integer between 1 and 128.", 'n')
    }
    if (typeof temperature === 'number' && (temperature < 0 || temperature > 2)) {
      return badRequest("Invalid 'temperature': expected a number between 0 and 2.", 'temperature')
    }
    return undefined
  },
  prompt: ({ messages }) => lastUserText(messages),
  answer(body, context) {
    const prompt = lastUserText(body['messages'])
    const message = messageFor(body, context, prompt)
    const choices = Math.max(1, Number(body['n'] ?? 1))
    const promptTokens = tokensOf(conversationText(body['messages']))
    const completionTokens = tokensOf(message.text) * choices
    return {
      id: `chatcmpl-${context.digest}`,
      object: 'chat.completion',
      created: context.createdAt,
      model: context.model,
      choices: Array.from({ length: choices }, (_, index) => ({
        index,
        message: message.value,
        logprobs: null,
        finish_reason: message.finish,
      })),
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
      service_tier: 'default',
      system_fingerprint: 'fp_simulator',
    }
  },
  events: chunks,
}

interface Message {
  readonly value: Answer
  readonly text: string
  readonly finish: 'stop' | 'tool_calls'
}

function messageFor(body: JsonObject, { digest, wantsTool }: AnswerContext, prompt: string): Message {
  const tools = functionTools(body['tools'], (tool) => tool['function'])
  const tool = chosenTool(tools, body['tool_choice'], wantsTool && !endsInToolResult(body['messages']))
  const empty = { role: 'assistant', refusal: null, annotations: [] }
  if (tool) {
    const text = JSON.stringify(instanceOf(tool.parameters, digest) ?? {})
    const call = { id: `call_${digest}`, type: 'function', function: { name: tool.name, arguments: text } }
    return { value: { ...empty, content: null, tool_calls: [call] }, text, finish: 'tool_calls' }
  }
  const text = formatted(body['response_format'], digest, prompt)
  return { value: { ...empty, content: text }, text, finish: 'stop' }
}

function chunks(answer: Answer, body: JsonObject): readonly string[] {
  const { choices, usage, ...head } = answer
  const withUsage = isObject(body['stream_options']) && body['stream_options']['include_usage'] === true
  const chunk = (choices: readonly unknown[], usage: unknown = null): string =>
    event({ ...head, object: 'chat.completion.chunk', choices, ...(withUsage ? { usage } : {}) })

  const events: string[] = []
  for (const choice of Array.isArray(choices) ? choices : []) {
    if (!isObject(choice) || !isObject(choice['message'])) continue
    const { index, message, finish_reason: finishReason } = choice
    const delta = (delta: unknown, finish: unknown = null): void => {
      events.push(chunk([{ index, delta, logprobs: null, finish_reason: finish }]))
    }
    delta({ role: 'assistant', content: message['content'] === null ? null : '', refusal: null })
    for (const piece of pieces(contentText(message['content']))) delta({ content: piece })
    const calls = message['tool_calls']
    for (const [index, call] of (Array.isArray(calls) ? calls : []).entries()) {
      if (isObject(call)) delta({ tool_calls: [{ index, ...call }] })
    }
    delta({}, finishReason)
  }
  return [...events, ...(withUsage ? [chunk([], usage)] : []), DONE_EVENT]
}
