import { isObject } from '../../core/json.ts'
import type { Json, JsonObject, Target } from '../../core/request.ts'
import { base64, type Dimensions, dimensionsOf, inputsIn, unitVector } from '../toolkit/stub-embeddings.ts'
import { byCategory } from '../toolkit/stub-moderations.ts'
import { countOf, formattedText, objectsIn, STUB_TEXT, stubId } from '../toolkit/stub-text.ts'
import { forcedTool, openaiForced, openaiTools, stubArguments } from '../toolkit/stub-tools.ts'

/*
 * Mistral's answers, checked against the schemas of `@mistralai/mistralai` 2.7, which refuses what does not fit them.
 */

/** https://docs.mistral.ai/capabilities/embeddings, read 2026-11. */
const DIMENSIONS: Dimensions = [[/^codestral/, 1536]]
const USUAL = 1024

/** https://docs.mistral.ai/capabilities/guardrailing, read 2026-11. */
const CATEGORIES = [
  'sexual',
  'hate_and_discrimination',
  'violence_and_threats',
  'dangerous_and_criminal_content',
  'selfharm',
  'health',
  'financial',
  'law',
  'pii',
]

const USAGE = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }

const STUBS: ReadonlyMap<string, (body: JsonObject) => JsonObject> = new Map([
  ['/v1/embeddings', embeddings],
  ['/v1/moderations', (body) => moderations(body, inputsIn(body.input))],
  ['/v1/chat/moderations', (body) => moderations(body, conversationsIn(body.input))],
  ['/v1/classifications', (body) => classifications(body, inputsIn(body.input))],
  ['/v1/chat/classifications', (body) => classifications(body, conversationsIn(body.input))],
  ['/v1/ocr', ocr],
  ['/v1/audio/transcriptions', transcription],
])

/** An answer of one of Mistral's endpoints; those that are not listed complete a chat, or code. */
export function mistralStub(body: JsonObject, { endpoint }: Target): string {
  return JSON.stringify((STUBS.get(endpoint) ?? completion)(body))
}

function completion(body: JsonObject): JsonObject {
  return {
    id: stubId(''),
    object: 'chat.completion',
    created: 0,
    model: body.model ?? '',
    choices: Array.from({ length: countOf(body.n) }, (_, index) => ({ index, ...said(body) })),
    usage: USAGE,
  }
}

function said(body: JsonObject): JsonObject {
  const results = objectsIn(body.messages).filter(({ role }) => role === 'tool').length
  const tool = forcedTool(openaiTools(body.tools), openaiForced(body.tool_choice), results)
  if (!tool) {
    const message = { role: 'assistant', content: formattedText(body.response_format), tool_calls: null }
    return { message, finish_reason: 'stop' }
  }
  // Ids of its calls are nine letters and digits: a longer one is refused when it comes back.
  const call = { id: stubId('').slice(0, 9), function: { name: tool.name, arguments: stubArguments(tool) }, index: 0 }
  return { message: { role: 'assistant', content: '', tool_calls: [call] }, finish_reason: 'tool_calls' }
}

function embeddings(body: JsonObject): JsonObject {
  const embedding = embeddingOf(body)
  return {
    id: stubId(''),
    object: 'list',
    data: Array.from({ length: inputsIn(body.input) }, (_, index) => ({ object: 'embedding', embedding, index })),
    model: body.model ?? '',
    usage: USAGE,
  }
}

function embeddingOf(body: JsonObject): string | readonly number[] {
  const { model, output_dimension: asked, output_dtype: type = 'float', encoding_format: format } = body
  const dimensions = typeof asked === 'number' ? asked : dimensionsOf(model, DIMENSIONS, USUAL)
  // Of the binary kinds a number holds eight dimensions.
  const isBinary = type === 'binary' || type === 'ubinary'
  const vector = unitVector(isBinary ? Math.ceil(dimensions / 8) : dimensions)
  if (format !== 'base64') return vector
  return base64(type === 'float' ? Float32Array.from(vector) : Uint8Array.from(vector))
}

function moderations(body: JsonObject, inputs: number): JsonObject {
  const result = { categories: byCategory(CATEGORIES, false), category_scores: byCategory(CATEGORIES, 0) }
  return { ...about(body), results: Array.from({ length: inputs }, () => result) }
}

/** Which labels a classifier has only its maker knows. */
function classifications(body: JsonObject, inputs: number): JsonObject {
  const result = { label: { scores: { [STUB_TEXT]: 1 } } }
  return { ...about(body), results: Array.from({ length: inputs }, () => result) }
}

function about({ model }: JsonObject): JsonObject {
  return { id: stubId(''), model: model ?? '', usage: USAGE }
}

/** A list of messages is one conversation; so is `{messages}`, of which there may be a list. */
function conversationsIn(input: Json | undefined): number {
  if (!Array.isArray(input)) return 1
  return input.every((one: Json) => isObject(one) && 'role' in one) ? 1 : input.length
}

function ocr(body: JsonObject): JsonObject {
  const { pages, document_annotation_format: format } = body
  const indexes = Array.isArray(pages) && pages.length > 0 ? pages.map(Number) : [0]
  return {
    pages: indexes.map((index) => ({
      index,
      markdown: STUB_TEXT,
      images: [],
      dimensions: { dpi: 200, height: 2200, width: 1700 },
    })),
    model: body.model ?? 'mistral-ocr-latest',
    document_annotation: isObject(format) ? formattedText(format) : null,
    usage_info: { pages_processed: indexes.length, doc_size_bytes: null },
  }
}

function transcription({ model, language, timestamp_granularities: timed }: JsonObject): JsonObject {
  return {
    model: model ?? '',
    text: STUB_TEXT,
    language: typeof language === 'string' ? language : null,
    segments: Array.isArray(timed) ? [{ type: 'transcription_segment', text: STUB_TEXT, start: 0, end: 1 }] : [],
    usage: { ...USAGE, prompt_audio_seconds: 1 },
  }
}
