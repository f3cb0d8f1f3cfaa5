import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { JsonObject } from '../../../src/core/request.ts'
import { adapters } from '../../../src/providers/registry.ts'

/** What an adapter answers in a dry run. */
function stub(provider: string, endpoint: string, body: JsonObject, model?: string): Record<string, unknown> {
  const adapter = adapters.find(({ name }) => name === provider)
  const target = { provider, baseUrl: `https://${provider}.test`, query: '', endpoint, ...(model ? { model } : {}) }
  return z.record(z.string(), z.unknown()).parse(JSON.parse(adapter?.stub(body, target) ?? 'null'))
}

const chat = (body: JsonObject, provider = 'openai') => stub(provider, '/v1/chat/completions', { model: 'm', ...body })
const functionTool = (name: string): JsonObject => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } },
})

describe("OpenAI's chat", () => {
  test('has as many choices as were asked for, under ids of their own', () => {
    const [one, other] = [chat({ n: 3 }), chat({})]

    expect(one).toMatchObject({ choices: [{ index: 0 }, { index: 1 }, { index: 2 }] })
    expect(one['id']).not.toBe(other['id'])
  })

  test.each([
    ['any JSON', { type: 'json_object' }, '{}'],
    ['a schema', { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'boolean' } } }, 'true'],
    ['a schema in its older place', { type: 'json_object', schema: { type: 'integer', minimum: 3 } }, '3'],
    ['text', { type: 'text' }, 'dry run'],
  ])('is %s where that was asked for', (_, response_format, content) => {
    expect(chat({ response_format })).toMatchObject({ choices: [{ finish_reason: 'stop', message: { content } }] })
  })

  test.each([
    ['nothing is said', undefined, undefined],
    ['the choice is the model’s', 'auto', undefined],
    ['some must be called', 'required', 'a'],
    ['Mistral’s older word says so', 'any', 'a'],
    ['one is named', { type: 'function', function: { name: 'b' } }, 'b'],
    [
      'some of them must be called',
      {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'b' } }] },
      },
      'b',
    ],
    ['none need be', { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } }, undefined],
    ['an unknown one is named', { type: 'function', function: { name: 'c' } }, undefined],
  ])('calls a tool only where it must: %s', (_, tool_choice, name) => {
    const answer = chat({ tools: [functionTool('a'), functionTool('b')], tool_choice })

    const call = { type: 'function', function: { name, arguments: '{"n":0}' } }
    expect(answer).toMatchObject({
      choices: [name === undefined ? { message: { content: 'dry run' } } : { message: { tool_calls: [call] } }],
    })
  })

  test('calls one tool after the other as results come in, so that a loop that waits for one ends', () => {
    const tools = ['look', 'think', 'finish'].map(functionTool)
    const messages: JsonObject[] = [{ role: 'user', content: 'go' }]
    const called: unknown[] = []

    while (called.at(-1) !== 'finish') {
      const answer = z
        .object({ choices: z.tuple([z.object({ message: z.looseObject({ tool_calls: z.array(z.any()) }) })]) })
        .parse(chat({ tools, tool_choice: 'required', messages: [...messages] }))
      const [call] = answer.choices[0].message.tool_calls
      called.push(call.function.name)
      messages.push({ role: 'tool', tool_call_id: call.id, content: 'done' })
    }

    expect(called).toEqual(['look', 'think', 'finish'])
  })

  test('calls tools that take text, and functions as they were before tools', () => {
    const custom = chat({ tools: [{ type: 'custom', custom: { name: 'sql' } }], tool_choice: 'required' })
    const older = chat({
      functions: [{ name: 'f', parameters: { type: 'object', properties: {}, required: [] } }],
      function_call: { name: 'f' },
    })

    expect(custom).toMatchObject({
      choices: [{ message: { tool_calls: [{ type: 'custom', custom: { name: 'sql', input: 'dry run' } }] } }],
    })
    expect(older).toMatchObject({
      choices: [{ finish_reason: 'function_call', message: { function_call: { name: 'f', arguments: '{}' } } }],
    })
  })

  test('has probabilities and sound where they were asked for', () => {
    const answer = chat({ logprobs: true, top_logprobs: 2, audio: { voice: 'alloy', format: 'wav' } })

    expect(answer).toMatchObject({
      choices: [
        {
          logprobs: { content: [{ token: 'dry run', logprob: 0, top_logprobs: [{ logprob: 0 }] }] },
          message: { audio: { data: '', transcript: 'dry run' } },
        },
      ],
    })
  })
})

