import { isObject } from '../../core/json.ts'
import type { Json, JsonObject } from '../../core/request.ts'
import { countOf, formattedText, objectsIn, OPENAI_USAGE, STUB_TEXT, stubId } from './stub-text.ts'
import { forcedTool, openaiForced, openaiTools, stubArguments, type StubTool } from './stub-tools.ts'

/** What a chat completion says in the end. */
interface Said {
  readonly message: JsonObject
  readonly finish: 'stop' | 'tool_calls' | 'function_call'
}

/** An answer of OpenAI's chat completions, and of those who speak as it does. */
export function chatStub(body: JsonObject): JsonObject {
  return {
    id: stubId('chatcmpl-'),
    object: 'chat.completion',
    created: 0,
    model: body.model ?? '',
    choices: Array.from({ length: countOf(body.n) }, (_, index) => choice(body, index)),
    usage: OPENAI_USAGE,
    service_tier: 'default',
  }
}

function choice(body: JsonObject, index: number): JsonObject {
  const { message, finish } = said(body)
  return { index, message, logprobs: logprobsOf(body, message['content']), finish_reason: finish }
}

function said(body: JsonObject): Said {
  const empty = { role: 'assistant', content: null, refusal: null, annotations: [] }
  const results = objectsIn(body.messages).filter(({ role }) => role === 'tool' || role === 'function').length
  const tool = forcedTool(openaiTools(body.tools), openaiForced(body.tool_choice), results)
  if (tool) return { message: { ...empty, tool_calls: [toolCall(tool)] }, finish: 'tool_calls' }
  const called = forcedFunction(body)
  if (called) return { message: { ...empty, function_call: called }, finish: 'function_call' }
  const content = formattedText(body.response_format)
  if (!isObject(body.audio)) return { message: { ...empty, content }, finish: 'stop' }
  const audio = { id: stubId('audio_'), data: '', expires_at: 0, transcript: content }
  return { message: { ...empty, audio }, finish: 'stop' }
}

function toolCall(tool: StubTool): JsonObject {
  const { kind, name } = tool
  const text = stubArguments(tool)
  const called = kind === 'custom' ? { name, input: text } : { name, arguments: text }
  return { id: stubId('call_'), type: kind, [kind]: called }
}

/** What tools were before there were tools. */
function forcedFunction({ functions, function_call: forced }: JsonObject): JsonObject | undefined {
  if (!isObject(forced)) return undefined
  const found = objectsIn(functions).find(({ name }) => name === forced['name'])
  if (typeof found?.name !== 'string') return undefined
  const { name, parameters: schema } = found
  return { name, arguments: stubArguments({ kind: 'function', name, schema }) }
}

/** One token, as sure as can be. */
function logprobsOf({ logprobs, top_logprobs: top }: JsonObject, content: Json | undefined): JsonObject | null {
  if (logprobs !== true) return null
  const token = { token: typeof content === 'string' ? content : STUB_TEXT, logprob: 0, bytes: null }
  return { content: [{ ...token, top_logprobs: typeof top === 'number' && top > 0 ? [token] : [] }], refusal: null }
}
