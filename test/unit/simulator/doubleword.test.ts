import OpenAI, { toFile } from 'openai'
import { expect, test } from 'vitest'
import { answerDigest, type Simulator, type SimulatorOptions } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { formWith, jsonLines, rowsById, wireTo, type JsonRow } from './wire.ts'

const MODEL = 'Qwen/Qwen3-8B'
const CHAT = '/v1/chat/completions'

/** Its own documentation uses the openai SDK. */
function clientFor(simulator: Simulator, apiKey = 'sk-test'): OpenAI {
  return new OpenAI({ apiKey, baseURL: simulator.baseUrl('doubleword'), maxRetries: 0 })
}

function chatBody(content: string, more: JsonRow = {}): JsonRow {
  return { model: MODEL, messages: [{ role: 'user', content }], ...more }
}

function line(customId: string, content: string, more: JsonRow = {}): JsonRow {
  return { custom_id: customId, method: 'POST', url: CHAT, body: chatBody(content), ...more }
}

async function upload(client: OpenAI, rows: readonly unknown[]): Promise<string> {
  const file = await toFile(Buffer.from(jsonLines(rows)), 'input.jsonl')
  return (await client.files.create({ purpose: 'batch', file })).id
}

async function createBatch(client: OpenAI, rows: readonly unknown[], more: JsonRow = {}): Promise<OpenAI.Batch> {
  const order = { input_file_id: await upload(client, rows), endpoint: CHAT, completion_window: '24h' } as const
  return client.batches.create({ ...order, ...more })
}

async function rowsOf(client: OpenAI, fileId: string | null | undefined): Promise<ReadonlyMap<string, JsonRow>> {
  return rowsById(await (await client.files.content(fileId ?? '')).text())
}

function startDoubleword(options: SimulatorOptions = {}): Promise<Simulator> {
  return startTestSimulator({ autoAdvance: false, ...options })
}

test('a create is 201 and already names both result files; what has no value is absent', async () => {
  await using simulator = await startDoubleword({ startsAt: 1_790_000_000_000 })
  const input = await upload(clientFor(simulator), [line('a', 'apples')])
  const order = { input_file_id: input, endpoint: CHAT, completion_window: '1h', metadata: { job: 'k3' } }

  const reply = await wireTo(simulator, 'doubleword')('POST', '/batches', order)

  expect(reply.status).toBe(201)
  expect(reply.json).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    object: 'batch',
    endpoint: CHAT,
    input_file_id: input,
    completion_window: '1h',
    status: 'validating',
    output_file_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    error_file_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    created_at: 1_790_000_000,
    expires_at: 1_790_003_600,
    request_counts: { total: 0, completed: 0, failed: 0 },
    metadata: { job: 'k3', request_source: 'api', created_by_email: expect.any(String) },
  })
})

test('models and endpoints share a batch, and rows can be read as they finish', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const message = { model: 'other/model', max_tokens: 10, messages: [{ role: 'user', content: 'plums' }] }
  const rows = [
    line('chat', 'apples'),
    line('embedding', '', { url: '/v1/embeddings', body: { model: 'a/embedder', input: 'pears' } }),
    line('message', '', { url: '/v1/messages', body: message }),
    line('response', '', { url: '/v1/responses', body: { model: MODEL, input: 'quinces' } }),
  ]
  const { id, output_file_id: output } = await createBatch(client, rows)

  simulator.advance(300 + 1200)
  const running = await client.batches.retrieve(id)
  const wire = wireTo(simulator, 'doubleword')
  const half = await wire('GET', `/files/${output}/content`)
  simulator.advance(1500)
  const rest = await wire('GET', `/files/${output}/content?skip=2`)
  const page = await wire('GET', `/files/${output}/content?skip=1&limit=2`)
  const ended = await client.batches.retrieve(id)

  expect(running).toMatchObject({ status: 'in_progress', request_counts: { total: 4, completed: 2, failed: 0 } })
  expect(half.headers.get('x-incomplete')).toBe('true')
  expect(half.headers.get('x-last-line')).toBe('2')
  expect(rest.headers.get('x-incomplete')).toBe('false')
  expect(rest.headers.get('x-last-line')).toBe('4')
  expect(page.headers.get('x-incomplete')).toBe('true')
  expect(page.headers.get('x-last-line')).toBe('3')
  expect((half.text + rest.text).split('\n').slice(1, 3)).toEqual(page.text.split('\n').slice(0, 2))
  const all = rowsById(half.text + rest.text)
  expect(all.size).toBe(4)
  expect(all.get('chat')).toMatchObject({
    response: {
      status_code: 200,
      request_id: null,
      body: { choices: [{ message: { content: `Answer ${answerDigest(CHAT, chatBody('apples'))}: apples` } }] },
    },
    error: null,
  })
  expect(all.get('embedding')).toMatchObject({ response: { body: { object: 'list' } } })
  expect(all.get('message')).toMatchObject({ response: { body: { type: 'message' } } })
  expect(all.get('response')).toMatchObject({ response: { body: { object: 'response' } } })
  expect(ended).toMatchObject({ status: 'completed', completed_at: expect.any(Number) })
  expect(simulator.ledger().executions).toMatchObject({ batch: 4, distinct: 4 })
})