test('responses call tools by the results that came in, and keep to a format', () => {
  const tools = ['a', 'b'].map((name) => ({ type: 'function', name, parameters: { type: 'object', properties: {} } }))
  const input = [{ type: 'function_call_output', call_id: 'x', output: '1' }]
  const ask = (body: JsonObject) => stub('openai', '/v1/responses', { model: 'm', ...body })

  expect(ask({ tools, tool_choice: 'required', input })).toMatchObject({
    output: [{ type: 'function_call', name: 'b', arguments: '{}' }],
  })
  expect(ask({ tools: [{ type: 'custom', name: 'c' }], tool_choice: { type: 'custom', name: 'c' } })).toMatchObject({
    output: [{ type: 'custom_tool_call', input: 'dry run' }],
  })
  expect(ask({ tools: [{ type: 'web_search' }], tool_choice: { type: 'web_search' } })).toMatchObject({
    output: [{ type: 'message' }],
  })
  expect(ask({ text: { format: { type: 'json_schema', schema: { const: 7 } } } })).toMatchObject({
    output: [{ content: [{ type: 'output_text', text: '7' }] }],
  })
})

describe('embeddings', () => {
  test.each([
    ['openai', '/v1/embeddings', { model: 'text-embedding-3-small', input: ['a', 'b'] }, 2, 1536],
    ['openai', '/v1/embeddings', { model: 'text-embedding-3-large', input: [1, 2, 3] }, 1, 3072],
    ['openai', '/v1/embeddings', { model: 'text-embedding-3-large', input: 'a', dimensions: 256 }, 1, 256],
    ['doubleword', '/v1/embeddings', { model: 'Qwen/Qwen3-Embedding-8B', input: [[1], [2]] }, 2, 4096],
    ['mistral', '/v1/embeddings', { model: 'mistral-embed', input: ['a', 'b', 'c'] }, 3, 1024],
    ['mistral', '/v1/embeddings', { model: 'codestral-embed', input: 'a' }, 1, 1536],
    [
      'mistral',
      '/v1/embeddings',
      { model: 'codestral-embed', input: 'a', output_dimension: 512, output_dtype: 'ubinary' },
      1,
      64,
    ],
  ])('of %s are as many and as long as the model makes them: %s %j', (provider, endpoint, body, count, dimensions) => {
    const { data } = stub(provider, endpoint, body)

    const vectors = z.array(z.object({ embedding: z.array(z.number()) })).parse(data)
    expect(vectors.map(({ embedding }) => embedding.length)).toEqual(Array.from({ length: count }, () => dimensions))
  })

  test.each([
    ['openai', {}, 4 * 1536],
    ['mistral', {}, 4 * 1024],
    ['mistral', { output_dtype: 'int8' }, 1024],
  ])('of %s come in base64 where that was asked for, %j', (provider, more, bytes) => {
    const { data } = stub(provider, '/v1/embeddings', { input: 'a', encoding_format: 'base64', ...more })

    const [first] = z.array(z.object({ embedding: z.base64() })).parse(data)
    expect(Buffer.from(first?.embedding ?? '', 'base64')).toHaveLength(bytes)
  })

  test("of Gemini's single and many calls are as long as each was to be", () => {
    const one = stub('gemini', 'embedContent', { content: {} }, 'text-embedding-004')
    const requests = [{}, { outputDimensionality: 5 }, { output_dimensionality: 6 }]
    const many = stub('gemini', 'batchEmbedContents', { requests }, 'gemini-embedding-001')

    const Vector = z.object({ values: z.array(z.number()) })
    expect(Vector.parse(one['embedding']).values).toHaveLength(768)
    expect(
      z
        .array(Vector)
        .parse(many['embeddings'])
        .map(({ values }) => values.length),
    ).toEqual([3072, 5, 6])
  })
})

