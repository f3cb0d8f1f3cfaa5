import type { JsonObject } from '../../../core/request.ts'
import type { Endpoint } from '../../endpoint.ts'
import { shortFloat, unitVector } from '../../vector.ts'
import { checkFields, isAnything, isTextOrTexts, type Fields } from '../check-fields.ts'
import { invalid } from '../envelope.ts'
import { textsOf } from './inputs.ts'
import { usageOf } from './usage.ts'

/** `EmbeddingRequest` of the SDK 2.7. */
const FIELDS: Fields = {
  required: { model: isAnything, input: isTextOrTexts },
  optional: ['encoding_format', 'metadata', 'output_dimension', 'output_dtype'],
}
const MAX_DIMENSION = 3072

export const embeddings: Endpoint = {
  path: '/v1/embeddings',
  defaultModel: undefined,
  check(body) {
    const problem = checkFields(body, FIELDS)
    if (problem) return problem
    const size = body['output_dimension'] ?? 1
    if (typeof size === 'number' && Number.isInteger(size) && size >= 1 && size <= MAX_DIMENSION) return undefined
    const msg = `Input should be an integer from 1 to ${MAX_DIMENSION}`
    return invalid({ type: 'value_error', loc: ['body', 'output_dimension'], msg, input: size })
  },
  prompt: ({ input }) => textsOf(input).join('\n'),
  answer(body, { digest, model }) {
    const texts = textsOf(body['input'])
    const encode = encoderOf(body)
    return {
      id: digest,
      object: 'list',
      data: texts.map((text, index) => ({
        object: 'embedding',
        embedding: encode(unitVector(text, dimensionOf(body, model))),
        index,
      })),
      model,
      usage: usageOf(texts.join(''), ''),
    }
  },
  events: undefined,
}

function dimensionOf({ output_dimension: asked }: JsonObject, model: string): number {
  if (typeof asked === 'number') return asked
  return model.startsWith('codestral') ? 1536 : 1024
}

const LARGEST_BYTE = 127

/** Floats, or whole numbers of eight bits; base64 of either where that is asked for. */
function encoderOf(body: JsonObject): (vector: Float32Array) => readonly number[] | string {
  const dtype = body['output_dtype'] ?? 'float'
  const toBytes = (vector: Float32Array): readonly number[] =>
    Array.from(vector, (value) => Math.round(value * LARGEST_BYTE) + (dtype === 'uint8' ? LARGEST_BYTE + 1 : 0))
  if (body['encoding_format'] !== 'base64') {
    return (vector) => (dtype === 'float' ? Array.from(vector, shortFloat) : toBytes(vector))
  }
  return (vector) =>
    dtype === 'float'
      ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
      : Buffer.from(toBytes(vector).map((value) => value & 0xff)).toString('base64')
}
