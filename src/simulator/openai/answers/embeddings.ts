import type { Json, JsonObject } from '../../../core/request.ts'
import { tokensOf, type Endpoint } from '../../endpoint.ts'
import { shortFloat, unitVector } from '../../vector.ts'
import { badRequest } from '../envelope.ts'

const MAX_INPUTS = 2048
const MAX_DIMENSIONS = 3072

export const embeddings: Endpoint = {
  path: '/v1/embeddings',
  defaultModel: undefined,
  check({ input, dimensions, encoding_format: encoding }) {
    if (input === undefined || input === null) {
      return badRequest("Missing required parameter: 'input'.", 'input', 'missing_required_parameter')
    }
    const inputs = inputsOf(input)
    if (inputs.length === 0 || inputs.some((one) => one === '' || (typeof one !== 'string' && !Array.isArray(one)))) {
      return badRequest("'$.input' is invalid. Please check the API reference.", 'input')
    }
    if (inputs.length > MAX_INPUTS) return badRequest(`'$.input' has more than ${MAX_INPUTS} items.`, 'input')
    const size = dimensions ?? 1
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > MAX_DIMENSIONS) {
      return badRequest(`Invalid 'dimensions': expected an integer from 1 to ${MAX_DIMENSIONS}.`, 'dimensions')
    }
    if (encoding !== undefined && encoding !== 'float' && encoding !== 'base64') {
      return badRequest("Invalid 'encoding_format': expected 'float' or 'base64'.", 'encoding_format')
    }
    return undefined
  },
  prompt: ({ input }) => inputsOf(input).map(inputText).join('\n'),
  answer(body, { model }) {
    const inputs = inputsOf(body['input'])
    const encode =
      body['encoding_format'] === 'base64' ? base64 : (vector: Float32Array) => Array.from(vector, shortFloat)
    const tokens = inputs.reduce<number>((sum, input) => sum + inputTokens(input), 0)
    return {
      object: 'list',
      data: inputs.map((input, index) => ({
        object: 'embedding',
        index,
        embedding: encode(unitVector(inputText(input), dimensionsOf(body, model))),
      })),
      model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }
  },
  events: undefined,
}

/** How many texts a row embeds: OpenAI limits these over a whole batch. */
export function embeddingInputs(body: JsonObject): number {
  return inputsOf(body['input']).length
}

/** One string, several, one list of tokens, or several. */
function inputsOf(input: Json | undefined): readonly Json[] {
  if (input === undefined || input === null) return []
  return Array.isArray(input) && typeof input[0] !== 'number' ? input : [input]
}

function inputText(input: Json): string {
  return typeof input === 'string' ? input : JSON.stringify(input)
}

function inputTokens(input: Json): number {
  return Array.isArray(input) ? input.length : tokensOf(inputText(input))
}

function dimensionsOf({ dimensions }: JsonObject, model: string): number {
  if (typeof dimensions === 'number') return dimensions
  return model.startsWith('text-embedding-3-large') ? 3072 : 1536
}

function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
