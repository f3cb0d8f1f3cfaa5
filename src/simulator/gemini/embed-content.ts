import type { JsonObject } from '../../core/request.ts'
import { contentText, tokensOf, type Answer, type Endpoint, type RowError } from '../endpoint.ts'
import { isObject } from '../json.ts'
import { shortFloat, unitVector } from '../vector.ts'
import { errorBody } from './envelope.ts'
import type { Way } from './generate-content.ts'

const MAX_DIMENSIONS = 3072

/** Bodies have been read by `readMessage`: their names are camelCase, their lists are lists. */
export function embedContent(model: string, way: Way): Endpoint {
  return {
    path: `models/${model}:embedContent`,
    defaultModel: model,
    check: checkBody,
    prompt: promptOf,
    answer(body) {
      const embedding = embeddingOf(body, model)
      const tokens = tokensOf(promptOf(body))
      // The types of @google/genai 3.1.0 count a batch row's tokens in one place, and a live call's in another.
      return way === 'batch'
        ? { embedding, tokenCount: String(tokens) }
        : { embedding, usageMetadata: { promptTokenCount: tokens } }
    },
    events: undefined,
  }
}

function promptOf({ content }: JsonObject): string {
  return isObject(content) ? contentText(content['parts']) : ''
}

function embeddingOf(body: JsonObject, model: string): Answer {
  const { outputDimensionality: asked } = body
  const usual = model.startsWith('gemini-') ? 3072 : 768
  const dimensions = asked === undefined ? usual : Number(asked)
  return { values: Array.from(unitVector(promptOf(body), dimensions), shortFloat) }
}

function checkBody({ content, outputDimensionality: asked }: JsonObject): RowError | undefined {
  const parts = isObject(content) ? content['parts'] : undefined
  if (!Array.isArray(parts) || parts.length === 0) {
    return invalid('* EmbedContentRequest.content: contents is not specified')
  }
  if (asked === undefined) return undefined
  const dimensions = Number(asked)
  return Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= MAX_DIMENSIONS
    ? undefined
    : invalid(`* EmbedContentRequest.output_dimensionality: must be in the range [1, ${MAX_DIMENSIONS}]`)
}

function invalid(message: string): RowError {
  return { status: 400, body: errorBody(400, message) }
}
