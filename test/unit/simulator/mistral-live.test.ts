import { HTTPValidationError } from '@mistralai/mistralai/models/errors'
import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { chatBody, clientFor, raw } from './mistral-client.ts'

const MODEL = 'mistral-small-latest'
const ASK = { model: MODEL, messages: [{ role: 'user' as const, content: 'a pear?' }] }
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}

/** What the SDK types as text or chunks is text here. */
const contentText = (content: unknown): string => (typeof content === 'string' ? content : '')

test('a chat answers with the digest of its request, an echo and its usage', async () => {
  await using simulator = await startTestSimulator()
  const body = chatBody('a pear?')

  const { body: reply } = await raw(simulator, '/v1/chat/completions', body)
  const parsed = await clientFor(simulator).chat.complete(ASK)

  const content = `Answer ${answerDigest('/v1/chat/completions', body)}: a pear?`
  expect(reply).toMatchObject({
    object: 'chat.completion',
    model: MODEL,
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
    usage: { prompt_tokens: 2 },
  })
  expect(parsed.choices[0]?.message?.content).toContain('a pear?')
  expect(parsed.usage.totalTokens).toBeGreaterThan(2)
  expect(simulator.ledger().executions).toMatchObject({ live: 2, batch: 0 })
})

test('a streamed chat adds up to the one that is not, and ends with its usage', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  let text = ''
  let usage: unknown
  for await (const { data } of await client.chat.stream(ASK)) {
    const delta = data.choices[0]?.delta.content
    text += typeof delta === 'string' ? delta : ''
    usage = data.usage ?? usage
  }

  const digest = answerDigest('/v1/chat/completions', { ...ASK, stream: true })
  expect(text).toContain('a pear?')
  expect(text.length).toBe(`Answer ${digest}: a pear?`.length)
  expect(usage).toMatchObject({ promptTokens: 2 })
})

test('a tool is called when it must be or the prompt asks for it, whole or streamed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const asked = { ...ASK, tools: [WEATHER], messages: [{ role: 'user' as const, content: '[[simulate:tool]]' }] }

  const any = await client.chat.complete({ ...ASK, tools: [WEATHER], toolChoice: 'any' })
  const named = await client.chat.complete({
    ...ASK,
    tools: [WEATHER],
    toolChoice: { type: 'function', function: { name: 'weather' } },
  })
  const wanted = await client.chat.complete(asked)
  const none = await client.chat.complete({ ...asked, toolChoice: 'none' })
  const streamed: unknown[] = []
  for await (const { data } of await client.chat.stream(asked)) streamed.push(data.choices[0]?.delta.toolCalls ?? [])

  for (const { choices } of [any, named, wanted]) {
    expect(choices).toMatchObject([
      {
        finishReason: 'tool_calls',
        message: { toolCalls: [{ id: expect.stringMatching(/^[a-z0-9]{9}$/), function: { name: 'weather' } }] },
      },
    ])
  }
  expect(none.choices[0]?.finishReason).toBe('stop')
  expect(streamed.flat()).toMatchObject([{ function: { name: 'weather', arguments: expect.stringContaining('city') } }])
})

test('an answer in a format satisfies its schema', async () => {
  await using simulator = await startTestSimulator()
  const schema = { type: 'object', properties: { fruit: { type: 'string' } }, required: ['fruit'] }

  const { choices } = await clientFor(simulator).chat.complete({
    ...ASK,
    responseFormat: { type: 'json_schema', jsonSchema: { name: 'fruit', schemaDefinition: schema } },
  })

  expect(JSON.parse(contentText(choices[0]?.message?.content))).toEqual({ fruit: expect.stringContaining('a pear?') })
})

test('a text is completed around its middle, whole or streamed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const ask = { model: 'codestral-latest', prompt: 'def add(', suffix: 'return' }

  const whole = await client.fim.complete(ask)
  let text = ''
  for await (const { data } of await client.fim.stream(ask)) {
    const delta = data.choices[0]?.delta.content
    text += typeof delta === 'string' ? delta : ''
  }

  expect(whole.choices[0]?.message?.content).toContain('def add(')
  expect(text).toContain('def add(')
})

