import { isObject } from '../../core/json.ts'
import type { JsonObject } from '../../core/request.ts'
import { formattedText, objectsIn, stubId } from './stub-text.ts'
import { forcedTool, openaiForced, openaiTools, stubArguments } from './stub-tools.ts'

/** An answer of OpenAI's responses, and of those who speak as it does. Settings of the request come back as the API echoes them. */
export function responsesStub(body: JsonObject): JsonObject {
  return {
    id: stubId('resp_'),
    object: 'response',
    created_at: 0,
    completed_at: 0,
    status: 'completed',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    metadata: body.metadata ?? {},
    model: body.model ?? '',
    output: [outputItem(body)],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: body.reasoning ?? { effort: null, summary: null },
    service_tier: 'default',
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? 'disabled',
    usage: {
      input_tokens: 0,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 0,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 0,
    },
    user: body.user ?? null,
  }
}

function isToolResult({ type }: JsonObject): boolean {
  return type === 'function_call_output' || type === 'custom_tool_call_output'
}

function outputItem(body: JsonObject): JsonObject {
  const results = objectsIn(body.input).filter(isToolResult).length
  const tool = forcedTool(openaiTools(body.tools), openaiForced(body.tool_choice), results)
  if (tool) {
    const call = { status: 'completed', call_id: stubId('call_'), name: tool.name }
    return tool.kind === 'custom'
      ? { id: stubId('ctc_'), type: 'custom_tool_call', ...call, input: stubArguments(tool) }
      : { id: stubId('fc_'), type: 'function_call', ...call, arguments: stubArguments(tool) }
  }
  const text = formattedText(isObject(body.text) ? body.text.format : undefined)
  const part = { type: 'output_text', annotations: [], logprobs: [], text }
  return { id: stubId('msg_'), type: 'message', status: 'completed', role: 'assistant', content: [part] }
}
