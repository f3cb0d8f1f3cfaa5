import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ProviderAdapter } from '../../../src/core/adapter.ts'
import type { JsonObject } from '../../../src/core/request.ts'
import { gemini } from '../../../src/providers/gemini.ts'
import { toResponseSchema } from '../../../src/providers/gemini/response-schema.ts'
import { fixtureText } from '../../support/provider-call.ts'

const OBJECT = { type: 'object', properties: { a: { type: 'string' } } }
const OBJECT_THERE = { type: 'OBJECT', properties: { a: { type: 'STRING' } } }

/** What becomes of a schema; why it does not fit, where it does not. */
const converted = (schema: unknown): unknown => {
  const conversion = toResponseSchema(schema)
  return conversion.kind === 'fits' ? conversion.schema : conversion.reason
}

describe('a JSON Schema that fits', () => {
  test.each<[string, unknown, JsonObject]>([
    ['a string', { type: 'string' }, { type: 'STRING' }],
    ['an integer', { type: 'integer', minimum: 0, maximum: 5 }, { type: 'INTEGER', minimum: 0, maximum: 5 }],
    ['a number', { type: 'number', format: 'double' }, { type: 'NUMBER', format: 'double' }],
    ['a boolean', { type: 'boolean', const: true }, { type: 'BOOLEAN' }],
    ['words', { type: 'string', enum: ['a', 'b'] }, { type: 'STRING', enum: ['a', 'b'] }],
    ['words without a type', { enum: ['a', 'b'] }, { type: 'STRING', enum: ['a', 'b'] }],
    ['words or null', { enum: ['a', null] }, { type: 'STRING', enum: ['a'], nullable: true }],
    ['one word', { type: 'string', const: 'a' }, { type: 'STRING', enum: ['a'] }],
    ['one number', { type: 'number', const: 4 }, { type: 'NUMBER', minimum: 4, maximum: 4 }],
    ['a time', { type: 'string', format: 'date-time' }, { type: 'STRING', format: 'date-time' }],
    ['an address', { type: 'string', format: 'email', pattern: '@' }, { type: 'STRING' }],
    ['a length', { type: 'string', minLength: 1, maxLength: 9 }, { type: 'STRING' }],
    [
      'what is said of it',
      { type: 'string', title: 'T', description: 'D' },
      { type: 'STRING', title: 'T', description: 'D' },
    ],
    [
      'a list',
      { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 3, uniqueItems: true },
      { type: 'ARRAY', items: { type: 'STRING' }, minItems: '1', maxItems: '3' },
    ],
    ['an object', { ...OBJECT, required: ['a'], additionalProperties: false }, { ...OBJECT_THERE, required: ['a'] }],
    ['an object without a type', { properties: OBJECT.properties }, OBJECT_THERE],
    [
      'an object, in its order',
      { type: 'object', properties: { b: { type: 'string' }, a: { type: 'string' } } },
      { type: 'OBJECT', properties: { b: { type: 'STRING' }, a: { type: 'STRING' } }, propertyOrdering: ['b', 'a'] },
    ],
    [
      'an object, in an order of its own',
      { type: 'object', properties: { b: { type: 'string' }, a: { type: 'string' } }, propertyOrdering: ['a', 'b'] },
      { type: 'OBJECT', properties: { b: { type: 'STRING' }, a: { type: 'STRING' } }, propertyOrdering: ['a', 'b'] },
    ],
    ['a string or null', { type: ['string', 'null'] }, { type: 'STRING', nullable: true }],
    [
      'one of several types',
      { type: ['string', 'number', 'null'], description: 'D', maximum: 4 },
      { anyOf: [{ type: 'STRING' }, { type: 'NUMBER', maximum: 4 }], nullable: true, description: 'D' },
    ],
    ['a choice', { oneOf: [OBJECT, { type: 'boolean' }] }, { anyOf: [OBJECT_THERE, { type: 'BOOLEAN' }] }],
    [
      'a choice with null',
      { anyOf: [{ type: 'string', description: 'inner' }, { type: 'null' }], description: 'outer' },
      { type: 'STRING', nullable: true, description: 'outer' },
    ],
    [
      'a reference',
      { type: 'array', items: { $ref: '#/$defs/a~1b', description: 'D' }, $defs: { 'a/b': OBJECT } },
      { type: 'ARRAY', items: { ...OBJECT_THERE, description: 'D' } },
    ],
    [
      'the same reference twice',
      {
        type: 'array',
        items: { anyOf: [{ $ref: '#/definitions/a' }, { $ref: '#/definitions/a' }] },
        definitions: { a: OBJECT },
      },
      { type: 'ARRAY', items: { anyOf: [OBJECT_THERE, OBJECT_THERE] } },
    ],
  ])('%s', (_, schema, expected) => {
    const result = converted(schema)

    expect(result).toEqual(expected)
    // The order of properties is part of what is asked for.
    expect(JSON.stringify(Object.keys((result as JsonObject)['properties'] ?? {}))).toBe(
      JSON.stringify(Object.keys(expected['properties'] ?? {})),
    )
  })
})

