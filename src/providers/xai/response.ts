import { z } from 'zod'

/*
 * Batches answer in the shape of a chat completion, whichever endpoint a row was for (the AI SDK's and litellm's adapters of this API say
 * so). A caller of /v1/responses gets a Response made of it: text, reasoning, tool calls, a refusal, citations, tokens. What a chat
 * completion cannot hold is not admitted to a batch in the first place.
 */

const ToolCall = z.object({
  id: z.string(),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

const Choice = z.object({
  message: z.object({
    role: z.string().nullish(),
    content: z.string().nullish(),
    reasoning_content: z.string().nullish(),
    refusal: z.string().nullish(),
    tool_calls: z.array(ToolCall).nullish(),
  }),
  finish_reason: z.string().nullish(),
})
type Choice = z.infer<typeof Choice>

const count = z.number().nullish().catch(null)

const Usage = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }).nullish().catch(null),
  completion_tokens_details: z.object({ reasoning_tokens: count }).nullish().catch(null),
  num_sources_used: count,
  cost_in_usd_ticks: count,
})
type Usage = z.infer<typeof Usage>

const Chat = z.object({
  id: z.string().nullish(),
  created: z.number().nullish(),
  model: z.string().nullish(),
  choices: z.array(Choice).min(1),
  usage: Usage.nullish().catch(null),
  citations: z.array(z.string()).nullish().catch(null),
  service_tier: z.string().nullish().catch(null),
})

/** The Response that says the same as a chat completion; undefined when this is none. */
export function toResponse(chat: unknown): Record<string, unknown> | undefined {
  const parsed = Chat.safeParse(chat)
  const choice = parsed.data?.choices[0]
  if (!parsed.success || !choice) return undefined
  const { id, created, model, usage, citations, service_tier: tier } = parsed.data
  const base = id ?? 'batch'
  const incomplete = INCOMPLETE[choice.finish_reason ?? '']
  const status = incomplete === undefined ? 'completed' : 'incomplete'
  return {
    id: base,
    object: 'response',
    created_at: created ?? 0,
    status,
    error: null,
    incomplete_details: incomplete === undefined ? null : { reason: incomplete },
    instructions: null,
    max_output_tokens: null,
    model: model ?? '',
    output: outputOf(choice, base, status, citations ?? []),
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    truncation: 'disabled',
    user: null,
    metadata: {},
    ...(tier ? { service_tier: tier } : {}),
    ...(usage ? { usage: usageOf(usage) } : {}),
  }
}

/** Why an answer stopped early, in the words of a Response. */
const INCOMPLETE: Readonly<Record<string, string>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
}

function outputOf({ message }: Choice, id: string, status: string, citations: readonly string[]): readonly object[] {
  const { content, reasoning_content: reasoning, refusal, tool_calls: calls } = message
  const annotations = citations.map((url) => ({ type: 'url_citation', url, title: url, start_index: 0, end_index: 0 }))
  const parts = [
    ...(content ? [{ type: 'output_text', text: content, annotations, logprobs: [] }] : []),
    ...(refusal ? [{ type: 'refusal', refusal }] : []),
  ]
  const summary = [{ type: 'summary_text', text: reasoning }]
  return [
    ...(reasoning ? [{ type: 'reasoning', id: `rs_${id}`, summary, status: 'completed' }] : []),
    ...(parts.length > 0 || !calls?.length
      ? [{ type: 'message', id: `msg_${id}`, role: 'assistant', status, content: parts }]
      : []),
    ...(calls ?? []).map(({ id: callId, function: { name, arguments: text } }) => ({
      type: 'function_call',
      id: `fc_${callId}`,
      call_id: callId,
      name,
      arguments: text,
      status: 'completed',
    })),
  ]
}

/** In a chat completion of xAI's reasoning tokens stand beside the completion's; in a Response they are part of the output. */
function usageOf(usage: Usage): object {
  const reasoning = usage.completion_tokens_details?.reasoning_tokens ?? 0
  const output = usage.completion_tokens + reasoning
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: usage.total_tokens ?? usage.prompt_tokens + output,
    ...(usage.num_sources_used == null ? {} : { num_sources_used: usage.num_sources_used }),
    ...(usage.cost_in_usd_ticks == null ? {} : { cost_in_usd_ticks: usage.cost_in_usd_ticks }),
  }
}