describe('Anthropic’s messages', () => {
  const ask = (body: JsonObject, provider = 'anthropic') => stub(provider, '/v1/messages', { model: 'claude', ...body })
  const tools = ['a', 'b'].map((name) => ({
    name,
    input_schema: { type: 'object', properties: { s: {} }, required: ['s'] },
  }))

  test.each([
    ['auto', { type: 'auto' }, undefined],
    ['any', { type: 'any' }, 'a'],
    ['tool', { type: 'tool', name: 'b' }, 'b'],
  ])('call a tool where they must: %s', (_, tool_choice, name) => {
    const answer = ask({ tools, tool_choice })

    expect(answer).toMatchObject(
      name === undefined
        ? { stop_reason: 'end_turn', content: [{ type: 'text', text: 'dry run' }] }
        : { stop_reason: 'tool_use', content: [{ type: 'tool_use', name, input: { s: 'dry run' } }] },
    )
  })

  test('call the next tool once a result has come in, also where another serves them', () => {
    const messages = [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', content: '1' }] }]

    expect(ask({ tools, tool_choice: { type: 'any' }, messages }, 'doubleword')).toMatchObject({
      content: [{ name: 'b' }],
    })
  })

  test.each([['output_config'], ['output_format']])('keep to the schema of %s', (where) => {
    const format = { type: 'json_schema', schema: { type: 'array', items: { type: 'null' }, minItems: 2 } }

    const answer = ask({ [where]: where === 'output_config' ? { format } : format })

    expect(answer).toMatchObject({ content: [{ type: 'text', text: '[null,null]' }] })
  })
})

describe('Gemini’s contents', () => {
  const ask = (body: JsonObject) => stub('gemini', 'generateContent', body, 'gemini-2.5-flash')
  const parts = (...list: readonly object[]) => ({ candidates: [{ content: { parts: list } }] })
  const tools = [{ function_declarations: [{ name: 'a', parameters: { type: 'OBJECT' } }, { name: 'b' }] }]

  test('have as many candidates as were asked for', () => {
    expect(ask({ generationConfig: { candidateCount: 2 } })).toMatchObject({ candidates: [{ index: 0 }, { index: 1 }] })
  })

  test.each([
    [
      'its own schema',
      { responseSchema: { type: 'OBJECT', properties: { a: { type: 'STRING' } }, required: ['a'] } },
      '{"a":"dry run"}',
    ],
    ['a JSON schema', { response_json_schema: { type: 'number', minimum: 2 } }, '2'],
    ['any JSON', { responseMimeType: 'application/json' }, '{}'],
    [
      'one of some words',
      { responseMimeType: 'text/x.enum', responseSchema: { type: 'STRING', enum: ['yes', 'no'] } },
      'yes',
    ],
  ])('keep to %s', (_, generationConfig, text) => {
    expect(ask({ generationConfig })).toMatchObject(parts({ text }))
  })

  test('call the functions they must, one after the other', () => {
    const config = { mode: 'ANY', allowedFunctionNames: ['a', 'b'] }
    const contents = [{ role: 'user', parts: [{ functionResponse: { name: 'a', response: {} } }] }]

    expect(ask({ tools, toolConfig: { functionCallingConfig: config } })).toMatchObject(
      parts({ functionCall: { name: 'a', args: {} } }),
    )
    expect(ask({ tools, tool_config: { function_calling_config: config }, contents })).toMatchObject(
      parts({ functionCall: { name: 'b', args: {} } }),
    )
    expect(ask({ tools })).toMatchObject(parts({ text: 'dry run' }))
  })

  test('are pictures or sound where those were asked for', () => {
    expect(ask({ generationConfig: { responseModalities: ['TEXT', 'IMAGE'] } })).toMatchObject(
      parts({ text: 'dry run' }, { inlineData: { mimeType: 'image/png' } }),
    )
    expect(ask({ generationConfig: { responseModalities: ['AUDIO'] } })).toMatchObject(
      parts({ inlineData: { mimeType: 'audio/L16;codec=pcm;rate=24000' } }),
    )
  })
})

test.each([
  ['openai', '/v1/completions', { prompt: ['a', 'b'], n: 2 }, { choices: [{}, {}, {}, { index: 3, text: 'dry run' }] }],
  ['openai', '/v1/completions', { prompt: [1, 2] }, { choices: [{ index: 0 }] }],
  [
    'openai',
    '/v1/moderations',
    { input: ['a', 'b'] },
    { results: [{ flagged: false }, { categories: { hate: false } }] },
  ],
  [
    'openai',
    '/v1/images/generations',
    { model: 'gpt-image-1', n: 2 },
    { data: [{}, { b64_json: expect.stringMatching(/^iVBOR/) }] },
  ],
  [
    'openai',
    '/v1/images/generations',
    { model: 'dall-e-3' },
    { data: [{ url: expect.stringMatching(/^data:image/) }] },
  ],
  ['groq', '/v1/audio/transcriptions', { url: 'https://a.test' }, { text: 'dry run' }],
  [
    'together',
    '/v1/audio/translations',
    { response_format: 'verbose_json' },
    { task: 'translate', segments: [{ text: 'dry run' }] },
  ],
  ['mistral', '/v1/moderations', { input: 'a' }, { results: [{ category_scores: { pii: 0 } }] }],
  ['mistral', '/v1/chat/moderations', { input: [[{ role: 'user' }], [{ role: 'user' }]] }, { results: [{}, {}] }],
  [
    'mistral',
    '/v1/chat/classifications',
    { input: [{ role: 'user' }] },
    { results: [{ label: { scores: { 'dry run': 1 } } }] },
  ],
  ['mistral', '/v1/ocr', { pages: [4, 7] }, { pages: [{ index: 4 }, { index: 7, markdown: 'dry run' }] }],
  ['mistral', '/v1/fim/completions', { prompt: 'a' }, { choices: [{ message: { content: 'dry run' } }] }],
  ['mistral', '/v1/audio/transcriptions', { file_url: 'https://a.test' }, { text: 'dry run' }],
])('%s %s answers %j in its own shape', (provider, endpoint, body, shape) => {
  expect(stub(provider, endpoint, body)).toMatchObject(shape)
})

test("ids of Mistral's tool calls are as long as it takes them back", () => {
  const answer = chat({ tools: [functionTool('a')], tool_choice: 'any' }, 'mistral')

  expect(answer).toMatchObject({
    choices: [{ message: { tool_calls: [{ id: expect.stringMatching(/^[a-z0-9]{9}$/) }] } }],
  })
})

test('every adapter answers each of its endpoints, and says that nothing was used', () => {
  for (const adapter of adapters) {
    for (const endpoint of adapter.facts.endpoints) {
      const target = { provider: adapter.name, baseUrl: '', query: '', endpoint: endpoint.replace(/^models\./, '') }
      const answer: unknown = JSON.parse(adapter.stub({ input: 'a', prompt: 'a', requests: [{}] }, target))

      expect(answer).toBeTypeOf('object')
      expect(adapter.usage(answer) ?? { input: 0, output: 0 }).toMatchObject({ input: 0, output: 0 })
    }
  }
})