describe('a JSON Schema that does not fit', () => {
  test.each<[string, unknown, RegExp]>([
    ['anything', {}, /anything/],
    ['true', true, /anything/],
    ['nothing', false, /anything/],
    ['a schema that is none', 'string', /anything/],
    ['null alone', { type: 'null' }, /null alone/],
    ['a choice of null', { anyOf: [{ type: 'null' }] }, /null alone/],
    ['an empty choice', { anyOf: [] }, /null alone/],
    ['a choice that is none', { anyOf: {} }, /chooses/],
    ['a choice with more to say', { anyOf: [OBJECT], required: ['a'] }, /chooses/],
    ['two choices', { anyOf: [OBJECT], oneOf: [OBJECT] }, /chooses/],
    ['a record', { type: 'object', additionalProperties: { type: 'number' } }, /name its properties/],
    ['an object of anything', { type: 'object' }, /name its properties/],
    ['an object with more to come', { ...OBJECT, additionalProperties: {} }, /further properties/],
    ['an object that lacks what it requires', { ...OBJECT, required: ['b'] }, /requires/],
    ['a list of anything', { type: 'array' }, /anything/],
    ['a tuple', { type: 'array', prefixItems: [{ type: 'string' }] }, /"prefixItems"/],
    ['a tuple as it used to be', { type: 'array', items: [{ type: 'string' }] }, /anything/],
    ['all of several', { allOf: [OBJECT] }, /"allOf"/],
    ['a condition', { ...OBJECT, not: {} }, /"not"/],
    ['a pattern of names', { ...OBJECT, patternProperties: {} }, /"patternProperties"/],
    ['numbers', { type: 'integer', enum: [1, 2] }, /numbers/],
    ['a number that is a word', { type: 'integer', const: 'a' }, /no numbers/],
    ['an empty word', { type: 'string', enum: ['a', ''] }, /no words/],
    ['no word', { type: 'string', enum: [] }, /no words/],
    ['values of several types', { enum: ['a', 1] }, /several types/],
    ['a type nobody knows', { type: 'decimal' }, /"decimal"/],
    ['a date', { type: 'string', format: 'date' }, /"date"/],
    ['a reference to itself', { $ref: '#' }, /itself/],
    ['a reference to nothing', { $ref: '#/$defs/a' }, /not there/],
    ['a reference to what every object has', { $ref: '#/constructor' }, /not there/],
    ['a reference elsewhere', { $ref: 'https://example.com/schema' }, /refers to/],
    ['a reference with more to say', { $ref: '#/$defs/a', type: 'object', $defs: { a: OBJECT } }, /beside a reference/],
  ])('%s', (_, schema, reason) => {
    expect(converted(schema)).toMatch(reason)
  })

  test('a chain of references that would fill the disk', () => {
    const twice = (name: string) => ({ type: 'object', properties: { a: { $ref: name }, b: { $ref: name } } })
    const defs = Object.fromEntries(
      Array.from({ length: 40 }, (_, level) => [`l${level}`, twice(`#/$defs/l${level + 1}`)]),
    )

    expect(converted({ $ref: '#/$defs/l0', $defs: { ...defs, l40: { type: 'string' } } })).toMatch(/too large/)
  })
})

