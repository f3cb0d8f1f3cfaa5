import { ApiError } from '@google/genai'
import { expect, test } from 'vitest'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  bodyOf,
  call,
  clientFor,
  createFromFile,
  EMBEDDER,
  inlined,
  linesOf,
  MODEL,
  uploadText,
} from './gemini-client.ts'

const CREATE = `/v1beta/models/${MODEL}:batchGenerateContent`

const inlineCreate = (...requests: readonly unknown[]): unknown => ({
  batch: { inputConfig: { requests: { requests } } },
})

test('a name that a message lacks is refused with its place, for the whole create', async () => {
  await using simulator = await startTestSimulator()
  const requests = [
    { request: bodyOf('a') },
    { request: bodyOf('b', { generationConfig: { thinkingConfig: {}, jsonMode: true }, tone: 'kind' }) },
  ]

  const answer = await call(simulator, 'POST', CREATE, { body: inlineCreate(...requests) })

  const place = 'batch.input_config.requests.requests[1].request'
  const messages = [
    `Invalid JSON payload received. Unknown name "jsonMode" at '${place}.generation_config': Cannot find field.`,
    `Invalid JSON payload received. Unknown name "tone" at '${place}': Cannot find field.`,
  ]
  expect(answer).toMatchObject({
    status: 400,
    body: {
      error: {
        code: 400,
        status: 'INVALID_ARGUMENT',
        message: messages.join('\n'),
        details: [
          {
            '@type': 'type.googleapis.com/google.rpc.BadRequest',
            fieldViolations: [
              { field: `${place}.generation_config`, description: messages[0] },
              { field: place, description: messages[1] },
            ],
          },
        ],
      },
    },
  })
  expect(simulator.ledger().batches.created).toBe(0)
})

test('a JSON schema that is no schema of Gemini’s is refused where it is', async () => {
  await using simulator = await startTestSimulator()
  const schema = { type: 'object', properties: { a: { type: 'string', $ref: '#' } }, additionalProperties: false }
  const body = bodyOf('a', { generationConfig: { responseMimeType: 'application/json', responseSchema: schema } })

  const { body: refusal } = await call(simulator, 'POST', `/v1/models/${MODEL}:generateContent`, { body })

  const place = 'generation_config.response_schema'
  expect(refusal).toMatchObject({
    error: {
      message: expect.stringContaining(`Unknown name "additionalProperties" at '${place}': Cannot find field.`),
      details: [{ fieldViolations: [{ field: `${place}.properties[a].value` }, { field: place }] }],
    },
  })
})

test('every line of a file that cannot be read is named before there is a batch', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const lines = [
    linesOf(bodyOf('a')),
    '{"key":"r2","request":{"contents":[],"thinking_config":{}}}',
    '{"key":"r3","request":',
    '{"key":"r4"}',
    '["r5"]',
    '{"key":"r6","request":{"system_instruction":["be kind"]}}',
    '{"key":"r7","request":{"model":"models/gemini-2.5-pro"}}',
  ]

  const error = await createFromFile(client, lines.join('\n')).catch((error: unknown) => error)

  expect(error).toBeInstanceOf(ApiError)
  expect(error).toMatchObject({ status: 400 })
  const { error: refused } = JSON.parse((error as ApiError).message) as { error: { message: string } } // checked above; the SDK hands on the whole body
  expect(refused.message.split('\n')).toEqual([
    "Error on line 2: invalid JSON, near column 38: no such field: 'thinking_config'",
    expect.stringMatching(/^Error on line 3: invalid JSON, near column \d+: /),
    'Error on line 4: request is not specified',
    "Error on line 5: invalid JSON, near column 1: unexpected character: '['; expected '{'",
    "Error on line 6: invalid JSON, near column 45: unexpected character: '['; expected '{'",
    expect.stringContaining('Error on line 7: request.model: "models/gemini-2.5-pro" is not the model of the batch'),
  ])
  expect(simulator.ledger()).toMatchObject({ batches: { created: 0 }, executions: { batch: 0 } })
})

test('a row inside a create that names another model is refused', async () => {
  await using simulator = await startTestSimulator()
  const [first, second] = inlined('a', 'b')
  const src = [first, { ...second, model: 'gemini-2.5-pro' }].filter((row) => row !== undefined)

  const creating = clientFor(simulator).batches.create({ model: MODEL, src })

  await expect(creating).rejects.toMatchObject({ status: 400, message: expect.stringContaining('requests[1]') })
})

test.each([
  ['no batch', {}, 'must be specified'],
  ['no input', { batch: { displayName: 'a' } }, 'must be specified'],
  ['two inputs', { batch: { inputConfig: { fileName: 'files/a', requests: { requests: [] } } } }, 'only one source'],
  ['no rows', inlineCreate(), 'no requests'],
  ['a row without a request', inlineCreate({ metadata: { key: 'a' } }), 'request is not specified'],
  ['a list where an object is meant', { batch: [] }, "Invalid value at 'batch'"],
  ['no JSON', '{"batch":', 'Invalid JSON payload'],
])('a create with %s is refused with 400', async (_, body, message) => {
  await using simulator = await startTestSimulator()

  const answer = await call(simulator, 'POST', CREATE, { body })

  expect(answer).toMatchObject({
    status: 400,
    body: { error: { status: 'INVALID_ARGUMENT', message: expect.stringContaining(message) } },
  })
})

