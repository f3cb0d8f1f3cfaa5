import type { Json, JsonObject } from '../../core/request.ts'
import { answerText, contentText, tokensOf, type Answer, type AnswerContext } from '../endpoint.ts'
import { isObject } from '../json.ts'
import { instanceOf } from '../../core/schema-instance.ts'

/** A message as `/v1/messages` answers it; in a batch its `service_tier` is another. */
export function messageOf(params: JsonObject, context: AnswerContext): Answer {
  const thinking = thinkingBlocks(params['thinking'], context.digest)
  const { block, text, stopReason } = saidIn(params, context)
  return {
    id: `msg_${context.digest}`,
    type: 'message',
    role: 'assistant',
    model: context.model,
    content: [...thinking, block],
    stop_reason: stopReason,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: usageOf(inputTokens(params), tokensOf(text), thinking.length > 0),
  }
}

/** Tokens of everything the model reads. */
export function inputTokens({ messages, system, tools }: JsonObject): number {
  const conversation = Array.isArray(messages)
    ? messages.map((message: Json) => (isObject(message) ? contentText(message['content']) : '')).join('\n')
    : ''
  const described = Array.isArray(tools) ? JSON.stringify(tools) : ''
  return tokensOf(contentText(system) + conversation + described)
}

export function lastUserText(messages: Json | undefined): string {
  const last = lastUserMessage(messages)
  return last ? contentText(last['content']) : ''
}

interface Said {
  readonly block: Answer
  readonly text: string
  readonly stopReason: 'end_turn' | 'tool_use'
}

function saidIn(params: JsonObject, { digest, wantsTool }: AnswerContext): Said {
  const tool = calledTool(params, wantsTool)
  if (tool) {
    const input = instanceOf(tool['input_schema'], digest) ?? {}
    const block = { type: 'tool_use', id: `toolu_${digest}`, name: tool['name'], input, caller: { type: 'direct' } }
    return { block, text: JSON.stringify(input), stopReason: 'tool_use' }
  }
  const text = formatted(params, answerText(digest, lastUserText(params['messages'])))
  return { block: { type: 'text', text, citations: null }, text, stopReason: 'end_turn' }
}

/** The tool a model would call here; only those that the caller itself executes. */
function calledTool({ tools, tool_choice: choice, messages }: JsonObject, wantsTool: boolean): JsonObject | undefined {
  const own = Array.isArray(tools) ? tools.filter((tool: Json) => isObject(tool) && isObject(tool['input_schema'])) : []
  const type = isObject(choice) ? choice['type'] : 'auto'
  const found: Json | undefined =
    isObject(choice) && type === 'tool'
      ? own.find((tool: Json) => isObject(tool) && tool['name'] === choice['name'])
      : type === 'any' || (type === 'auto' && wantsTool && !endsInToolResult(messages))
        ? own[0]
        : undefined
  return isObject(found) ? found : undefined
}

function endsInToolResult(messages: Json | undefined): boolean {
  const content = lastUserMessage(messages)?.['content']
  return Array.isArray(content) && content.some((block: Json) => isObject(block) && block['type'] === 'tool_result')
}

function lastUserMessage(messages: Json | undefined): JsonObject | undefined {
  if (!Array.isArray(messages)) return undefined
  const last: Json | undefined = messages.findLast((message: Json) => isObject(message) && message['role'] === 'user')
  return isObject(last) ? last : undefined
}

/** `output_config.format`, or `output_format` as the beta had it. */
function formatted({ output_config: config, output_format: beta }: JsonObject, text: string): string {
  const format = isObject(config) && isObject(config['format']) ? config['format'] : beta
  return isObject(format) && format['type'] === 'json_schema'
    ? JSON.stringify(instanceOf(format['schema'], text))
    : text
}

function thinkingBlocks(thinking: Json | undefined, digest: string): readonly Answer[] {
  if (!isObject(thinking) || thinking['type'] !== 'enabled') return []
  const shown = thinking['display'] === 'omitted' ? '' : `Thinking about ${digest}`
  return [{ type: 'thinking', thinking: shown, signature: Buffer.from(digest).toString('base64') }]
}

const THINKING_TOKENS = 10

function usageOf(input: number, said: number, thinks: boolean): Answer {
  const thought = thinks ? THINKING_TOKENS : 0
  return {
    input_tokens: input,
    output_tokens: said + thought,
    output_tokens_details: { thinking_tokens: thought },
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
    server_tool_use: null,
    service_tier: 'standard',
    inference_geo: 'global',
    speed: 'standard',
  }
}
