import type { Json, JsonObject } from '../../core/request.ts'
import { isObject } from '../json.ts'

/** What a call's headers and its way decide about its parameters. */
export interface ParamRules {
  /** The header `anthropic-version`. */
  readonly version: string
  /** Whether the call asks for beta features, by header or by `?beta=true`. */
  readonly beta: boolean
  readonly way: 'live' | 'batch'
}

/** `MessageCreateParamsBase` of the SDK 1.11. */
const FIELDS = new Set([
  'cache_control',
  'container',
  'diagnostics',
  'inference_geo',
  'max_tokens',
  'messages',
  'metadata',
  'model',
  'output_config',
  'service_tier',
  'speed',
  'stop_sequences',
  'stream',
  'system',
  'thinking',
  'tool_choice',
  'tools',
  'user_profile_id',
])

/** What `beta.messages` of the SDK 1.11 adds. */
const BETA_FIELDS = new Set([
  'billing_policy',
  'compaction',
  'context_management',
  'fallback_credit_token',
  'fallbacks',
  'mcp_servers',
  'output_format',
  'thread',
])

/** Gone with the version below: the SDK that sends it (1.x) has no type for them, the one before (0.x) has; users report a 400. */
const SAMPLING_FIELDS = new Set(['temperature', 'top_k', 'top_p'])
const VERSION_WITHOUT_SAMPLING = '2026-10-21'
const ROLES = new Set(['user', 'assistant', 'system'])
const MIN_THINKING_TOKENS = 1024

/** What Anthropic would say is wrong with these parameters, beside their model. */
export function checkParams(params: JsonObject, rules: ParamRules): string | undefined {
  return (
    checkFields(params, rules) ??
    (rules.way === 'batch' ? checkForBatch(params) : undefined) ??
    checkMaxTokens(params['max_tokens'], rules) ??
    checkMessages(params['messages']) ??
    checkTemperature(params['temperature']) ??
    checkThinking(params['thinking'], params['max_tokens']) ??
    checkToolChoice(params)
  )
}

function checkFields(params: JsonObject, { version, beta }: ParamRules): string | undefined {
  const unknown = Object.keys(params).find((name) => {
    if (FIELDS.has(name)) return false
    return SAMPLING_FIELDS.has(name) ? version >= VERSION_WITHOUT_SAMPLING : !(beta && BETA_FIELDS.has(name))
  })
  return unknown === undefined ? undefined : `${unknown}: Extra inputs are not permitted`
}

/** "A small number of Messages API parameters are not supported in batch requests" (guide to batch processing). */
function checkForBatch({ stream, speed, thread, fallbacks }: JsonObject): string | undefined {
  if (stream === true) return 'stream: Streaming is not supported in a message batch'
  if (isGiven(thread)) return 'thread: Not supported in a message batch'
  const fast = isGiven(speed) || (Array.isArray(fallbacks) && fallbacks.some((one: Json) => hasSpeed(one)))
  return fast ? 'speed: Not supported in a message batch' : undefined
}

function hasSpeed(fallback: Json): boolean {
  return isObject(fallback) && isGiven(fallback['speed'])
}

function isGiven(value: Json | undefined): boolean {
  return value !== undefined && value !== null
}

/** Zero only warms a cache, which makes no sense in a batch. */
function checkMaxTokens(maxTokens: Json | undefined, { way }: ParamRules): string | undefined {
  if (maxTokens === undefined) return 'max_tokens: Field required'
  const least = way === 'batch' ? 1 : 0
  if (typeof maxTokens !== 'number' || !Number.isInteger(maxTokens)) {
    return 'max_tokens: Input should be a valid integer'
  }
  return maxTokens < least ? `max_tokens: Input should be greater than or equal to ${least}` : undefined
}

function checkMessages(messages: Json | undefined): string | undefined {
  if (messages === undefined) return 'messages: Field required'
  if (!Array.isArray(messages)) return 'messages: Input should be a valid list'
  if (messages.length === 0) return 'messages: at least one message is required'
  for (const [index, message] of messages.entries()) {
    const at = `messages.${index}`
    if (!isObject(message)) return `${at}: Input should be a valid dictionary`
    const { role, content } = message
    if (typeof role !== 'string' || !ROLES.has(role)) {
      return `${at}.role: Input should be 'user', 'assistant' or 'system'`
    }
    if (content === undefined) return `${at}.content: Field required`
    if (typeof content !== 'string' && !Array.isArray(content)) {
      return `${at}.content: Input should be a valid string or list`
    }
    if (content.length === 0 && role === 'user') return `${at}: user messages must have non-empty content`
  }
  return undefined
}

function checkTemperature(temperature: Json | undefined): string | undefined {
  if (!isGiven(temperature)) return undefined
  const fits = typeof temperature === 'number' && temperature >= 0 && temperature <= 1
  return fits ? undefined : 'temperature: Input should be between 0 and 1'
}

function checkThinking(thinking: Json | undefined, maxTokens: Json | undefined): string | undefined {
  if (!isObject(thinking) || thinking['type'] !== 'enabled') return undefined
  const budget = thinking['budget_tokens']
  if (typeof budget !== 'number') return 'thinking.enabled.budget_tokens: Field required'
  if (budget < MIN_THINKING_TOKENS) {
    return `thinking.enabled.budget_tokens: Input should be greater than or equal to ${MIN_THINKING_TOKENS}`
  }
  return budget >= Number(maxTokens) ? '`max_tokens` must be greater than `thinking.budget_tokens`' : undefined
}

function checkToolChoice({ tools, tool_choice: choice }: JsonObject): string | undefined {
  if (!isObject(choice) || (choice['type'] !== 'any' && choice['type'] !== 'tool')) return undefined
  if (!Array.isArray(tools) || tools.length === 0) return 'tool_choice: may only be specified while providing tools'
  const named = choice['type'] === 'tool' ? choice['name'] : undefined
  const known = named === undefined || tools.some((tool: Json) => isObject(tool) && tool['name'] === named)
  return known ? undefined : `tool_choice: Tool ${JSON.stringify(named)} not found in provided tools`
}
