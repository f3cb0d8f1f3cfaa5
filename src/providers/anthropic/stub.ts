import { isObject } from '../../core/json.ts'
import type { JsonObject } from '../../core/request.ts'
import { instanceText, objectsIn, STUB_TEXT, stubId } from '../toolkit/stub-text.ts'
import { type Forced, forcedTool, type StubTool } from '../toolkit/stub-tools.ts'

/** An answer of `/v1/messages`, with what the types of `@anthropic-ai/sdk` 1.11 require of one. */
export function messageStub(body: JsonObject): string {
  const tool = forcedTool(toolsOf(body), forcedBy(body), resultsIn(body))
  return JSON.stringify({
    id: stubId('msg_'),
    type: 'message',
    role: 'assistant',
    model: body.model ?? '',
    content: [tool ? toolUse(tool) : { type: 'text', text: textOf(body), citations: null }],
    stop_reason: tool ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    stop_details: null,
    container: null,
    usage: {
      input_tokens: 0,
      output_tokens: 0,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
      server_tool_use: null,
      service_tier: 'standard',
    },
  })
}

function toolUse(tool: StubTool): object {
  const input: unknown = JSON.parse(instanceText(tool.schema))
  return { type: 'tool_use', id: stubId('toolu_'), name: tool.name, input, caller: { type: 'direct' } }
}

/** Those that the caller runs; what the provider runs itself has no schema. */
function toolsOf({ tools }: JsonObject): readonly StubTool[] {
  return objectsIn(tools).flatMap(({ name, input_schema: schema }): StubTool[] =>
    typeof name === 'string' && isObject(schema) ? [{ kind: 'function', name, schema }] : [],
  )
}

function forcedBy({ tool_choice: choice }: JsonObject): Forced {
  if (!isObject(choice)) return 'nothing'
  if (choice.type === 'tool' && typeof choice.name === 'string') return { names: [choice.name] }
  return choice.type === 'any' ? { names: [] } : 'nothing'
}

function resultsIn({ messages }: JsonObject): number {
  const blocks = objectsIn(messages).flatMap(({ content }) => objectsIn(content))
  return blocks.filter(({ type }) => type === 'tool_result').length
}

/** In the format of `output_config`, or of `output_format` as the beta has it. */
function textOf({ output_config: config, output_format: beta }: JsonObject): string {
  const format = (isObject(config) ? config.format : undefined) ?? beta
  return isObject(format) && format.type === 'json_schema' ? instanceText(format.schema) : STUB_TEXT
}