test('texts are embedded in the size and type asked for', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const sizes = async (more: Record<string, unknown>): Promise<readonly unknown[]> => {
    const { data } = await client.embeddings.create({ model: 'mistral-embed', inputs: ['a', 'b'], ...more })
    return data.map(({ embedding }) => embedding?.length)
  }
  const small = { model: 'mistral-embed', input: 'a', output_dimension: 4 }
  const embedding = async (more: Record<string, unknown>): Promise<unknown> => {
    const { body } = await raw(simulator, '/v1/embeddings', { ...small, ...more })
    return (body as { data: readonly { embedding: unknown }[] }).data[0]?.embedding // checked by the assertions on it
  }

  expect(await sizes({})).toEqual([1024, 1024])
  expect(await sizes({ outputDimension: 16 })).toEqual([16, 16])
  expect(Buffer.from(String(await embedding({ encoding_format: 'base64' })), 'base64')).toHaveLength(16)
  const bytes = await embedding({ output_dtype: 'int8' })
  expect(Array.isArray(bytes) && bytes.every((one) => Number.isInteger(one))).toBe(true)
  expect(Buffer.from(String(await embedding({ encoding_format: 'base64', output_dtype: 'int8' })), 'base64')).toEqual(
    Buffer.from(bytes as number[]), // just seen to be numbers
  )
})

test('texts and conversations are moderated and classified one by one', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const model = 'mistral-moderation-latest'
  const messages = [{ role: 'user' as const, content: 'a pear?' }]

  const texts = await client.classifiers.moderate({ model, inputs: ['a', 'b'] })
  const chats = await client.classifiers.moderateChat({ model, inputs: [messages, messages] })
  const chat = await client.classifiers.moderateChat({ model, inputs: messages })
  const classes = await client.classifiers.classify({ model: 'ft:ministral:x', inputs: 'a' })
  const classedChats = await client.classifiers.classifyChat({
    model: 'ft:ministral:x',
    input: [{ messages }, { messages }],
  })

  expect([texts, chats, chat].map(({ results }) => results.length)).toEqual([2, 2, 1])
  expect(texts.results[0]).toMatchObject({ categories: { pii: false }, categoryScores: { pii: expect.any(Number) } })
  expect(classes.results[0]?.['label']?.scores).toMatchObject({ yes: expect.any(Number), no: expect.any(Number) })
  expect(classedChats.results).toHaveLength(2)
})

test('a document is read page by page, and annotated by a schema', async () => {
  await using simulator = await startTestSimulator()
  const schema = { type: 'object', properties: { title: { type: 'string' } }, required: ['title'] }

  const { pages, usageInfo, documentAnnotation } = await clientFor(simulator).ocr.process({
    model: 'mistral-ocr-latest',
    document: { type: 'document_url', documentUrl: 'https://example.com/a.pdf' },
    pages: [0, 2],
    documentAnnotationFormat: { type: 'json_schema', jsonSchema: { name: 'title', schemaDefinition: schema } },
  })

  expect(pages.map(({ index }) => index)).toEqual([0, 2])
  expect(pages[0]?.markdown).toContain('https://example.com/a.pdf')
  expect(usageInfo.pagesProcessed).toBe(2)
  expect(JSON.parse(String(documentAnnotation))).toHaveProperty('title')
})

test('a recording is transcribed from a form, as the SDK sends it, and from JSON', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const model = 'voxtral-mini-latest'

  const form = await client.audio.transcriptions.complete({ model, fileUrl: 'https://example.com/a.mp3' })
  const file = await client.audio.transcriptions.complete({
    model,
    file: { fileName: 'b.mp3', content: new Blob(['sound']) },
  })
  const { body } = await raw(simulator, '/v1/audio/transcriptions', {
    model,
    file_url: 'https://example.com/a.mp3',
    timestamp_granularities: ['segment'],
  })

  expect(form.text).toContain('https://example.com/a.mp3')
  expect(file.text).toContain('b.mp3')
  expect(body).toMatchObject({ segments: [{ start: 0, text: expect.stringContaining('a.mp3') }] })
})

