import { isObject } from '../../core/json.ts'
import type { Json, JsonObject } from '../../core/request.ts'
import { instanceOf } from '../../core/schema-instance.ts'

/** What a stub says where any text will do. */
export const STUB_TEXT = 'dry run'

/** A stub used nothing; a program that adds usage up is not told otherwise. */
export const OPENAI_USAGE = {
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
} as const

/** No two stubs have the same: programs keep what they get by its id. */
export function stubId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll('-', '')
}

/** JSON text of the smallest value a schema accepts; any object where there is no schema. */
export function instanceText(schema: Json | undefined): string {
  return JSON.stringify(schema === undefined || schema === null ? {} : (instanceOf(schema, STUB_TEXT) ?? null))
}

/** Text as `response_format` wants it: any, JSON, or JSON of a schema, which stands in one of two places. */
export function formattedText(format: Json | undefined): string {
  if (!isObject(format) || (format.type !== 'json_schema' && format.type !== 'json_object')) return STUB_TEXT
  const { json_schema: named, schema } = format
  return instanceText(isObject(named) ? named.schema : schema)
}

/** A count that a request may ask for; 1 where it does not. */
export function countOf(value: Json | undefined): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : 1
}

export function objectsIn(list: Json | undefined): readonly JsonObject[] {
  return Array.isArray(list) ? list.filter(isObject) : []
}
