import type { Json, JsonObject } from '../../core/request.ts'
import {
  answerText,
  contentText,
  event,
  pieces,
  tokensOf,
  type Answer,
  type AnswerContext,
  type Endpoint,
  type RowError,
} from '../endpoint.ts'
import { isObject } from '../json.ts'
import { instanceOf } from '../../core/schema-instance.ts'
import { errorBody } from './envelope.ts'

/** Where a request is executed: a batch does not do everything that a live call does. */
export type Way = 'live' | 'batch'

/** Bodies have been read by `readMessage`: their names are camelCase, their lists are lists. */
export function generateContent(model: string, way: Way): Endpoint {
  return {
    path: `models/${model}:generateContent`,
    defaultModel: model,
    check: checkBody,
    prompt: ({ contents }) => lastUserText(contents),
    answer: (body, context) => answerBody(body, context, way),
    events: (answer) => streamed(answer).map((chunk) => event(chunk)),
  }
}

/** The same answer in the pieces in which a stream would bring it; the last says what it used. */
export function streamed({ candidates, usageMetadata, ...head }: Answer): readonly Answer[] {
  const list: readonly unknown[] = Array.isArray(candidates) ? candidates : []
  const chunks = list.flatMap(candidateChunks)
  return chunks.map((chunk, index) =>
    Object.assign({ candidates: [chunk] }, index === chunks.length - 1 ? { usageMetadata } : {}, head),
  )
}

function candidateChunks(candidate: unknown): readonly Answer[] {
  if (!isObject(candidate) || !isObject(candidate['content'])) return []
  const { content, finishReason, index } = candidate
  const parts = splitParts(content['parts'])
  return parts.map((part, place) =>
    Object.assign(
      { content: { parts: [part], role: 'model' }, index },
      place === parts.length - 1 ? { finishReason } : {},
    ),
  )
}

function splitParts(parts: Json | undefined): readonly Json[] {
  if (!Array.isArray(parts)) return []
  return parts.flatMap((part: Json) =>
    isObject(part) && typeof part['text'] === 'string' ? pieces(part['text']).map((text) => ({ text })) : [part],
  )
}

/** What Gemini finds wrong with the values of a request [wording: error reports in googleapis/js-genai and python-genai]. */
function checkBody(body: JsonObject): RowError | undefined {
  const { contents, toolConfig } = body
  if (!Array.isArray(contents) || contents.length === 0) {
    return invalid('* GenerateContentRequest.contents: contents is not specified')
  }
  for (const content of contents) {
    const role: unknown = isObject(content) ? (content['role'] ?? 'user') : undefined
    if (role !== 'user' && role !== 'model') return invalid('Please use a valid role: user, model.')
  }
  const calling = isObject(toolConfig) ? toolConfig['functionCallingConfig'] : undefined
  if (isObject(calling) && calling['mode'] === 'ANY' && functionsOf(body).length === 0) {
    return invalid('Function calling config is set without function_declarations.')
  }
  return checkConfig(isObject(body['generationConfig']) ? body['generationConfig'] : {})
}

function checkConfig(config: JsonObject): RowError | undefined {
  const { candidateCount, temperature, responseSchema, responseJsonSchema, responseMimeType } = config
  const place = '* GenerateContentRequest.generation_config'
  if (candidateCount !== undefined && !(Number(candidateCount) >= 1 && Number(candidateCount) <= 8)) {
    return invalid(`${place}.candidate_count: must be in the range [1, 8]`)
  }
  if (temperature !== undefined && !(Number(temperature) >= 0 && Number(temperature) <= 2)) {
    return invalid(`${place}.temperature: must be in the range [0.0, 2.0]`)
  }
  const schemas = [responseSchema, responseJsonSchema].filter((schema) => schema !== undefined)
  if (schemas.length > 1) return invalid(`${place}: only one of response_schema and response_json_schema may be set`)
  if (schemas.length > 0 && responseMimeType !== 'application/json' && responseMimeType !== 'text/x.enum') {
    return invalid(`${place}.response_mime_type: must be 'application/json' or 'text/x.enum' when a schema is set`)
  }
  return undefined
}

function invalid(message: string): RowError {
  return { status: 400, body: errorBody(400, message) }
}

