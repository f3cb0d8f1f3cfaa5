import { ApiError } from '@google/genai'
import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { bodyOf, call, clientFor, EMBEDDER, MODEL } from './gemini-client.ts'

const GENERATE = `models/${MODEL}:generateContent`
const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }

test('an answer quotes its request and says what it used', async () => {
  await using simulator = await startTestSimulator()

  const answer = await clientFor(simulator).models.generateContent({ model: MODEL, contents: 'hello' })

  const text = `Answer ${answerDigest(GENERATE, bodyOf('hello'))}: hello`
  expect(answer.text).toBe(text)
  expect(answer).toMatchObject({
    candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason: 'STOP', index: 0 }],
    modelVersion: MODEL,
    responseId: expect.any(String),
  })
  const { promptTokenCount = 0, candidatesTokenCount = 0, totalTokenCount } = answer.usageMetadata ?? {}
  expect(candidatesTokenCount).toBe(Math.ceil(text.length / 4))
  expect(totalTokenCount).toBe(promptTokenCount + candidatesTokenCount)
  expect(simulator.ledger()).toMatchObject({
    executions: { live: 1, batch: 0 },
    requests: [{ endpoint: GENERATE, model: MODEL, prompt: 'hello', live: 1 }],
  })
})

test('a stream brings the same answer in pieces, and its usage with the last', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const chunks = []
  for await (const chunk of await client.models.generateContentStream({ model: MODEL, contents: 'hello' })) {
    chunks.push(chunk)
  }
  const whole = await client.models.generateContent({ model: MODEL, contents: 'hello' })

  expect(chunks.length).toBeGreaterThan(1)
  expect(chunks.map((chunk) => chunk.text).join('')).toBe(whole.text)
  expect(chunks.map((chunk) => chunk.candidates?.[0]?.finishReason)).toEqual([
    ...chunks.slice(1).map(() => undefined),
    'STOP',
  ])
  expect(chunks.at(-1)?.usageMetadata).toEqual(whole.usageMetadata)
  expect(chunks[0]?.usageMetadata).toBeUndefined()
  expect(simulator.ledger().executions).toMatchObject({ live: 2, repeated: 1 })
})

test('a stream that is not asked for as events is one list', async () => {
  await using simulator = await startTestSimulator()
  const path = `/v1beta/models/${MODEL}:streamGenerateContent`

  const listed = await call(simulator, 'POST', path, { body: bodyOf('hello') })
  const refused = await call(simulator, 'POST', path, { body: bodyOf('[[simulate:503]]') })

  expect(listed.body).toEqual(expect.arrayContaining([expect.objectContaining({ modelVersion: MODEL })]))
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 503, status: 'UNAVAILABLE' } } })
})

test('a function is called when one must be called or when the prompt asks for it', async () => {
  await using simulator = await startTestSimulator()
  const { models } = clientFor(simulator)
  const tools = [
    { functionDeclarations: [{ name: 'time', parametersJsonSchema: { type: 'object' } }] },
    { functionDeclarations: [{ name: 'weather', parametersJsonSchema: WEATHER }] },
  ]
  const ask = async (contents: string, mode?: string, allowed?: string[]): Promise<unknown> => {
    const functionCallingConfig = { ...(mode ? { mode } : {}), ...(allowed ? { allowedFunctionNames: allowed } : {}) }
    // The SDK's enum of modes is nominal; these are its values.
    const toolConfig = { functionCallingConfig: functionCallingConfig as object }
    const answer = await models.generateContent({ model: MODEL, contents, config: { tools, toolConfig } })
    return answer.candidates?.[0]?.content?.parts?.[0]?.functionCall ?? 'text'
  }

  expect(await ask('a', 'ANY')).toEqual({ name: 'time', args: {} })
  expect(await ask('a', 'ANY', ['weather'])).toEqual({ name: 'weather', args: { city: expect.any(String) } })
  expect(await ask('a [[simulate:tool]]')).toEqual({ name: 'time', args: {} })
  expect(await ask('a [[simulate:tool]]', 'NONE')).toBe('text')
  expect(await ask('a', 'AUTO')).toBe('text')
})

