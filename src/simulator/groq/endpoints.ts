import type { Answer, Endpoint } from '../endpoint.ts'
import { audioEndpoint } from '../openai-like/audio.ts'
import { reworded } from '../openai-like/reword.ts'
import { chatCompletions } from '../openai/answers/chat.ts'
import { embeddings } from '../openai/answers/embeddings.ts'
import { groqError } from './envelope.ts'

const chat = groqEndpoint(chatCompletions)

/** What can be called live. Paths are those a batch names, without the `/openai` of its URL. */
export const LIVE: ReadonlyMap<string, Endpoint> = byPath([
  chat,
  reworded(embeddings, { error: groqError }),
  ...audio(['file', 'url']),
])

/** What a batch can hold; audio only by URL (groq-sdk 1.6: "the file field is not supported in Batch API requests"). */
export const BATCHABLE: ReadonlyMap<string, Endpoint> = byPath([chat, ...audio(['url'])])

function audio(sources: readonly ('file' | 'url')[]): readonly Endpoint[] {
  return (['/v1/audio/transcriptions', '/v1/audio/translations'] as const).map((path) =>
    groqEndpoint(audioEndpoint({ path, sources, defaultModel: undefined })),
  )
}

function groqEndpoint(endpoint: Endpoint): Endpoint {
  const named = reworded(endpoint, { error: groqError })
  return { ...named, answer: (body, context) => withId(named.answer(body, context), context.digest) }
}

function withId(answer: Answer, digest: string): Answer {
  return { ...answer, x_groq: { id: `req_${digest}` } }
}

function byPath(endpoints: readonly Endpoint[]): ReadonlyMap<string, Endpoint> {
  return new Map(endpoints.map((endpoint) => [endpoint.path, endpoint]))
}