test('rows finish in an order that is not the input, and what was read stays where it was', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const ids = Array.from({ length: 600 }, (_, index) => `r${index}`)
  // More than one block of the input.
  const { output_file_id: output } = await createBatch(
    client,
    ids.map((id) => line(id, `${id} ${'x'.repeat(1000)}`)),
  )
  const wire = wireTo(simulator, 'doubleword')
  let text = ''
  let skip = 0

  for (let look = 0; look < 11; look++) {
    const part = await wire('GET', `/files/${output}/content?skip=${skip}`)
    text += part.text
    skip = Number(part.headers.get('x-last-line'))
    simulator.advance(300)
  }
  const whole = await wire('GET', `/files/${output}/content`)

  const read = [...rowsById(text).keys()]
  expect(text).toBe(whole.text)
  expect(read).not.toEqual(ids)
  expect(read.toSorted()).toEqual(ids.toSorted())
})

test('an error is text that holds JSON: what was answered, and whether it was tried again', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const rows = [line('a', 'apples'), line('b', '[[simulate:429]]'), line('c', '', { body: { model: MODEL } })]
  const { id, error_file_id: errors } = await createBatch(client, rows)
  simulator.advance(3000)

  const failed = await rowsOf(client, errors)

  const reason = (customId: string): unknown => {
    const { response, error } = failed.get(customId) as { response: unknown; error: { code: unknown; message: string } }
    expect({ response, code: error.code }).toEqual({ response: null, code: null })
    return JSON.parse(error.message)
  }
  expect(reason('b')).toEqual({ type: 'RetriableHttpStatus', details: { status: 429, body: expect.any(String) } })
  expect(reason('c')).toMatchObject({ type: 'NonRetriableHttpStatus', details: { status: 400 } })
  expect((await client.batches.retrieve(id)).status).toBe('completed')
  expect([...(await rowsOf(client, (await client.batches.retrieve(id)).output_file_id)).keys()]).toEqual(['a'])
})

test('a batch whose rows all fail has failed, and its errors can be read', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const { id } = await createBatch(client, [line('a', '[[simulate:400]]'), line('b', '[[simulate:500]]')])
  simulator.advance(3000)

  const ended = await client.batches.retrieve(id)

  expect(ended).toMatchObject({ status: 'failed', request_counts: { total: 2, completed: 0, failed: 2 } })
  expect(ended).toMatchObject({ failed_at: expect.any(Number) })
  expect(ended).not.toHaveProperty('errors')
  expect((await rowsOf(client, ended.error_file_id)).size).toBe(2)
})

test('cancelled rows are in neither file', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const { id } = await createBatch(client, [line('a', 'x'), line('b', 'y'), line('c', 'z'), line('d', 'w')])
  simulator.advance(300 + 1200)

  const cancelling = await client.batches.cancel(id)
  simulator.advance(300)
  const cancelled = await client.batches.retrieve(id)

  expect(cancelling.status).toBe('cancelling')
  expect(cancelled).toMatchObject({ status: 'cancelled', request_counts: { total: 4, completed: 2, failed: 0 } })
  expect((await rowsOf(client, cancelled.output_file_id)).size).toBe(2)
  expect((await rowsOf(client, cancelled.error_file_id)).size).toBe(0)
  await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 400 })
})

