import type { JsonObject } from '../../../core/request.ts'
import { answerText, contentText, event, pieces, type Answer, type Endpoint } from '../../endpoint.ts'
import { isObject } from '../../json.ts'
import { lastUserText } from '../../openai-like/conversation.ts'
import { checkFields, isAnything, type Fields } from '../check-fields.ts'
import { invalid } from '../envelope.ts'
import { usageOf } from './usage.ts'

/** `ConversationRequest` of the SDK 2.7. */
const FIELDS: Fields = {
  required: { inputs: isAnything },
  optional: [
    'agent_id',
    'agent_version',
    'completion_args',
    'description',
    'guardrails',
    'handoff_execution',
    'instructions',
    'metadata',
    'model',
    'name',
    'store',
    'stream',
    'tools',
  ],
}

/** The start of a conversation: with a model, or with an agent that has one. */
export const conversations: Endpoint = {
  path: '/v1/conversations',
  defaultModel: 'mistral-medium-latest',
  check(body) {
    const problem = checkFields(body, FIELDS)
    if (problem) return problem
    if (typeof body['model'] === 'string' || typeof body['agent_id'] === 'string') return undefined
    return invalid({ type: 'value_error', loc: ['body'], msg: 'One of model and agent_id must be given' })
  },
  prompt: promptOf,
  answer(body, { digest, model, createdAt }) {
    const prompt = promptOf(body)
    const text = answerText(digest, prompt)
    const at = new Date(createdAt * 1000).toISOString()
    const agent = body['agent_id'] ?? null
    return {
      object: 'conversation.response',
      conversation_id: `conv_${digest}`,
      outputs: [
        {
          object: 'entry',
          type: 'message.output',
          created_at: at,
          completed_at: at,
          id: `msg_${digest}`,
          agent_id: agent,
          model: agent === null ? model : null,
          role: 'assistant',
          content: text,
        },
      ],
      usage: usageOf(prompt + contentText(body['instructions']), text),
    }
  },
  events: conversationEvents,
}

function promptOf({ inputs }: JsonObject): string {
  return typeof inputs === 'string' ? inputs : lastUserText(inputs)
}

function conversationEvents({ conversation_id: id, outputs, usage }: Answer): readonly string[] {
  const events: string[] = []
  const send = (type: string, fields: Answer): void => {
    events.push(event({ type, ...fields }, type))
  }
  send('conversation.response.started', { conversation_id: id })
  for (const [index, output] of (Array.isArray(outputs) ? outputs : []).entries()) {
    if (!isObject(output)) continue
    const { id: entry, model, agent_id: agent, role } = output
    const place = { output_index: index, content_index: 0, id: entry, model, agent_id: agent, role }
    for (const piece of pieces(contentText(output['content']))) {
      send('message.output.delta', { ...place, content: piece })
    }
  }
  send('conversation.response.done', { usage })
  return events
}
