import { errorEnvelope } from '../anthropic/envelope.ts'
import { messageEvents } from '../anthropic/message-events.ts'
import { lastUserText, messageOf } from '../anthropic/message.ts'
import type { Endpoint } from '../endpoint.ts'
import { chatCompletions } from '../openai/answers/chat.ts'
import { completions } from '../openai/answers/completions.ts'
import { embeddings } from '../openai/answers/embeddings.ts'
import { responses } from '../openai/answers/responses.ts'

/** Anthropic's messages, served by models of others. */
const messages: Endpoint = {
  path: '/v1/messages',
  defaultModel: undefined,
  check({ messages, max_tokens: limit }) {
    const missing = Array.isArray(messages) ? (typeof limit === 'number' ? undefined : 'max_tokens') : 'messages'
    return missing === undefined
      ? undefined
      : { status: 400, body: { ...errorEnvelope(400, `${missing}: Field required`) } }
  },
  prompt: ({ messages }) => lastUserText(messages),
  answer: messageOf,
  events: messageEvents,
}

/** What can be called live and, the same, in a batch (control-layer 10.13, `batches.allowed_url_paths`). */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map(
  [chatCompletions, completions, embeddings, responses, messages].map((endpoint) => [endpoint.path, endpoint]),
)
