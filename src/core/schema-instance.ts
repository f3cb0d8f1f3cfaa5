import { isObject } from './json.ts'
import { patternInstance } from './pattern-instance.ts'
import type { JsonObject } from './request.ts'

/** Where to stop in a schema that contains itself. */
const MAX_DEPTH = 12

/**
 * The smallest value a JSON schema accepts: required properties only, first alternative, shortest array. Free strings hold `text`
 * (cut to fit), so that an answer can still be told from another. Types may be in capitals and counts in quotation marks, as some providers
 * write them.
 */
export function instanceOf(schema: unknown, text: string): unknown {
  return instance(schema, { root: schema, text }, 0)
}

interface Context {
  readonly root: unknown
  readonly text: string
}

function instance(schema: unknown, context: Context, depth: number): unknown {
  if (!isObject(schema) || depth > MAX_DEPTH) return null
  if (typeof schema['$ref'] === 'string') return instance(resolve(schema['$ref'], context.root), context, depth + 1)
  if ('const' in schema) return schema['const']
  if (Array.isArray(schema['enum'])) return schema['enum'][0]
  for (const union of ['anyOf', 'oneOf']) {
    const choices = schema[union]
    if (Array.isArray(choices)) return instance(simplest(choices, depth), context, depth + 1)
  }
  if (Array.isArray(schema['allOf'])) return instance(merged(schema, schema['allOf'], context.root), context, depth + 1)

  switch (typeOf(schema, depth)) {
    case 'object':
      return objectInstance(schema, context, depth)
    case 'array':
      return arrayInstance(schema, context, depth)
    case 'string':
      return stringInstance(schema, context.text)
    case 'integer':
      return numberInstance(schema, Math.ceil, 1)
    case 'number':
      return numberInstance(schema, (value) => value, 0.5)
    case 'boolean':
      return true
    default:
      return null
  }
}

function typeOf(schema: JsonObject, depth: number): string {
  const type = schema['type']
  if (typeof type === 'string') return type.toLowerCase()
  // Deep down, null ends a recursion that a schema allows to end.
  if (Array.isArray(type))
    return depth > MAX_DEPTH / 2 && type.includes('null') ? 'null' : String(type[0]).toLowerCase()
  if (schema['properties'] !== undefined) return 'object'
  return schema['items'] === undefined ? 'string' : 'array'
}

function simplest(choices: readonly unknown[], depth: number): unknown {
  const nothing = choices.find((choice) => isObject(choice) && typeOf(choice, 0) === 'null')
  return depth > MAX_DEPTH / 2 && nothing !== undefined ? nothing : choices[0]
}

function merged(schema: JsonObject, parts: readonly unknown[], root: unknown): JsonObject {
  const all = [schema, ...parts].map((part) =>
    isObject(part) && typeof part['$ref'] === 'string' ? resolve(part['$ref'], root) : part,
  )
  const schemas = all.filter((part) => isObject(part))
  const properties = Object.assign({}, ...schemas.map((part) => part['properties'] ?? {})) as JsonObject // assign says any
  const required = schemas.flatMap((part) => (Array.isArray(part['required']) ? part['required'] : []))
  const { allOf: _, ...rest } = Object.assign({}, ...schemas.toReversed()) as JsonObject // as above
  return Object.keys(properties).length > 0 ? { ...rest, properties, required } : rest
}

/** Local references only: `#/$defs/Name`. */
function resolve(reference: string, root: unknown): unknown {
  const steps = reference
    .replace(/^#\/?/, '')
    .split('/')
    .filter((step) => step !== '')
  return steps.reduce<unknown>((value, step) => {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    return isObject(value) ? value[name] : undefined
  }, root)
}

function objectInstance(schema: JsonObject, context: Context, depth: number): Record<string, unknown> {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const required = Array.isArray(schema['required']) ? schema['required'].map(String) : []
  return Object.fromEntries(required.map((name) => [name, instance(properties[name], context, depth + 1)]))
}

function arrayInstance(schema: JsonObject, context: Context, depth: number): unknown[] {
  const length = numberAt(schema, 'minItems') ?? 0
  const prefix = Array.isArray(schema['prefixItems']) ? schema['prefixItems'] : []
  return Array.from({ length: Math.max(length, prefix.length) }, (_, index) =>
    instance(prefix[index] ?? schema['items'], context, depth + 1),
  )
}

const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  time: '00:00:00Z',
  duration: 'P1D',
  email: 'someone@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  url: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
}

function stringInstance(schema: JsonObject, text: string): string {
  const { format } = schema
  const pattern = typeof schema['pattern'] === 'string' ? schema['pattern'] : undefined
  const matching = pattern === undefined ? undefined : patternInstance(pattern)
  const formatted = typeof format === 'string' ? FORMATS[format] : undefined
  // Libraries write a format's own pattern beside it; one that asks for something narrower counts.
  const isNarrower = pattern !== undefined && matching !== undefined && !new RegExp(pattern, 'u').test(formatted ?? '')
  if (formatted !== undefined && !isNarrower) return formatted
  const shortest = numberAt(schema, 'minLength') ?? 0
  if (matching !== undefined && matching.length >= shortest) return matching
  const longest = numberAt(schema, 'maxLength') ?? Infinity
  return text.padEnd(shortest, '.').slice(0, longest)
}

function numberInstance(schema: JsonObject, round: (value: number) => number, step: number): number {
  const multiple = numberAt(schema, 'multipleOf')
  const above = numberAt(schema, 'exclusiveMinimum')
  const least = numberAt(schema, 'minimum') ?? (above === undefined ? undefined : above + step)
  const most = numberAt(schema, 'maximum') ?? numberAt(schema, 'exclusiveMaximum')
  const below = numberAt(schema, 'exclusiveMaximum') === undefined ? 0 : step
  const value = round(least ?? Math.min(0, most === undefined ? 0 : most - below))
  return multiple ? Math.ceil(value / multiple) * multiple : value
}

function numberAt(schema: JsonObject, name: string): number | undefined {
  const value = schema[name]
  if (typeof value === 'string' && value !== '' && Number.isFinite(Number(value))) return Number(value)
  return typeof value === 'number' ? value : undefined
}