test('a conversation is started, whole or streamed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const ask = { model: MODEL, inputs: 'a pear?' }

  const { outputs, conversationId } = await client.beta.conversations.start(ask)
  const events: string[] = []
  for await (const { event } of await client.beta.conversations.startStream(ask)) events.push(event)

  expect(conversationId).toMatch(/^conv_/)
  expect(outputs).toMatchObject([{ type: 'message.output', content: expect.stringContaining('a pear?') }])
  expect([events[0], events[1], events.at(-1)]).toEqual([
    'conversation.response.started',
    'message.output.delta',
    'conversation.response.done',
  ])
})

test.each([
  [
    'no model',
    '/v1/chat/completions',
    { messages: ASK.messages },
    422,
    { detail: [{ loc: ['body', 'model'], type: 'missing' }] },
  ],
  [
    'an unknown model',
    '/v1/chat/completions',
    { ...ASK, model: 'gpt-5' },
    400,
    { type: 'invalid_model', code: '1500' },
  ],
  [
    'no messages',
    '/v1/chat/completions',
    { model: MODEL, messages: [] },
    422,
    { detail: [{ loc: ['body', 'messages'] }] },
  ],
  [
    'a field of nobody',
    '/v1/chat/completions',
    { ...ASK, store: false },
    422,
    { detail: [{ type: 'extra_forbidden', loc: ['body', 'store'], input: false }] },
  ],
  ['no input', '/v1/embeddings', { model: 'mistral-embed', input: [] }, 422, { detail: [{ loc: ['body', 'input'] }] }],
  [
    'no size',
    '/v1/embeddings',
    { model: 'mistral-embed', input: 'a', output_dimension: 0 },
    422,
    { detail: [{ loc: ['body', 'output_dimension'] }] },
  ],
  [
    'a stream of what has none',
    '/v1/embeddings',
    { model: 'mistral-embed', input: 'a', stream: true },
    400,
    { object: 'error' },
  ],
  [
    'no document',
    '/v1/ocr',
    { model: 'mistral-ocr-latest', document: {} },
    422,
    { detail: [{ loc: ['body', 'document'] }] },
  ],
  ['no recording', '/v1/audio/transcriptions', { model: 'voxtral-mini-latest' }, 422, { detail: [{ loc: ['body'] }] }],
  ['neither model nor agent', '/v1/conversations', { inputs: 'a' }, 422, { detail: [{ loc: ['body'] }] }],
  ['what is not JSON', '/v1/chat/completions', '{', 422, { detail: [{ type: 'json_invalid' }] }],
  [
    'what asks for a status',
    '/v1/chat/completions',
    chatBody('[[simulate:429]]'),
    429,
    { object: 'error', type: 'rate_limited' },
  ],
  ['what asks to be invalid', '/v1/chat/completions', chatBody('[[simulate:invalid]]'), 422, { detail: [{}] }],
])('%s is refused', async (_, path, body, status, error) => {
  await using simulator = await startTestSimulator()

  expect(await raw(simulator, path, body)).toMatchObject({ status, body: error })
  expect(simulator.ledger().executions.live).toBe(0)
})

test('a refusal is of the class the SDK has for it', async () => {
  await using simulator = await startTestSimulator()

  await expect(clientFor(simulator).chat.complete({ model: MODEL, messages: [] })).rejects.toBeInstanceOf(
    HTTPValidationError,
  )
  await expect(clientFor(simulator, 'sk-invalid').models.list()).rejects.toMatchObject({ statusCode: 401 })
})

test('a key is needed, and what is nowhere is not found', async () => {
  await using simulator = await startTestSimulator()

  expect(await raw(simulator, '/v1/models', undefined, {})).toMatchObject({
    status: 401,
    body: { message: 'Unauthorized' },
  })
  expect(await raw(simulator, '/v1/nothing')).toMatchObject({ status: 404, body: { detail: expect.any(String) } })
  expect(await raw(simulator, '/v1/models/gpt-5')).toMatchObject({ status: 404 })
})

test('models are listed and found', async () => {
  await using simulator = await startTestSimulator({ models: ['my-own'] })
  const client = clientFor(simulator)

  const { data } = await client.models.list()

  expect(data?.map((model) => ('id' in model ? model.id : ''))).toContain('my-own')
  expect(await client.models.retrieve({ modelId: 'my-own' })).toMatchObject({ type: 'base' })
})
