import type { JsonObject, Target } from '../../core/request.ts'
import { chatStub } from './stub-chat.ts'
import { completionsStub } from './stub-completions.ts'
import { embeddingsStub } from './stub-embeddings.ts'
import { imagesStub } from './stub-images.ts'
import { moderationsStub } from './stub-moderations.ts'
import { responsesStub } from './stub-responses.ts'
import { transcriptStub } from './stub-transcript.ts'

const STUBS: ReadonlyMap<string, (body: JsonObject, endpoint: string) => JsonObject> = new Map([
  ['/v1/responses', responsesStub],
  ['/v1/embeddings', embeddingsStub],
  ['/v1/completions', completionsStub],
  ['/v1/moderations', moderationsStub],
  ['/v1/images/generations', imagesStub],
  ['/v1/images/edits', imagesStub],
  ['/v1/audio/transcriptions', transcriptStub],
  ['/v1/audio/translations', transcriptStub],
])

/** An answer of OpenAI's, as its endpoint would give it. */
export function openaiStub(body: JsonObject, { endpoint }: Target): string {
  return JSON.stringify((STUBS.get(endpoint) ?? chatStub)(body, endpoint))
}
