import type { Json, JsonObject } from '../../core/request.ts'
import { memberText, replaceMember } from '../toolkit/json-text.ts'
import { toResponseSchema } from './response-schema.ts'

/**
 * In a batch `responseJsonSchema` is taken and then not kept to: 0 of 502 answers had the right shape, while `responseSchema` worked and the live
 * endpoint is right with both [crmne/ruby_llm#894, August 2026; Google says nothing]. `convert`: the schema is sent as `responseSchema`, and what
 * does not fit there goes live. `live`: every call with such a schema goes live. `send`: as it is.
 */
export type JsonSchemaSetting = 'convert' | 'live' | 'send'

// Google's JSON takes both spellings of a name; the field with the underscore is an older door to the same thing [v1beta discovery document].
const CONFIG = ['generationConfig', 'generation_config']
const JSON_SCHEMA = ['responseJsonSchema', 'response_json_schema', '_responseJsonSchema']
const SCHEMA = ['responseSchema', 'response_schema']
const FORMAT = ['responseFormat', 'response_format']
/** What a body with any of them has somewhere in its text, unless somebody has escaped its letters. */
const MAYBE_JSON_SCHEMA = /esponse_?[Jj]son_?[Ss]chema|\\u/

/** Why a body's schema keeps it out of a batch; undefined when it does not. */
export function refuseSchema(body: JsonObject, setting: JsonSchemaSetting): string | undefined {
  if (setting === 'send') return undefined
  const config = memberOf(body, CONFIG)
  if (!isObject(config)) return undefined
  // generateContent of the SDK does not send it; whoever writes the body by hand may [types of @google/genai 3.1, GenerationConfig].
  if ([memberOf(config, FORMAT) ?? []].flat().some((format) => isObject(format) && hasSchema(format['text']))) {
    return 'responseFormat holds a JSON schema, which batches are reported not to keep to'
  }
  const schema = memberOf(config, JSON_SCHEMA)
  if (schema === undefined) return undefined
  if (setting === 'live') return 'responseJsonSchema is reported not to be kept to in batches'
  if (memberOf(config, SCHEMA) !== undefined) return 'it has both responseSchema and responseJsonSchema'
  const converted = toResponseSchema(schema)
  return converted.kind === 'fits'
    ? undefined
    : `responseJsonSchema is reported not to be kept to in batches, and this one does not fit responseSchema: ${converted.reason}`
}

/** The body's text with its `responseJsonSchema`, where it has one that fits, as a `responseSchema`. */
export function withResponseSchema(body: string): string {
  if (!MAYBE_JSON_SCHEMA.test(body)) return body
  let text = body
  for (const config of CONFIG) {
    for (const name of JSON_SCHEMA) text = replaced(text, [config, name])
  }
  return text
}

/** Of duplicates each is replaced: the last one counts, before and after. */
function replaced(text: string, path: readonly string[]): string {
  const written = memberText(text, path)
  if (written === undefined || written === 'null') return text
  const converted = toResponseSchema(JSON.parse(written))
  if (converted.kind === 'unfit') return text
  const by = { name: 'responseSchema', value: JSON.stringify(converted.schema) }
  const done = replaceMember(text, path, by)
  return done === undefined ? text : replaced(done, path)
}

function memberOf(object: JsonObject, names: readonly string[]): Json | undefined {
  for (const name of names) {
    const found = object[name]
    if (found !== undefined && found !== null) return found
  }
  return undefined
}

function hasSchema(text: Json | undefined): boolean {
  return isObject(text) && text['schema'] !== undefined && text['schema'] !== null
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