test('after the function has answered, the model speaks', async () => {
  await using simulator = await startTestSimulator()
  const contents = [
    { role: 'user', parts: [{ text: 'weather? [[simulate:tool]]' }] },
    { role: 'model', parts: [{ functionCall: { name: 'weather', args: {} } }] },
    { role: 'user', parts: [{ functionResponse: { name: 'weather', response: { sky: 'blue' } } }] },
  ]
  const tools = [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: WEATHER }] }]

  const answer = await clientFor(simulator).models.generateContent({ model: MODEL, contents, config: { tools } })

  expect(answer.text).toMatch(/^Answer [0-9a-f]{16}: weather\?/)
})

test('a schema is satisfied, in either spelling', async () => {
  await using simulator = await startTestSimulator()
  const { models } = clientFor(simulator)
  const own = {
    type: 'OBJECT',
    properties: {
      city: { type: 'STRING' },
      days: { type: 'ARRAY', minItems: '2', items: { anyOf: [{ type: 'INTEGER', minimum: 3 }] } },
      note: { type: 'STRING', nullable: true },
    },
    required: ['city', 'days'],
  }
  const ask = async (config: object): Promise<unknown> => {
    const { text } = await models.generateContent({ model: MODEL, contents: 'a', config })
    return JSON.parse(String(text))
  }
  const responseMimeType = 'application/json'

  expect(await ask({ responseMimeType, responseSchema: own })).toEqual({
    city: expect.stringMatching(/^Answer/),
    days: [3, 3],
  })
  expect(await ask({ responseMimeType, responseJsonSchema: WEATHER })).toEqual({ city: expect.any(String) })
  expect(await ask({ responseMimeType })).toEqual({ answer: expect.stringMatching(/: a$/) })
  const picked = await models.generateContent({
    model: MODEL,
    contents: 'a',
    config: { responseMimeType: 'text/x.enum', responseSchema: { type: 'STRING', enum: ['red', 'blue'] } },
  })
  expect(picked.text).toBe('red')
})

test('several candidates may be asked for', async () => {
  await using simulator = await startTestSimulator()
  const config = { candidateCount: 3 }

  const answer = await clientFor(simulator).models.generateContent({ model: MODEL, contents: 'a', config })

  expect(answer.candidates?.map(({ index }) => index)).toEqual([0, 1, 2])
})

test('embeddings have the size that was asked for, and are the same for the same text', async () => {
  await using simulator = await startTestSimulator()
  const { models } = clientFor(simulator)
  const config = { outputDimensionality: 8 }

  const { embeddings } = await models.embedContent({ model: EMBEDDER, contents: ['a', 'b', 'a'], config })
  const usual = await models.embedContent({ model: EMBEDDER, contents: 'a' })
  const single = await call(simulator, 'POST', `/v1beta/models/${EMBEDDER}:embedContent`, {
    body: { content: { parts: [{ text: 'a' }] }, outputDimensionality: 8 },
  })

  const [a, b, again] = embeddings?.map(({ values }) => values) ?? []
  expect(a).toHaveLength(8)
  expect(again).toEqual(a)
  expect(b).not.toEqual(a)
  expect(usual.embeddings?.[0]?.values).toHaveLength(3072)
  expect(usual.usageMetadata).toEqual({ promptTokenCount: 1 })
  expect(single.body).toEqual({ embedding: { values: a }, usageMetadata: { promptTokenCount: 1 } })
  expect(simulator.ledger().executions.live).toBe(5)
})

test('if one of several embeddings fails, so do all', async () => {
  await using simulator = await startTestSimulator()
  const { models } = clientFor(simulator)

  const failing = models.embedContent({ model: EMBEDDER, contents: ['a', '[[simulate:503]]'] })

  await expect(failing).rejects.toMatchObject({ status: 503 })
  expect(simulator.ledger()).toMatchObject({ executions: { live: 0 }, errors: { live: 1 } })
})

test('tokens are counted for nothing', async () => {
  await using simulator = await startTestSimulator()
  const { models } = clientFor(simulator)

  const counted = await models.countTokens({ model: MODEL, contents: 'four letters each' })

  const answered = await models.generateContent({ model: MODEL, contents: 'four letters each' })
  expect(counted.totalTokens).toBe(answered.usageMetadata?.promptTokenCount)
  expect(simulator.ledger()).toMatchObject({ executions: { live: 1 }, calls: { live: 1, other: 1 } })
})

test('a refusal is an error of the SDK with the provider’s envelope', async () => {
  await using simulator = await startTestSimulator()
  const { models } = clientFor(simulator)

  const error = await models
    .generateContent({ model: MODEL, contents: '[[simulate:429]]' })
    .catch((error: unknown) => error)

  expect(error).toBeInstanceOf(ApiError)
  expect(error).toMatchObject({ status: 429, message: expect.stringContaining('RESOURCE_EXHAUSTED') })
  expect(simulator.ledger()).toMatchObject({ executions: { live: 0 }, errors: { live: 1 } })
})