function answerBody(body: JsonObject, context: AnswerContext, way: Way): Answer {
  const config = isObject(body['generationConfig']) ? body['generationConfig'] : {}
  const { parts, text } = spoken(body, config, context, way)
  const candidates = Math.max(1, Number(config['candidateCount'] ?? 1))
  const promptTokens = tokensOf(conversationText(body))
  const answerTokens = tokensOf(text) * candidates
  return {
    candidates: Array.from({ length: candidates }, (_, index) => ({
      content: { parts, role: 'model' },
      finishReason: 'STOP',
      index,
    })),
    usageMetadata: {
      promptTokenCount: promptTokens,
      candidatesTokenCount: answerTokens,
      totalTokenCount: promptTokens + answerTokens,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: promptTokens }],
    },
    modelVersion: context.model,
    responseId: context.digest,
  }
}

interface Spoken {
  readonly parts: readonly Json[]
  readonly text: string
}

function spoken(body: JsonObject, config: JsonObject, { digest, wantsTool }: AnswerContext, way: Way): Spoken {
  const called = chosenFunction(body, wantsTool)
  if (called) {
    const instance = instanceOf(called.schema, digest)
    const args: JsonObject = isObject(instance) ? instance : {}
    return { parts: [{ functionCall: { name: called.name, args } }], text: JSON.stringify(args) }
  }
  const text = formatted(config, answerText(digest, lastUserText(body['contents'])), way)
  return { parts: [{ text }], text }
}

function formatted(config: JsonObject, text: string, way: Way): string {
  const { responseMimeType, responseSchema, responseJsonSchema } = config
  // Batches answer past a responseJsonSchema [crmne/ruby_llm#894: 0 of 502 rows right, while responseSchema and live calls were].
  if (responseJsonSchema !== undefined) {
    return way === 'batch' ? text : JSON.stringify(instanceOf(responseJsonSchema, text))
  }
  if (responseSchema !== undefined) {
    const instance = instanceOf(responseSchema, text)
    return responseMimeType === 'text/x.enum' && typeof instance === 'string' ? instance : JSON.stringify(instance)
  }
  return responseMimeType === 'application/json' ? JSON.stringify({ answer: text }) : text
}

interface Callable {
  readonly name: string
  readonly schema: Json
}

function functionsOf({ tools }: JsonObject): readonly Callable[] {
  if (!Array.isArray(tools)) return []
  return tools.flatMap((tool: Json) => {
    const declared = isObject(tool) ? tool['functionDeclarations'] : undefined
    return Array.isArray(declared) ? declared.flatMap(callable) : []
  })
}

function callable(declared: Json): readonly Callable[] {
  if (!isObject(declared) || typeof declared['name'] !== 'string') return []
  const { name, parameters, parametersJsonSchema } = declared
  return [{ name, schema: parametersJsonSchema ?? parameters ?? null }]
}

/** The function a model would call here: one it must call, or the first when the request asks for a call. */
function chosenFunction(body: JsonObject, wantsTool: boolean): Callable | undefined {
  const config = isObject(body['toolConfig']) ? body['toolConfig']['functionCallingConfig'] : undefined
  const { mode, allowedFunctionNames } = isObject(config) ? config : {}
  const allowed = Array.isArray(allowedFunctionNames) ? allowedFunctionNames : []
  const calls = mode === 'ANY' || (mode !== 'NONE' && wantsTool && !endsInFunctionResponse(body['contents']))
  if (!calls) return undefined
  return functionsOf(body).find(({ name }) => allowed.length === 0 || allowed.includes(name))
}

function endsInFunctionResponse(contents: Json | undefined): boolean {
  const last: unknown = Array.isArray(contents) ? contents.at(-1) : undefined
  const parts: unknown = isObject(last) ? last['parts'] : undefined
  return Array.isArray(parts) && parts.some((part: unknown) => isObject(part) && part['functionResponse'] !== undefined)
}

function lastUserText(contents: Json | undefined): string {
  if (!Array.isArray(contents)) return ''
  const texts = contents.flatMap((content: Json) =>
    isObject(content) && (content['role'] ?? 'user') === 'user' ? [contentText(content['parts'])] : [],
  )
  return texts.findLast((text) => text !== '') ?? ''
}

function conversationText({ contents, systemInstruction }: JsonObject): string {
  const all = [systemInstruction, ...(Array.isArray(contents) ? contents : [])]
  return all.map((content) => (isObject(content) ? contentText(content['parts']) : '')).join('\n')
}
