import type { Json, JsonObject } from '../core/request.ts'
import { imageTokens } from './images.ts'
import { isList, isObject } from './json.ts'
import { type CountTokens, estimateTokens } from './tokens.ts'

/** What a request gives a model to read. */
export interface PromptSize {
  readonly tokens: number
  /** Pictures among them, each taken for one of usual size. */
  readonly images: number
  /** What of it nobody can count from here, each kind once. It comes on top. */
  readonly uncounted: readonly string[]
}

/** What stands around each message and each turn. */
const PER_MESSAGE = 4
const PER_REQUEST = 3

/** Fields of a body, of every wire format, that are a conversation or a text. */
const CONVERSATION = [
  'system',
  'systemInstruction',
  'system_instruction',
  'instructions',
  'messages',
  'input',
  'inputs',
  'prompt',
  'suffix',
  'contents',
  'content',
] as const

/** Fields that are given to the model as they are, schemas mostly. */
const STRUCTURES: readonly (readonly string[])[] = [
  ['tools'],
  ['functions'],
  ['response_format', 'json_schema'],
  ['response_format', 'schema'],
  ['text', 'format', 'schema'],
  ['output_format', 'schema'],
  ['output_config', 'format', 'schema'],
  ['generationConfig', 'responseSchema'],
  ['generationConfig', 'responseJsonSchema'],
]

/** Fields that stand for something to be read that is not in the body. */
const ELSEWHERE = Object.entries({
  previous_response_id: 'an earlier response',
  conversation: 'an earlier conversation',
  cachedContent: 'cached content',
  document: 'a document',
  file: 'a file',
  file_id: 'a file',
  file_url: 'a file',
  image: 'an image',
  images: 'an image',
})

/** Within a conversation: what holds text, or further parts. */
const PARTS = [
  'content',
  'text',
  'parts',
  'name',
  'refusal',
  'thinking',
  'reasoning_content',
  'summary',
  'output',
  'arguments',
  'tool_calls',
  'function',
  'function_call',
  'functionCall',
  'functionResponse',
] as const
/** Within a conversation: JSON that a tool was called with, or has answered. */
const VALUES = ['input', 'args', 'response'] as const

/** `type` of a part → what it is. */
const MEDIA: Readonly<Record<string, string>> = {
  image: 'an image',
  image_url: 'an image',
  input_image: 'an image',
  audio: 'audio',
  audio_url: 'audio',
  input_audio: 'audio',
  video: 'video',
  video_url: 'video',
  file: 'a file',
  input_file: 'a file',
  document: 'a document',
  document_url: 'a document',
}

/** How large the prompt of a request is. Looks at the fields of every wire format we know; which one it is does not matter. */
export function promptSize(body: JsonObject, provider: string, count: CountTokens = estimateTokens): PromptSize {
  const uncounted = new Set<string>()
  let images = 0

  function structure(value: Json | undefined): number {
    return value === undefined || value === null ? 0 : count(JSON.stringify(value))
  }

  function media(kind: string, detail: Json | undefined): number {
    const tokens = kind === 'an image' ? imageTokens(provider, detail) : undefined
    if (tokens === undefined) uncounted.add(kind)
    else images += 1
    return tokens ?? 0
  }

  function conversation(value: Json | undefined): number {
    if (typeof value === 'string') return count(value)
    if (isList(value)) {
      // Tokens that the caller has made already, for embeddings and completions.
      if (typeof value[0] === 'number') return value.length
      return value.reduce<number>((sum, each) => sum + conversation(each), 0)
    }
    return isObject(value) ? part(value) : 0
  }

  function part(value: JsonObject): number {
    const kind = mediaOf(value)
    if (kind !== undefined) return textOfDocument(value) ?? media(kind, detailOf(value))
    let tokens = value.role === undefined ? 0 : PER_MESSAGE
    for (const field of PARTS) if (field in value) tokens += conversation(value[field])
    for (const field of VALUES) if (field in value) tokens += structure(value[field])
    return tokens
  }

  /** A document may be text that stands in the request. */
  function textOfDocument({ source }: JsonObject): number | undefined {
    if (!isObject(source)) return undefined
    if (source.type === 'text' && typeof source.data === 'string') return count(source.data)
    return source.type === 'content' ? conversation(source.content) : undefined
  }

  function bodyTokens(from: JsonObject): number {
    let tokens = PER_REQUEST
    for (const field of CONVERSATION) if (field in from) tokens += conversation(from[field])
    for (const path of STRUCTURES) tokens += structure(path.reduce(fieldOf, from))
    for (const [field, what] of ELSEWHERE) {
      const value = from[field]
      if (value !== undefined && value !== null) uncounted.add(what)
    }
    return tokens
  }

  // Some requests are several: one text to be embedded each.
  const { requests } = body
  const several = isList(requests) ? requests.filter(isObject) : []
  const tokens = [body, ...several].reduce((sum, each) => sum + bodyTokens(each), 0)
  return { tokens, images, uncounted: [...uncounted] }
}

function mediaOf(part: JsonObject): string | undefined {
  const { type } = part
  if (typeof type === 'string' && Object.hasOwn(MEDIA, type)) return MEDIA[type]
  const data = part['inlineData'] ?? part['inline_data'] ?? part['fileData'] ?? part['file_data']
  if (!isObject(data)) return undefined
  const mimeType = data['mimeType'] ?? data['mime_type']
  const [family] = typeof mimeType === 'string' ? mimeType.split('/') : []
  return { image: 'an image', audio: 'audio', video: 'video' }[family ?? ''] ?? 'a file'
}

function detailOf({ detail, image_url: image }: JsonObject): Json | undefined {
  return detail ?? (isObject(image) ? image['detail'] : undefined)
}

function fieldOf(value: Json | undefined, field: string): Json | undefined {
  return isObject(value) ? value[field] : undefined
}
