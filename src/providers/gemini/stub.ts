import { isObject } from '../../core/json.ts'
import type { Json, JsonObject, Target } from '../../core/request.ts'
import { type Dimensions, dimensionsOf, unitVector } from '../toolkit/stub-embeddings.ts'
import { PIXEL } from '../toolkit/stub-images.ts'
import { countOf, instanceText, objectsIn, STUB_TEXT, stubId } from '../toolkit/stub-text.ts'
import { type Forced, forcedTool, type StubTool } from '../toolkit/stub-tools.ts'

/** https://ai.google.dev/gemini-api/docs/embeddings, read 2026-11; the older models by their model pages. */
const DIMENSIONS: Dimensions = [[/^(?:text-embedding-00\d|embedding-00\d)/, 768]]
const USUAL = 3072

/** A hundredth of a second of silence: 16 bits, 24 kHz. */
const SILENCE = Buffer.alloc(480).toString('base64')

/** An answer of one of Gemini's methods. Google's JSON takes names in both spellings, and so do these. */
export function geminiStub(body: JsonObject, { endpoint, model = '' }: Target): string {
  if (endpoint === 'embedContent') return JSON.stringify({ embedding: embeddingOf(body, model) })
  if (endpoint === 'batchEmbedContents') {
    return JSON.stringify({ embeddings: objectsIn(body.requests).map((request) => embeddingOf(request, model)) })
  }
  return JSON.stringify(contentStub(body, model))
}

function embeddingOf(request: JsonObject, model: string): JsonObject {
  const config = objectAt(request, 'embedContentConfig', 'embed_content_config')
  const asked = [request, config]
    .map((from) => memberOf(from, 'outputDimensionality', 'output_dimensionality'))
    .find((value) => typeof value === 'number')
  return { values: unitVector(typeof asked === 'number' ? asked : dimensionsOf(model, DIMENSIONS, USUAL)) }
}

function contentStub(body: JsonObject, model: string): JsonObject {
  const config = objectAt(body, 'generationConfig', 'generation_config')
  const candidates = countOf(memberOf(config, 'candidateCount', 'candidate_count'))
  return {
    candidates: Array.from({ length: candidates }, (_, index) => ({
      content: { parts: partsOf(body, config), role: 'model' },
      finishReason: 'STOP',
      index,
    })),
    usageMetadata: { promptTokenCount: 0, candidatesTokenCount: 0, totalTokenCount: 0 },
    modelVersion: model,
    responseId: stubId(''),
  }
}

function partsOf(body: JsonObject, config: JsonObject): readonly JsonObject[] {
  const tool = forcedTool(toolsOf(body), forcedBy(body), resultsIn(body))
  if (tool) {
    const args: Json = JSON.parse(instanceText(tool.schema))
    return [{ functionCall: { id: stubId(''), name: tool.name, args } }]
  }
  const modalities = memberOf(config, 'responseModalities', 'response_modalities')
  const wanted = Array.isArray(modalities) ? modalities.map(upperCase) : []
  if (wanted.includes('AUDIO')) return [{ inlineData: { mimeType: 'audio/L16;codec=pcm;rate=24000', data: SILENCE } }]
  const picture = { inlineData: { mimeType: 'image/png', data: PIXEL } }
  return wanted.includes('IMAGE') ? [{ text: STUB_TEXT }, picture] : [{ text: textOf(config) }]
}

function textOf(config: JsonObject): string {
  const type = memberOf(config, 'responseMimeType', 'response_mime_type')
  const schema =
    memberOf(config, 'responseJsonSchema', 'response_json_schema') ??
    config['_responseJsonSchema'] ??
    memberOf(config, 'responseSchema', 'response_schema')
  if (type === 'text/x.enum') return String(JSON.parse(instanceText(schema)))
  return schema !== undefined || type === 'application/json' ? instanceText(schema) : STUB_TEXT
}

function toolsOf({ tools }: JsonObject): readonly StubTool[] {
  return objectsIn(tools)
    .flatMap((tool) => objectsIn(memberOf(tool, 'functionDeclarations', 'function_declarations')))
    .flatMap((declared): StubTool[] => {
      const schema = memberOf(declared, 'parametersJsonSchema', 'parameters_json_schema') ?? declared['parameters']
      return typeof declared.name === 'string' ? [{ kind: 'function', name: declared.name, schema }] : []
    })
}

function forcedBy(body: JsonObject): Forced {
  const config = objectAt(
    objectAt(body, 'toolConfig', 'tool_config'),
    'functionCallingConfig',
    'function_calling_config',
  )
  const allowed = memberOf(config, 'allowedFunctionNames', 'allowed_function_names')
  if (upperCase(config['mode']) !== 'ANY') return 'nothing'
  return { names: Array.isArray(allowed) ? allowed.map(String) : [] }
}

function resultsIn({ contents }: JsonObject): number {
  const parts = objectsIn(contents).flatMap((content) => objectsIn(content['parts']))
  return parts.filter((part) => memberOf(part, 'functionResponse', 'function_response') !== undefined).length
}

/** Names of Google's enumerations, which some write in small letters. */
function upperCase(word: Json | undefined): string {
  return typeof word === 'string' ? word.toUpperCase() : ''
}

function memberOf(object: JsonObject, name: string, otherwise: string): Json | undefined {
  return object[name] ?? object[otherwise] ?? undefined
}

function objectAt(object: JsonObject, name: string, otherwise: string): JsonObject {
  const value = memberOf(object, name, otherwise)
  return isObject(value) ? value : {}
}