test('every version answers, and names in snake_case are the same request', async () => {
  await using simulator = await startTestSimulator()
  const config = { temperature: 0.5 }
  await clientFor(simulator, { apiVersion: 'v1alpha' }).models.generateContent({ model: MODEL, contents: 'a', config })
  await clientFor(simulator).models.generateContent({ model: MODEL, contents: 'a', config })

  const snake = { contents: { parts: { text: 'a' }, role: 'user' }, generation_config: { temperature: 0.5 } }
  const answer = await call(simulator, 'POST', `/v1beta/models/${MODEL}:generateContent`, { body: snake })

  expect(answer.status).toBe(200)
  expect(simulator.ledger().executions).toMatchObject({ live: 3, distinct: 1 })
})

test('models are listed with what they can do', async () => {
  await using simulator = await startTestSimulator({ models: ['tuned-by-me'] })
  const client = clientFor(simulator)

  const names: (string | undefined)[] = []
  for await (const model of await client.models.list({ config: { pageSize: 2 } })) names.push(model.name)
  const embedder = await client.models.get({ model: EMBEDDER })

  expect(names).toEqual(expect.arrayContaining([`models/${MODEL}`, 'models/tuned-by-me']))
  expect(embedder.supportedActions).toContain('asyncBatchEmbedContent')
  await expect(client.models.get({ model: 'gpt-5' })).rejects.toMatchObject({ status: 404 })
})

test.each([
  ['no contents', {}, 'contents is not specified'],
  ['a role nobody has', { contents: [{ role: 'system', parts: [{ text: 'a' }] }] }, 'valid role: user, model'],
  ['a call of no function', bodyOf('a', { toolConfig: { functionCallingConfig: { mode: 'ANY' } } }), 'function_decl'],
  ['too many candidates', bodyOf('a', { generationConfig: { candidateCount: 9 } }), 'candidate_count'],
  ['too much heat', bodyOf('a', { generationConfig: { temperature: 2.1 } }), 'temperature'],
  ['a schema without JSON', bodyOf('a', { generationConfig: { responseSchema: { type: 'OBJECT' } } }), 'mime_type'],
  [
    'two schemas',
    bodyOf('a', {
      generationConfig: { responseMimeType: 'application/json', responseSchema: {}, responseJsonSchema: {} },
    }),
    'only one of response_schema',
  ],
  ['what asks to be invalid', bodyOf('[[simulate:invalid]]'), 'asked to be invalid'],
  ['text', '"text"', 'Invalid JSON payload'],
])('%s is refused with 400', async (_, body, message) => {
  await using simulator = await startTestSimulator()

  const answer = await call(simulator, 'POST', `/v1beta/models/${MODEL}:generateContent`, { body })

  expect(answer).toMatchObject({
    status: 400,
    body: { error: { code: 400, status: 'INVALID_ARGUMENT', message: expect.stringContaining(message) } },
  })
  expect(simulator.ledger().executions.live).toBe(0)
})

test.each([
  ['embedContent', { content: { parts: [] } }, 'content'],
  ['embedContent', { content: { parts: [{ text: 'a' }] }, outputDimensionality: 4000 }, 'output_dimensionality'],
  ['batchEmbedContents', {}, 'requests is not specified'],
  ['batchEmbedContents', { requests: [{ content: { parts: [{ text: 'a' }] } }] }, 'requests[0].model'],
])('%s refuses %j', async (method, body, message) => {
  await using simulator = await startTestSimulator()

  const answer = await call(simulator, 'POST', `/v1beta/models/${EMBEDDER}:${method}`, { body })

  expect(answer).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining(message) } } })
})

test.each([
  ['a model nobody knows', `gpt-5:generateContent`],
  ['an embedder that should generate', `${EMBEDDER}:generateContent`],
  ['a generator that should embed', `${MODEL}:embedContent`],
])('%s is not found', async (_, method) => {
  await using simulator = await startTestSimulator()

  const answer = await call(simulator, 'POST', `/v1beta/models/${method}`, { body: {} })

  expect(answer).toMatchObject({
    status: 404,
    body: { error: { status: 'NOT_FOUND', message: expect.stringContaining('is not found for API version v1beta') } },
  })
})
