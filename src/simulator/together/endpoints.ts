import type { Endpoint } from '../endpoint.ts'
import { audioEndpoint } from '../openai-like/audio.ts'
import { chatCompletions } from '../openai/answers/chat.ts'
import { embeddings } from '../openai/answers/embeddings.ts'

const chat: Endpoint = {
  ...chatCompletions,
  answer: (body, context) => ({ ...chatCompletions.answer(body, context), prompt: [] }),
}

const audio = (['/v1/audio/transcriptions', '/v1/audio/translations'] as const).map((path) =>
  audioEndpoint({ path, sources: ['file'], defaultModel: 'openai/whisper-large-v3' }),
)

/** What can be called live and, the same, in a batch (together-ai 0.52, `BatchCreateParams`). */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map(
  [chat, ...audio].map((endpoint) => [endpoint.path, endpoint]),
)

/** What can be called live only: no batch takes embeddings (as above). */
export const LIVE_ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([...ENDPOINTS, [embeddings.path, embeddings]])
