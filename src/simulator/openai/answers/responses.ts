import type { Json, JsonObject } from '../../../core/request.ts'
import { isObject } from '../../json.ts'
import { instanceOf } from '../../../core/schema-instance.ts'
import {
  answerText,
  contentText,
  event,
  pieces,
  tokensOf,
  type Answer,
  type AnswerContext,
  type Endpoint,
} from '../../endpoint.ts'
import { badRequest } from '../envelope.ts'
import { chosenTool, functionTools } from './tool-choice.ts'

export const responses: Endpoint = {
  path: '/v1/responses',
  defaultModel: undefined,
  check({ input, prompt, previous_response_id: previous, conversation, temperature }) {
    if ([input, prompt, previous, conversation].every((part) => part === undefined || part === null)) {
      return badRequest("Missing required parameter: 'input'.", 'input', 'missing_required_parameter')
    }
    if (input !== undefined && input !== null && typeof input !== 'string' && !Array.isArray(input)) {
      return badRequest("Invalid type for 'input': expected a string or an array.", 'input', 'invalid_type')
    }
    if (typeof temperature === 'number' && (temperature < 0 || temperature > 2)) {
      return badRequest("Invalid 'temperature': expected a number between 0 and 2.", 'temperature')
    }
    return undefined
  },
  prompt: ({ input }) => lastUserText(input),
  answer(body, context) {
    const item = outputItem(body, context)
    const inputTokens = tokensOf(inputText(body['input']) + contentText(body['instructions']))
    const outputTokens = tokensOf(item.text)
    return {
      id: `resp_${context.digest}`,
      object: 'response',
      created_at: context.createdAt,
      completed_at: context.createdAt,
      status: 'completed',
      background: false,
      error: null,
      incomplete_details: null,
      instructions: body['instructions'] ?? null,
      max_output_tokens: body['max_output_tokens'] ?? null,
      max_tool_calls: body['max_tool_calls'] ?? null,
      model: context.model,
      output: [item.value],
      parallel_tool_calls: body['parallel_tool_calls'] ?? true,
      previous_response_id: body['previous_response_id'] ?? null,
      reasoning: body['reasoning'] ?? { effort: null, summary: null },
      service_tier: 'default',
      store: body['store'] ?? true,
      temperature: body['temperature'] ?? 1,
      text: body['text'] ?? { format: { type: 'text' } },
      tool_choice: body['tool_choice'] ?? 'auto',
      tools: body['tools'] ?? [],
      top_p: body['top_p'] ?? 1,
      truncation: body['truncation'] ?? 'disabled',
      usage: {
        input_tokens: inputTokens,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: outputTokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: inputTokens + outputTokens,
      },
      user: body['user'] ?? null,
      metadata: body['metadata'] ?? {},
      access_programs: null,
    }
  },
  events: streamed,
}

function outputItem(body: JsonObject, { digest, wantsTool }: AnswerContext): { value: Answer; text: string } {
  const tools = functionTools(body['tools'], (tool) => tool)
  const tool = chosenTool(tools, body['tool_choice'], wantsTool && !endsInToolResult(body['input']))
  if (tool) {
    const text = JSON.stringify(instanceOf(tool.parameters, digest) ?? {})
    const value = {
      id: `fc_${digest}`,
      type: 'function_call',
      status: 'completed',
      arguments: text,
      call_id: `call_${digest}`,
      name: tool.name,
    }
    return { value, text }
  }
  const text = formatted(body['text'], digest, lastUserText(body['input']))
  const part = { type: 'output_text', annotations: [], logprobs: [], text }
  const value = { id: `msg_${digest}`, type: 'message', status: 'completed', role: 'assistant', content: [part] }
  return { value, text }
}

function formatted(config: Json | undefined, digest: string, prompt: string): string {
  const text = answerText(digest, prompt)
  const format = isObject(config) ? config['format'] : undefined
  if (!isObject(format)) return text
  if (format['type'] === 'json_object') return JSON.stringify({ answer: text })
  return format['type'] === 'json_schema' ? JSON.stringify(instanceOf(format['schema'], text)) : text
}

function lastUserText(input: Json | undefined): string {
  if (typeof input === 'string') return input
  if (!Array.isArray(input)) return ''
  const last: Json | undefined = input.findLast((item: Json) => isObject(item) && item['role'] === 'user')
  return isObject(last) ? contentText(last['content']) : ''
}

function inputText(input: Json | undefined): string {
  if (typeof input === 'string') return input
  if (!Array.isArray(input)) return ''
  return input.map((item: Json) => (isObject(item) ? contentText(item['content']) : '')).join('\n')
}

function endsInToolResult(input: Json | undefined): boolean {
  const last: unknown = Array.isArray(input) ? input.at(-1) : undefined
  return isObject(last) && last['type'] === 'function_call_output'
}

function streamed(answer: Answer): readonly string[] {
  const events: string[] = []
  const send = (type: string, fields: Answer): void => {
    events.push(event({ type, sequence_number: events.length, ...fields }, type))
  }
  const { usage: _, completed_at: __, ...unfinished } = answer
  const begun = { ...unfinished, status: 'in_progress', output: [], usage: null, completed_at: null }

  send('response.created', { response: begun })
  send('response.in_progress', { response: begun })
  const items: unknown = answer['output']
  for (const [index, item] of (Array.isArray(items) ? items : []).entries()) {
    if (isObject(item)) streamItem(item, index, send)
  }
  send('response.completed', { response: answer })
  return events
}

function streamItem(item: JsonObject, outputIndex: number, send: (type: string, fields: Answer) => void): void {
  const place = { item_id: item['id'], output_index: outputIndex }
  if (item['type'] === 'function_call') {
    const text = contentText(item['arguments'])
    send('response.output_item.added', {
      output_index: outputIndex,
      item: { ...item, status: 'in_progress', arguments: '' },
    })
    for (const delta of pieces(text)) send('response.function_call_arguments.delta', { ...place, delta })
    send('response.function_call_arguments.done', { ...place, name: item['name'], arguments: text })
  } else {
    const text = contentText(item['content'])
    const part = { type: 'output_text', annotations: [], logprobs: [] }
    const content = { ...place, content_index: 0 }
    send('response.output_item.added', {
      output_index: outputIndex,
      item: { ...item, status: 'in_progress', content: [] },
    })
    send('response.content_part.added', { ...content, part: { ...part, text: '' } })
    for (const delta of pieces(text)) send('response.output_text.delta', { ...content, delta, logprobs: [] })
    send('response.output_text.done', { ...content, text, logprobs: [] })
    send('response.content_part.done', { ...content, part: { ...part, text } })
  }
  send('response.output_item.done', { output_index: outputIndex, item })
}
