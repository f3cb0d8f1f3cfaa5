import type { Json } from '../../core/request.ts'
import { isObject } from '../json.ts'

/** Names of a schema that hold 64-bit numbers, which travel as text. */
const COUNTS = new Set(['minItems', 'maxItems', 'minLength', 'maxLength', 'minProperties', 'maxProperties'])

/** Gemini's own schema (types in capitals, counts as text) as the JSON schema that says the same. */
export function jsonSchemaOf(schema: Json | undefined): Json {
  if (!isObject(schema)) return null
  return Object.fromEntries(Object.entries(schema).map(([name, held]) => [name, translated(name, held ?? null)]))
}

function translated(name: string, held: Json): Json {
  if (name === 'type' && typeof held === 'string') return held.toLowerCase()
  if (name === 'items') return jsonSchemaOf(held)
  if (name === 'anyOf' && Array.isArray(held)) return held.map((choice: Json) => jsonSchemaOf(choice))
  if (name === 'properties' && isObject(held)) {
    return Object.fromEntries(Object.entries(held).map(([property, schema]) => [property, jsonSchemaOf(schema)]))
  }
  return COUNTS.has(name) && typeof held === 'string' ? Number(held) : held
}