describe('what zod makes of a type', () => {
  interface Tree {
    readonly children: readonly Tree[]
  }
  const Tree: z.ZodType<Tree> = z.object({
    get children() {
      return z.array(Tree)
    },
  })

  test.each<[string, z.ZodType, boolean]>([
    ['a nested object', z.object({ a: z.object({ b: z.array(z.string()) }) }), true],
    ['a nullable object', z.object({ a: z.object({ b: z.string() }).nullable() }), true],
    [
      'a choice by a word',
      z.discriminatedUnion('t', [z.object({ t: z.literal('a') }), z.object({ t: z.literal('b'), n: z.int() })]),
      true,
    ],
    ['a positive number', z.number().positive(), true],
    ['a default', z.object({ a: z.string().default('x') }), true],
    ['an address', z.object({ a: z.email(), b: z.url(), c: z.uuid() }), true],
    ['a list of a shared type', z.object({ a: z.array(z.object({ b: z.string() }).meta({ id: 'Shared' })) }), true],
    ['a record', z.object({ a: z.record(z.string(), z.number()) }), false],
    ['a tuple', z.object({ a: z.tuple([z.string(), z.number()]) }), false],
    ['anything', z.object({ a: z.unknown() }), false],
    ['a loose object', z.looseObject({ a: z.string() }), false],
    ['a tree', Tree, false],
    ['a choice of numbers', z.union([z.literal(1), z.literal(2)]), true],
    ['numbers', z.literal([1, 2]), false],
  ])('%s', (_, type, fits) => {
    expect(toResponseSchema(z.toJSONSchema(type)).kind).toBe(fits ? 'fits' : 'unfit')
  })
})

const TARGET = { provider: 'gemini', baseUrl: '', query: '', endpoint: 'generateContent', model: 'gemini-2.5-flash' }
const admitted = (adapter: ProviderAdapter, body: string): string | undefined =>
  adapter.admit?.(JSON.parse(body) as JsonObject, TARGET) // every body here is an object
const requestOf = (adapter: ProviderAdapter, body: string, endpoint = 'generateContent'): string =>
  adapter
    .line({ job: 1, customId: 'abcdefabcdef-1', endpoint, body })
    .slice('{"key":"abcdefabcdef-1","request":'.length, -1)
const withMode = (jsonSchema: unknown): ProviderAdapter => gemini.configure?.({ jsonSchema }) ?? gemini

const RECIPE = {
  type: 'OBJECT',
  properties: {
    name: { type: 'STRING' },
    kind: { type: 'STRING', enum: ['starter', 'main'] },
    course: { type: 'STRING', enum: ['lunch'] },
    note: { type: 'STRING', nullable: true },
    cookedAt: { type: 'STRING', format: 'date-time' },
    steps: {
      type: 'ARRAY',
      items: {
        type: 'OBJECT',
        properties: {
          minutes: { type: 'INTEGER', minimum: 1, maximum: 600 },
          text: { type: 'STRING', description: 'One sentence.' },
        },
        required: ['minutes', 'text'],
        propertyOrdering: ['minutes', 'text'],
      },
      minItems: '1',
      maxItems: '9',
    },
    rating: { anyOf: [{ type: 'NUMBER' }, { type: 'STRING' }] },
  },
  required: ['name', 'kind', 'course', 'note', 'steps', 'rating'],
  propertyOrdering: ['name', 'kind', 'course', 'note', 'cookedAt', 'steps', 'rating'],
}

