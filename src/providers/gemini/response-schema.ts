import type { JsonObject } from '../../core/request.ts'

/*
 * JSON Schema → the OpenAPI subset that `responseSchema` takes. Nothing that `responseJsonSchema` would have enforced is lost: what cannot be
 * said there makes the schema unfit. What it does not enforce either is left out. Sources: the list of supported properties at
 * ai.google.dev/api/generate-content (GenerationConfig.responseJsonSchema, Schema), the type `Schema` of @google/genai 3.1, and
 * googleapis/js-genai#708 (an object must name its properties). The order of properties is kept as responseJsonSchema keeps it.
 */

export type Conversion =
  | { readonly kind: 'fits'; readonly schema: JsonObject }
  | { readonly kind: 'unfit'; readonly reason: string }

type Node = { readonly [key: string]: unknown }

/** Words that `responseJsonSchema` is not documented to enforce, or that only serve references. */
const LEFT_OUT = wordsIn(`
  $schema $id $comment $anchor $defs definitions id
  minLength maxLength pattern contentEncoding contentMediaType
  exclusiveMinimum exclusiveMaximum multipleOf uniqueItems propertyNames minProperties maxProperties
  default example examples deprecated readOnly writeOnly`)
const ABOUT = wordsIn('title description')
const CONVERTED = wordsIn(`
  type enum const format minimum maximum items minItems maxItems
  properties required propertyOrdering additionalProperties anyOf oneOf`)

/** Others make requests fail at AI Studio, or mean nothing there [types of Firebase AI Logic, SchemaInterface.format]. */
const FORMATS: Readonly<Record<string, readonly string[]>> = {
  string: ['date-time', 'enum'],
  integer: ['int32', 'int64'],
  number: ['float', 'double'],
}
/** Enforced in JSON Schema, and not to be said otherwise [ai.google.dev/gemini-api/docs/structured-output]. */
const FORMATS_LOST = wordsIn('date time')

/** References are written out; a schema that grows beyond this is not worth it. */
const MOST_NODES = 2000

class Unfit extends Error {}

export function toResponseSchema(schema: unknown): Conversion {
  try {
    return { kind: 'fits', schema: new Converter(schema).convert(schema, []) }
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    return { kind: 'unfit', reason: error.message }
  }
}

class Converter {
  readonly #root: unknown
  #nodes = 0

  constructor(root: unknown) {
    this.#root = root
  }

  /** `within`: the references that led here. */
  convert(node: unknown, within: readonly string[]): JsonObject {
    this.#nodes += 1
    if (this.#nodes > MOST_NODES) throw new Unfit('it is too large with its references written out')
    if (!isNode(node)) throw new Unfit('a part of it allows anything')
    if (typeof node['$ref'] === 'string') return this.#reference(node['$ref'], node, within)
    for (const word of Object.keys(node)) {
      if (!CONVERTED.has(word) && !ABOUT.has(word) && !LEFT_OUT.has(word)) throw new Unfit(`it says "${word}"`)
    }
    if (node['anyOf'] !== undefined || node['oneOf'] !== undefined) return this.#choice(node, within)
    return this.#typed(node, within)
  }

  #reference(reference: string, node: Node, within: readonly string[]): JsonObject {
    const beside = Object.keys(node).find((word) => word !== '$ref' && !ABOUT.has(word) && !LEFT_OUT.has(word))
    if (beside !== undefined) throw new Unfit(`it says "${beside}" beside a reference`)
    if (within.includes(reference)) throw new Unfit(`it refers to itself (${reference})`)
    return { ...this.convert(this.#resolve(reference), [...within, reference]), ...aboutOf(node) }
  }

  #resolve(reference: string): unknown {
    if (reference !== '#' && !reference.startsWith('#/')) throw new Unfit(`it refers to ${reference}`)
    let found: unknown = this.#root
    for (const step of reference.split('/').slice(1)) {
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
      found = isNode(found) && Object.hasOwn(found, name) ? found[name] : undefined
    }
    if (found === undefined) throw new Unfit(`it refers to ${reference}, which is not there`)
    return found
  }

  /** `oneOf` is read as `anyOf` there too. A choice that may be null is a nullable one. */
  #choice(node: Node, within: readonly string[]): JsonObject {
    const { anyOf, oneOf } = node
    const beside = Object.keys(node).find((word) => CONVERTED.has(word) && word !== 'anyOf' && word !== 'oneOf')
    const choices = anyOf ?? oneOf
    if (beside !== undefined || (anyOf !== undefined && oneOf !== undefined) || !Array.isArray(choices)) {
      throw new Unfit('it chooses with further conditions')
    }
    const others = choices.filter((choice) => !isNull(choice))
    const schemas = others.map((choice) => this.convert(choice, within))
    const nullable = others.length < choices.length ? { nullable: true } : {}
    const [first] = schemas
    if (!first) throw new Unfit('a part of it allows null alone')
    return { ...(schemas.length === 1 ? first : { anyOf: schemas }), ...nullable, ...aboutOf(node) }
  }

