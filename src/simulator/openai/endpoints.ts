import { chatCompletions } from './answers/chat.ts'
import { completions } from './answers/completions.ts'
import { embeddings } from './answers/embeddings.ts'
import { imageEdits, imageGenerations } from './answers/images.ts'
import { moderations } from './answers/moderations.ts'
import { responses } from './answers/responses.ts'
import type { Endpoint } from '../endpoint.ts'

/** What can be called live and, the same, in a batch. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map(
  [chatCompletions, responses, embeddings, completions, moderations, imageGenerations, imageEdits].map((endpoint) => [
    endpoint.path,
    endpoint,
  ]),
)
