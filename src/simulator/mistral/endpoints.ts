import type { Endpoint } from '../endpoint.ts'
import { chatCompletions } from './answers/chat.ts'
import { chatClassifications, classifications } from './answers/classifications.ts'
import { conversations } from './answers/conversations.ts'
import { embeddings } from './answers/embeddings.ts'
import { fimCompletions } from './answers/fim.ts'
import { chatModerations, moderations } from './answers/moderations.ts'
import { ocr } from './answers/ocr.ts'
import { transcriptions } from './answers/transcriptions.ts'
import { invalidModel } from './envelope.ts'
import { isModel } from './models.ts'

const ALL = [
  chatCompletions,
  embeddings,
  fimCompletions,
  moderations,
  chatModerations,
  ocr,
  classifications,
  chatClassifications,
  conversations,
  transcriptions,
]

export type Endpoints = ReadonlyMap<string, Endpoint>

/** What can be called live and, the same, in a batch (`ApiEndpoint` of the SDK 2.7). */
export function endpointsFor(models: readonly string[]): Endpoints {
  return new Map(ALL.map((endpoint) => [endpoint.path, withModels(endpoint, models)]))
}

function withModels(endpoint: Endpoint, models: readonly string[]): Endpoint {
  return {
    ...endpoint,
    check(body) {
      const problem = endpoint.check(body)
      const model = body['model'] ?? endpoint.defaultModel
      if (problem || (typeof model === 'string' && isModel(model, models))) return problem
      return invalidModel(typeof model === 'string' ? model : '')
    },
  }
}