  #typed(node: Node, within: readonly string[]): JsonObject {
    const told = typesOf(node)
    const types = told.filter((type) => type !== 'null')
    const nullable = types.length < told.length ? { nullable: true } : {}
    const [only, ...more] = types
    if (only === undefined) throw new Unfit('a part of it allows anything, or null alone')
    if (more.length === 0) return { ...this.#ofType(only, node, within), ...nullable, ...aboutOf(node) }
    if (node['enum'] !== undefined || node['const'] !== undefined) throw new Unfit('it lists values of several types')
    return { anyOf: types.map((type) => this.#ofType(type, node, within)), ...nullable, ...aboutOf(node) }
  }

  #ofType(type: string, node: Node, within: readonly string[]): JsonObject {
    switch (type) {
      case 'string':
        return { type: 'STRING', ...formatOf(type, node), ...wordsOf(node) }
      case 'integer':
      case 'number':
        return { type: type.toUpperCase(), ...formatOf(type, node), ...boundsOf(node) }
      // Of its values, `responseJsonSchema` enforces strings and numbers only.
      case 'boolean':
        return { type: 'BOOLEAN' }
      case 'array':
        return { type: 'ARRAY', items: this.convert(node['items'], within), ...lengthsOf(node) }
      case 'object':
        return { type: 'OBJECT', ...this.#propertiesOf(node, within) }
      default:
        throw new Unfit(`it has the type "${type}"`)
    }
  }

  #propertiesOf(node: Node, within: readonly string[]): JsonObject {
    const { properties, required, additionalProperties, propertyOrdering } = node
    const names = isNode(properties) ? Object.keys(properties) : []
    if (!isNode(properties) || names.length === 0) throw new Unfit('an object of it does not name its properties')
    if (additionalProperties !== undefined && additionalProperties !== false) {
      throw new Unfit('an object of it allows further properties')
    }
    const isKnown = (name: unknown): name is string => typeof name === 'string' && names.includes(name)
    const needed = listOf(required)
    const order = propertyOrdering === undefined ? names : listOf(propertyOrdering)
    if (!needed.every(isKnown) || !order.every(isKnown)) throw new Unfit('an object of it requires a property it lacks')
    return {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, this.convert(property, within)]),
      ),
      ...(needed.length > 0 ? { required: needed } : {}),
      ...(order.length > 1 ? { propertyOrdering: order } : {}),
    }
  }
}

function typesOf({ type, enum: values, const: value, properties, items }: Node): readonly string[] {
  if (type !== undefined) return (Array.isArray(type) ? type : [type]).map(String)
  const all = Array.isArray(values) ? values : value === undefined ? [] : [value]
  if (all.length > 0) return [...new Set(all.map((one) => (one === null ? 'null' : typeof one)))]
  if (properties !== undefined) return ['object']
  return items === undefined ? [] : ['array']
}

function isNull(choice: unknown): boolean {
  if (!isNode(choice)) return false
  const types = typesOf(choice)
  return types.length === 1 && types[0] === 'null'
}

/** The values a schema is limited to, null aside: `nullable` speaks of it. undefined: any. */
function valuesOf({ enum: values, const: value }: Node): readonly unknown[] | undefined {
  if (value !== undefined) return [value]
  return values === undefined ? undefined : listOf(values).filter((one) => one !== null)
}

function wordsOf(node: Node): JsonObject {
  const words = valuesOf(node)
  if (!words) return {}
  const isWord = (word: unknown): word is string => typeof word === 'string' && word !== ''
  if (words.length === 0 || !words.every(isWord)) throw new Unfit('it lists values that are no words')
  return { enum: words }
}

/** One number is a range; more of them cannot be said: there, enums are of strings. */
function boundsOf(node: Node): JsonObject {
  const [only, ...more] = valuesOf(node) ?? []
  if (more.length > 0) throw new Unfit('it lists numbers')
  if (typeof only === 'number') return { minimum: only, maximum: only }
  if (only !== undefined) throw new Unfit('it lists values that are no numbers')
  const { minimum, maximum } = node
  return {
    ...(typeof minimum === 'number' ? { minimum } : {}),
    ...(typeof maximum === 'number' ? { maximum } : {}),
  }
}

/** int64, which is a string in Google's JSON. */
function lengthsOf({ minItems, maxItems }: Node): JsonObject {
  return {
    ...(typeof minItems === 'number' ? { minItems: String(minItems) } : {}),
    ...(typeof maxItems === 'number' ? { maxItems: String(maxItems) } : {}),
  }
}

function formatOf(type: string, { format }: Node): JsonObject {
  if (typeof format !== 'string') return {}
  if (type === 'string' && FORMATS_LOST.has(format)) throw new Unfit(`it has the format "${format}"`)
  return FORMATS[type]?.includes(format) ? { format } : {}
}

function aboutOf({ title, description }: Node): JsonObject {
  return {
    ...(typeof title === 'string' ? { title } : {}),
    ...(typeof description === 'string' ? { description } : {}),
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wordsIn(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