test('after its deadline a batch goes on, and says only when it should have ended', async () => {
  const hour = 60 * 60 * 1000
  await using simulator = await startDoubleword({ batchMs: 2 * hour })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, [line('a', 'x')], { completion_window: '1h' })

  simulator.advance(hour)
  const late = await client.batches.retrieve(id)
  simulator.advance(hour)
  const ended = await client.batches.retrieve(id)

  expect(late).toMatchObject({ status: 'in_progress', expired_at: late.expires_at })
  expect(ended).toMatchObject({ status: 'completed', request_counts: { completed: 1 } })
})

test('a batch that is ended early says so in the rows it did not run', async () => {
  await using simulator = await startDoubleword({ faults: [{ kind: 'expire', afterRows: 1 }] })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, [line('a', 'x'), line('b', 'y')])
  simulator.advance(3000)

  const ended = await client.batches.retrieve(id)
  const errors = [...(await rowsOf(client, ended.error_file_id)).values()]

  expect(ended).toMatchObject({ status: 'completed', request_counts: { total: 2, completed: 1, failed: 1 } })
  expect(errors).toMatchObject([{ error: { message: '{"type":"BatchTerminated"}' } }])
})

test.each([
  ['is not JSON', 'no JSON', 400],
  ['has an id of another line', line('a', 'x'), 400],
  ['has an id that is not ASCII', line('é', 'x'), 400],
  ['has an id of 65 characters', line('x'.repeat(65), 'x'), 400],
  ['goes nowhere', line('b', 'x', { url: '/v1/images/generations' }), 400],
  ['is not a POST', line('b', 'x', { method: 'GET' }), 400],
  ['asks to be invalid', line('b', '[[simulate:invalid]]'), 400],
  ['wants a model that is not there', line('b', 'x', { body: chatBody('x', { model: 'unknown' }) }), 403],
])('an upload is refused in plain text when a line %s', async (_, bad, status) => {
  await using simulator = await startDoubleword()
  const wire = wireTo(simulator, 'doubleword')

  const reply = await wire(
    'POST',
    '/files',
    formWith({ purpose: 'batch' }, 'in.jsonl', jsonLines([line('a', 'x'), bad])),
  )

  expect(reply).toMatchObject({ status, text: expect.stringMatching(/^Line 2: /) })
  expect(reply.headers.get('content-type')).toMatch(/^text\/plain/)
  expect((await clientFor(simulator).files.list()).data).toEqual([])
})

test('uploads of no lines, of another purpose or too large are refused', async () => {
  await using simulator = await startDoubleword({ limits: { bytes: 1000 } })
  const wire = wireTo(simulator, 'doubleword')
  const status = async (purpose: string, text: string): Promise<number> =>
    (await wire('POST', '/files', formWith({ purpose }, 'in.jsonl', text))).status

  expect(await status('batch', '')).toBe(400)
  expect(await status('user_data', '{}')).toBe(400)
  expect(await status('batch', 'x'.repeat(1001))).toBe(413)
})

test('without room a create is a 429 that says when to come again, and leaves nothing behind', async () => {
  await using simulator = await startDoubleword({ faults: [{ kind: 'token-limit', times: 1 }] })
  const client = clientFor(simulator)
  const input = await upload(client, [line('a', 'x')])
  const order = { input_file_id: input, endpoint: CHAT, completion_window: '24h' }

  const full = await wireTo(simulator, 'doubleword')('POST', '/batches', order)
  const files = (await client.files.list()).data
  const again = await wireTo(simulator, 'doubleword')('POST', '/batches', order)

  expect(full.status).toBe(429)
  expect(full.headers.get('retry-after')).toBe('60')
  expect(full.json).toMatchObject({ error: expect.any(String), retry_after_seconds: 60 })
  expect(files.map(({ id }) => id)).toEqual([input])
  expect(again.status).toBe(201)
  expect(simulator.ledger().batches).toMatchObject({ created: 1, failed: 0 })
})

test('a batch that cannot be filled has failed, with its errors bare of an object', async () => {
  await using simulator = await startDoubleword({ faults: [{ kind: 'reject', line: 1, message: 'no' }] })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, [line('a', 'x')])
  simulator.advance(3000)

  const ended = await client.batches.retrieve(id)

  expect(ended).toMatchObject({ status: 'failed', errors: { data: [{ line: 1, message: 'no' }] } })
  expect(ended.errors).not.toHaveProperty('object')
  expect(await (await client.files.content(ended.output_file_id ?? '')).text()).toBe('')
})