describe('a body with a JSON schema', () => {
  test.each(['body-genai.json', 'body-ai-sdk.json', 'body-langchain-google.json'])(
    'as in %s goes with a response schema in its place, and not a byte beside it is another',
    (fixture) => {
      const body = fixtureText('gemini', fixture).trimEnd()
      const start = body.indexOf('"responseJsonSchema":')
      const schema = JSON.stringify(
        (JSON.parse(body) as { generationConfig: JsonObject }).generationConfig['responseJsonSchema'],
      ) // as recorded
      const end = start + '"responseJsonSchema":'.length + schema.length

      const request = requestOf(gemini, body)

      expect(admitted(gemini, body)).toBeUndefined()
      expect(request.startsWith(`${body.slice(0, start)}"responseSchema":{`)).toBe(true)
      expect(request.endsWith(body.slice(end))).toBe(true)
      const made = request.slice(start + '"responseSchema":'.length, request.length - (body.length - end))
      expect(JSON.parse(made)).toEqual(RECIPE)
    },
  )

  test('a response schema, and no schema, go as they are', () => {
    for (const body of [
      fixtureText('gemini', 'body-langchain-google-genai.json').trimEnd(),
      '{"contents":[{"parts":[{"text":"responseJsonSchema: {\\"type\\":7}"}]}], "generationConfig":{"temperature":1.0}}',
      '{"responseJsonSchema":{"type":"string"}}',
      '{"generationConfig":{"responseJsonSchema":null}}',
      '{"generationConfig":[]}',
    ]) {
      expect(admitted(gemini, body)).toBeUndefined()
      expect(requestOf(gemini, body)).toBe(body)
    }
  })

  test.each([
    [
      '{ "generationConfig" : { "responseJsonSchema" : {"type":"string"} , "seed":1.0 } }',
      '{ "generationConfig" : { "responseSchema":{"type":"STRING"} , "seed":1.0 } }',
    ],
    [
      '{"generation_config":{"response_json_schema":{"type":"string"}}}',
      '{"generation_config":{"responseSchema":{"type":"STRING"}}}',
    ],
    [
      '{"generationConfig":{"_responseJsonSchema":{"type":"string"}}}',
      '{"generationConfig":{"responseSchema":{"type":"STRING"}}}',
    ],
    [
      String.raw`{"generationConfig":{"response\u004asonSchema":{"type":"string"}}}`,
      '{"generationConfig":{"responseSchema":{"type":"STRING"}}}',
    ],
    [
      '{"generationConfig":{"responseJsonSchema":{"type":"number"},"responseJsonSchema":{"type":"string"}}}',
      '{"generationConfig":{"responseSchema":{"type":"NUMBER"},"responseSchema":{"type":"STRING"}}}',
    ],
  ])('however it is written: %s', (body, expected) => {
    expect(admitted(gemini, body)).toBeUndefined()
    expect(requestOf(gemini, body)).toBe(expected)
  })

  test.each([
    ['{"generationConfig":{"responseJsonSchema":{"type":"object"}}}', /does not fit responseSchema: an object of it/],
    [
      '{"generationConfig":{"responseFormat":[{"text":{"mimeType":"application/json","schema":{}}}]}}',
      /responseFormat/,
    ],
    ['{"generationConfig":{"responseFormat":{"text":{"schema":{}}}}}', /responseFormat/],
  ])('that does not fit goes live, and says why: %s', (body, reason) => {
    expect(admitted(gemini, body)).toMatch(reason)
    expect(requestOf(gemini, body)).toBe(body)
  })

  test('beside a response schema goes live, where Google says what is wrong with it', () => {
    const body = '{"generationConfig":{"responseJsonSchema":{"type":"string"},"responseSchema":{"type":"STRING"}}}'

    expect(admitted(gemini, body)).toMatch(/both/)
  })

  test('a format without a schema is no obstacle', () => {
    expect(admitted(gemini, '{"generationConfig":{"responseFormat":[{"text":{}},{"image":{}}]}}')).toBeUndefined()
  })

  test('embeddings have no schemas', () => {
    const body = '{"generationConfig":{"responseJsonSchema":{"type":"object"}}}'

    expect(gemini.admit?.(JSON.parse(body) as JsonObject, { ...TARGET, endpoint: 'embedContent' })).toBeUndefined() // an object
  })
})

describe('the setting `jsonSchema`', () => {
  const body = '{"generationConfig":{"responseJsonSchema":{"type":"string"}}}'

  test('convert is what happens anyway', () => {
    for (const adapter of [withMode('convert'), gemini.configure?.({}) ?? gemini]) {
      expect(admitted(adapter, body)).toBeUndefined()
      expect(requestOf(adapter, body)).toBe(requestOf(gemini, body))
    }
  })

  test('live keeps every such call out of batches', () => {
    expect(admitted(withMode('live'), body)).toMatch(/responseJsonSchema/)
    expect(admitted(withMode('live'), '{"generationConfig":{"responseSchema":{}}}')).toBeUndefined()
  })

  test('send changes nothing, whether it fits or not', () => {
    for (const any of [body, '{"generationConfig":{"responseJsonSchema":{}}}']) {
      expect(admitted(withMode('send'), any)).toBeUndefined()
      expect(requestOf(withMode('send'), any)).toBe(any)
    }
  })

  test.each([[{ jsonSchema: 'refuse' }], [{ jsonschema: 'live' }], ['live'], [null]])('%o is a mistake', (settings) => {
    expect(() => gemini.configure?.(settings)).toThrow(z.ZodError)
  })
})