test('an input may have only so many rows and bytes', async () => {
  await using simulator = await startTestSimulator({ limits: { jobs: 2, bytes: 2000 } })
  const client = clientFor(simulator)
  const rows = ['a', 'b', 'c']
  const long = 'x'.repeat(2000)

  const refused = await Promise.allSettled([
    client.batches.create({ model: MODEL, src: inlined(...rows) }),
    client.batches.create({ model: MODEL, src: inlined(long) }),
    createFromFile(client, linesOf(...rows.map((row) => bodyOf(row)))),
    createFromFile(client, linesOf(bodyOf(long))),
    createFromFile(client, ' '),
  ])

  const messages = refused.map((result) => (result.status === 'rejected' ? String(result.reason) : 'created'))
  expect(messages).toEqual([
    expect.stringContaining('2 requests at most'),
    expect.stringContaining('exceeds the limit: 2000 bytes'),
    expect.stringContaining('2 requests at most'),
    expect.stringContaining('larger than 2000 bytes'),
    expect.stringContaining('Error on line 1'),
  ])
})

test('a create is refused from 20 MB on, whatever it says', async () => {
  await using simulator = await startTestSimulator()
  const limit = 20 * 1024 * 1024

  const within = await call(simulator, 'POST', CREATE, { body: 'x'.repeat(limit) })
  const beyond = await call(simulator, 'POST', CREATE, { body: 'x'.repeat(limit + 1) })

  expect(within).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('Invalid JSON') } } })
  expect(beyond).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('20971520 bytes') } } })
})

test.each([
  ['a file nobody uploaded', MODEL, 'files/none', 404],
  ['what is no file', MODEL, 'batches/none', 404],
  ['a model nobody knows', 'gpt-5', undefined, 404],
  ['a model that only embeds', EMBEDDER, undefined, 404],
])('a batch of %s is refused', async (_, model, fileName, status) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const src = { fileName: fileName ?? (await uploadText(client, linesOf(bodyOf('a')))) }

  await expect(client.batches.create({ model, src })).rejects.toMatchObject({ status })
})

test('an unknown batch is not found, whatever is asked of it', async () => {
  await using simulator = await startTestSimulator()
  const { batches } = clientFor(simulator)
  const { name = '' } = await batches.create({ model: MODEL, src: inlined('a') })
  const others = clientFor(simulator, { apiKey: 'AIza-other' }).batches

  const asked = await Promise.allSettled([
    batches.get({ name: 'batches/none' }),
    batches.cancel({ name: 'batches/none' }),
    batches.delete({ name: 'batches/none' }),
    others.get({ name }),
    others.cancel({ name }),
    others.delete({ name }),
  ])

  const notFound = { status: 'rejected', reason: { status: 404, message: expect.stringContaining('NOT_FOUND') } }
  expect(asked).toMatchObject(asked.map(() => notFound))
})

test.each([
  ['no key', {}, '', 403, 'PERMISSION_DENIED'],
  ['a key nobody has', { 'x-goog-api-key': 'sk-invalid' }, '', 400, 'INVALID_ARGUMENT'],
  ['a key nobody has in its address', {}, '?key=sk-invalid', 400, 'INVALID_ARGUMENT'],
  ['a token nobody has', { authorization: 'Bearer sk-invalid' }, '', 401, 'UNAUTHENTICATED'],
])('a call with %s is refused', async (_, headers: Record<string, string>, query, code, status) => {
  await using simulator = await startTestSimulator()

  const response = await fetch(`${simulator.baseUrl('gemini')}/v1beta/batches${query}`, { headers })

  expect(response.status).toBe(code)
  expect(await response.json()).toMatchObject({ error: { code, status } })
})

test('a key is the same account in a header and in an address; a token and a project are others', async () => {
  await using simulator = await startTestSimulator()
  const url = `${simulator.baseUrl('gemini')}/v1/models`
  const token = { authorization: 'Bearer AIza-test-token' }

  for (const [query, headers] of [
    ['', { 'x-goog-api-key': 'AIza-test' }],
    ['?key=AIza-test', {}],
    ['', token],
    ['', { ...token, 'x-goog-user-project': 'mine' }],
  ] as const) {
    expect((await fetch(url + query, { headers })).status).toBe(200)
  }

  expect(simulator.ledger().accounts.map(({ provider, calls }) => [provider, calls.models])).toEqual([
    ['gemini', 2],
    ['gemini', 1],
    ['gemini', 1],
  ])
  expect(JSON.stringify(simulator.ledger())).not.toContain('AIza')
})

test('what the API does not have is not found, in its own envelope', async () => {
  await using simulator = await startTestSimulator()

  for (const [method, path] of [
    ['POST', `/v1beta/models/${MODEL}:predict`],
    ['GET', `/v2/batches`],
    ['POST', '/v1beta/interactions'],
    ['PUT', '/v1beta/batches/x'],
  ] as const) {
    const answer = await call(simulator, method, path)
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 404, status: 'NOT_FOUND' } } })
  }
})