test.each([
  ['an endpoint it does not have', { endpoint: '/v1/moderations' }, 400],
  ['a window it does not have', { completion_window: '7d' }, 400],
  ['no window', { completion_window: undefined }, 422],
  ['an unknown file', { input_file_id: 'c0ffee' }, 404],
  ['a reserved key', { metadata: { created_by: 'me' } }, 400],
  ['17 pairs', { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])) }, 400],
])('a create with %s is refused in plain text', async (_, change, status) => {
  await using simulator = await startDoubleword()
  const input = await upload(clientFor(simulator), [line('a', 'x')])
  const order = { input_file_id: input, endpoint: CHAT, completion_window: '24h', ...change }

  const reply = await wireTo(simulator, 'doubleword')('POST', '/batches', order)

  expect(reply).toMatchObject({ status, json: undefined })
  expect(simulator.ledger().batches.created).toBe(0)
})

test('a list is searched by metadata, file and id, filtered, and read page by page', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const first = await createBatch(client, [line('a', 'x')], { metadata: { job: 'K3F9' } })
  simulator.advance(3000)
  const second = await createBatch(client, [line('a', 'y')], { metadata: { job: 'other' }, completion_window: '1h' })
  const found = async (query: string): Promise<unknown> => {
    return (await client.get<{ data: OpenAI.Batch[] }>(`/batches?${query}`)).data.map(({ id }) => id)
  }

  expect(await found('')).toEqual([second.id, first.id])
  expect(await found('search=k3f9')).toEqual([first.id])
  expect(await found('search=INPUT.jsonl')).toEqual([second.id, first.id])
  expect(await found(`search=${second.id}`)).toEqual([second.id])
  expect(await found('search=nothing')).toEqual([])
  expect(await found('status=completed')).toEqual([first.id])
  expect(await found('completion_window=1h')).toEqual([second.id])
  expect(await found('limit=1')).toEqual([second.id])
  expect(await found(`limit=1&after=${second.id}`)).toEqual([first.id])
  expect((await clientFor(simulator, 'sk-other').batches.list()).data).toEqual([])
  await expect(clientFor(simulator, 'sk-other').batches.retrieve(first.id)).rejects.toMatchObject({ status: 404 })
})

test('rows of a page go wrong on request', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const { output_file_id: output } = await createBatch(client, [line('a', 'x'), line('b', 'y')])
  simulator.advance(3000)
  simulator.fault({ kind: 'corrupt-row', rows: [2] })
  simulator.fault({ kind: 'unknown-row', customId: 'stranger' })

  const wire = wireTo(simulator, 'doubleword')
  const faulty = (await wire('GET', `/files/${output}/content?skip=1`)).text.trimEnd().split('\n')

  expect(faulty).toHaveLength(2)
  expect(() => JSON.parse(faulty[0] ?? '')).toThrow(SyntaxError)
  expect(JSON.parse(faulty[1] ?? '')).toMatchObject({ custom_id: 'stranger' })
})

test('live calls answer in each shape; requests are refused in an envelope, and strangers in plain text', async () => {
  await using simulator = await startDoubleword()
  const client = clientFor(simulator)
  const messages = [{ role: 'user' as const, content: 'hello' }]

  const chat = await client.chat.completions.create({ model: MODEL, messages })
  const embedded = await client.embeddings.create({ model: MODEL, input: 'hello', dimensions: 8 })
  const message = await wireTo(simulator, 'doubleword')('POST', '/messages', { model: MODEL, max_tokens: 5, messages })
  const nobody = await wireTo(simulator, 'doubleword', null)('GET', '/batches')

  expect(chat.choices[0]?.message.content).toMatch(/: hello$/)
  expect(embedded.data[0]?.embedding).toHaveLength(8)
  expect(message.json).toMatchObject({ type: 'message', usage: { output_tokens: expect.any(Number) } })
  expect(nobody).toMatchObject({ status: 401, json: undefined })
  await expect(clientFor(simulator, 'sk-invalid').models.list()).rejects.toMatchObject({ status: 401 })
  await expect(client.chat.completions.create({ model: 'none', messages })).rejects.toMatchObject({
    status: 404,
    code: 'model_not_found',
  })
})
