import Groq, { toFile } from 'groq-sdk'
import { expect, test } from 'vitest'
import { answerDigest, type Simulator } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { jsonLines, rowsById, wireTo } from './wire.ts'

const MODEL = 'llama-3.1-8b-instant'
const CHAT = '/v1/chat/completions'

function clientFor(simulator: Simulator, apiKey = 'gsk_test'): Groq {
  return new Groq({ apiKey, baseURL: simulator.baseUrl('groq'), maxRetries: 0 })
}

function chatBody(content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: MODEL, messages: [{ role: 'user', content }], ...more }
}

function chatLine(customId: string, content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { custom_id: customId, method: 'POST', url: CHAT, body: chatBody(content), ...more }
}

async function createBatch(
  client: Groq,
  rows: readonly unknown[],
  more: Record<string, unknown> = {},
): Promise<Groq.BatchCreateResponse> {
  const file = await client.files.create({
    purpose: 'batch',
    file: await toFile(Buffer.from(jsonLines(rows)), 'in.jsonl'),
  })
  const order = { input_file_id: file.id ?? '', endpoint: CHAT, completion_window: '24h' } as const
  return client.batches.create({ ...order, ...more })
}

async function untilEnded(client: Groq, id: string): Promise<Groq.BatchRetrieveResponse> {
  for (let look = 0; look < 20; look++) {
    const batch = await client.batches.retrieve(id)
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) return batch
  }
  throw new Error(`batch ${id} does not end`)
}

async function rowsOf(client: Groq, fileId: string | null | undefined): Promise<ReturnType<typeof rowsById>> {
  return rowsById(fileId ? await (await client.files.content(fileId)).text() : '')
}

test('a batch of the SDK is completed, and each caller finds its own answer', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const created = await createBatch(client, [chatLine('a', 'apples'), chatLine('b', '[[simulate:429]]')], {
    metadata: { tag: 'x1' },
  })

  const ended = await untilEnded(client, created.id)

  expect(created).toMatchObject({ object: 'batch', status: 'validating', errors: null, endpoint: CHAT })
  expect(created.input_file_id).toMatch(/^file_/)
  expect(ended).toMatchObject({ status: 'completed', request_counts: { total: 2, completed: 1, failed: 1 } })
  expect(ended).toMatchObject({ errors: null, metadata: { tag: 'x1' } })
  const content = `Answer ${answerDigest(CHAT, chatBody('apples'))}: apples`
  expect((await rowsOf(client, ended.output_file_id)).get('a')).toMatchObject({
    response: { status_code: 200, body: { choices: [{ message: { content } }], x_groq: { id: expect.any(String) } } },
    error: null,
  })
  expect((await rowsOf(client, ended.error_file_id)).get('b')).toMatchObject({ response: { status_code: 429 } })
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 1 }, errors: { batch: 1 } })
})

test('a bad line is listed bare among the errors of a completed batch, and the others run', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = [
    chatLine('a', 'apples'),
    chatLine('b', 'pears', { method: 'GET' }),
    chatLine('a', 'again'),
    chatLine('c', 'plums', { url: '/openai/v1/chat/completions' }),
    chatLine('d', 'quinces', { body: chatBody('quinces', { stream: true }) }),
    chatLine('e', 'cherries', { body: chatBody('cherries', { model: 'unknown' }) }),
    '{"custom_id": ',
    chatLine('z', 'medlars'),
  ]

  const ended = await untilEnded(client, (await createBatch(client, rows)).id)

  expect(ended).toMatchObject({ status: 'completed', request_counts: { total: 2, completed: 2, failed: 0 } })
  expect(ended.errors).toMatchObject([
    { line: 2, code: 'invalid_method' },
    { line: 3, code: 'duplicate_custom_id' },
    { line: 4, code: 'url_mismatch' },
    { line: 5, code: 'streaming_unsupported' },
    { line: 6, code: 'model_not_found' },
    { line: 7, code: 'invalid_json_line' },
  ])
  expect([...(await rowsOf(client, ended.output_file_id)).keys()].toSorted()).toEqual(['a', 'z'])
  expect(ended.error_file_id).toBeNull()
})

test('a batch without any good line fails, and one of too many lines too', async () => {
  await using simulator = await startTestSimulator({ limits: { jobs: 1 } })
  const client = clientFor(simulator)

  const bad = await untilEnded(client, (await createBatch(client, ['no JSON'])).id)
  const long = await untilEnded(client, (await createBatch(client, [chatLine('a', 'x'), chatLine('b', 'x')])).id)

  expect(bad).toMatchObject({ status: 'failed', errors: { data: [{ code: 'empty_file' }] } })
  expect(long).toMatchObject({ status: 'failed', errors: { data: [{ code: 'too_many_tasks', line: null }] } })
  expect(simulator.ledger().executions.batch).toBe(0)
})

test('several batches are asked about at once, and those of others are left out', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const mine = [await createBatch(client, [chatLine('a', 'x')]), await createBatch(client, [chatLine('a', 'y')])]
  const other = await createBatch(clientFor(simulator, 'gsk_other'), [chatLine('a', 'z')])
  const query = [...mine, other].map(({ id }) => `id=${id}`).join('&')

  const reply = await wireTo(simulator, 'groq', 'gsk_test')('GET', `/openai/v1/batches?${query}`)
  const many = await wireTo(simulator, 'groq', 'gsk_test')('GET', `/openai/v1/batches?${'id=x&'.repeat(201)}`)

  expect(reply.json).toMatchObject({ object: 'list', data: mine.map(({ id }) => ({ id })) })
  expect(reply.json).not.toHaveProperty('paging')
  expect(many.status).toBe(400)
  expect(simulator.ledger().calls).toMatchObject({ poll: 2, list: 0 })
})

test('lists go on at a cursor, newest first, until there is none', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const file = await client.files.create({
    purpose: 'batch',
    file: await toFile(Buffer.from(jsonLines([chatLine('a', 'x')])), 'in.jsonl'),
  })
  const order = { input_file_id: file.id ?? '', endpoint: CHAT, completion_window: '24h' } as const
  const ids: string[] = []
  for (let index = 0; index < 21; index++) ids.unshift((await client.batches.create(order)).id)

  const first = await client.batches.list()
  const cursor = 'paging' in first ? first.paging : undefined
  const next = await client.batches.list({ query: { cursor: (cursor as { next_cursor: string }).next_cursor } })
  const bad = await wireTo(simulator, 'groq')('GET', '/openai/v1/batches?cursor=nonsense')

  expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 20))
  expect(next).toMatchObject({ data: [{ id: ids[20] }], paging: { next_cursor: '' } })
  expect(bad.status).toBe(400)
})

test.each([
  ['24h', 24],
  ['30h', 30],
  ['7d', 168],
])('a window of %s ends a slow batch with what it has', async (window, hours) => {
  const hour = 60 * 60 * 1000
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 1000 * hour })
  const client = clientFor(simulator)
  const {
    id,
    created_at: at,
    expires_at: expires,
  } = await createBatch(client, [chatLine('a', 'x')], {
    completion_window: window,
  })

  simulator.advance(hours * hour - 1000)
  const before = await client.batches.retrieve(id)
  simulator.advance(1000)
  const after = await client.batches.retrieve(id)

  expect(expires).toBe(at + hours * 3600)
  expect(before.status).not.toBe('expired')
  expect(after).toMatchObject({ status: 'expired', completion_window: window, output_file_id: null })
  expect((await rowsOf(client, after.error_file_id)).get('a')).toMatchObject({ error: { code: 'batch_expired' } })
})

test.each([
  ['a window below a day', { completion_window: '23h' }],
  ['a window above a week', { completion_window: '8d' }],
  ['a window that is no time', { completion_window: 'soon' }],
  ['the path of its own URL', { endpoint: '/openai/v1/chat/completions' }],
  ['an endpoint without batches', { endpoint: '/v1/embeddings' }],
  ['an unknown file', { input_file_id: 'file_none' }],
  ['metadata that is no text', { metadata: { tag: 1 } }],
])('a create with %s is refused', async (_, change) => {
  await using simulator = await startTestSimulator()
  const creating = createBatch(clientFor(simulator), [chatLine('a', 'x')], change)

  await expect(creating).rejects.toMatchObject({ status: 400, error: { error: { type: 'invalid_request_error' } } })
  expect(simulator.ledger().batches.created).toBe(0)
})

test('a cancelled batch keeps what it had executed', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, [chatLine('a', 'x'), chatLine('b', 'y')])
  simulator.advance(300 + 1200)

  const cancelling = await client.batches.cancel(id)
  simulator.advance(300)
  const cancelled = await client.batches.retrieve(id)

  expect(cancelling.status).toBe('cancelling')
  expect(cancelled).toMatchObject({ status: 'cancelled', request_counts: { total: 2, completed: 1 } })
  expect([...(await rowsOf(client, cancelled.output_file_id)).keys()]).toEqual(['a'])
  expect((await rowsOf(client, cancelled.error_file_id)).get('b')).toMatchObject({ error: { code: 'batch_cancelled' } })
  await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 400 })
})

test('audio is transcribed by URL in batches, and live from files too', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const body = { model: 'whisper-large-v3', url: 'https://example.com/speech.mp3', response_format: 'verbose_json' }
  const line = { custom_id: 'a', method: 'POST', url: '/v1/audio/transcriptions', body }
  const file = { ...line, custom_id: 'b', body: { model: 'whisper-large-v3', file: 'speech.mp3' } }

  const batch = await createBatch(client, [line, file], { endpoint: '/v1/audio/transcriptions' })
  const ended = await untilEnded(client, batch.id)
  const live = await client.audio.transcriptions.create({
    model: 'whisper-large-v3',
    file: await toFile(Buffer.from('sound'), 'speech.mp3'),
  })
  const translated = await client.audio.translations.create({ model: 'whisper-large-v3', url: body.url })

  const text = `Answer ${answerDigest('/v1/audio/transcriptions', body)}: ${body.url}`
  expect((await rowsOf(client, ended.output_file_id)).get('a')).toMatchObject({
    response: { body: { text, task: 'transcribe', segments: [{ text }] } },
  })
  expect((await rowsOf(client, ended.error_file_id)).get('b')).toMatchObject({ response: { status_code: 400 } })
  expect(live.text).toMatch(/: speech\.mp3$/)
  expect(translated.text).toContain(body.url)
})

test('live calls are answered whole and as a stream, with tools and with schemas', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const messages = [{ role: 'user', content: 'hello' }] as const
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const tool = { type: 'function', function: { name: 'weather', parameters: schema } } as const

  const answer = await client.chat.completions.create({ model: MODEL, messages: [...messages] })
  const stream = await client.chat.completions.create({ model: MODEL, messages: [...messages], stream: true })
  const called = await client.chat.completions.create({
    model: MODEL,
    messages: [...messages],
    tools: [tool],
    tool_choice: 'required',
  })
  const formatted = await client.chat.completions.create({
    model: MODEL,
    messages: [...messages],
    response_format: { type: 'json_schema', json_schema: { name: 'place', schema } },
  })
  let streamed = ''
  for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? ''

  expect(answer).toMatchObject({ choices: [{ message: { content: expect.stringMatching(/: hello$/) } }], x_groq: {} })
  expect(answer.usage?.total_tokens).toBeGreaterThan(0)
  expect(streamed).toMatch(/: hello$/)
  expect(called.choices[0]?.message.tool_calls?.[0]?.function.name).toBe('weather')
  expect(JSON.parse(formatted.choices[0]?.message.content ?? '')).toHaveProperty('city')
  expect(simulator.ledger().executions.live).toBe(4)
})

test('embeddings are answered live, and never in a batch', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const body = { model: 'nomic-embed-text-v1_5', input: 'apples' }
  const endpoint = '/v1/embeddings'
  const line = { custom_id: 'a', method: 'POST', url: endpoint, body }

  const { data } = await client.embeddings.create(body)

  expect(data[0]?.embedding.length).toBeGreaterThan(1)
  await expect(createBatch(client, [line], { endpoint })).rejects.toMatchObject({ status: 400 })
})

test('errors are in its own envelope: 401, 404 and 400', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const messages = [{ role: 'user', content: 'hello' }] as const

  const nobody = await wireTo(simulator, 'groq', null)('GET', '/openai/v1/batches')
  const outside = await wireTo(simulator, 'groq')('POST', '/v1/chat/completions', chatBody('x'))

  expect(nobody.status).toBe(401)
  expect(nobody.json).toEqual({
    error: { message: 'Invalid API Key', type: 'invalid_request_error', code: 'invalid_api_key' },
  })
  expect(outside.status).toBe(404)
  await expect(clientFor(simulator, 'sk-invalid').batches.list()).rejects.toMatchObject({ status: 401 })
  await expect(client.batches.retrieve('batch_none')).rejects.toMatchObject({ status: 404 })
  await expect(client.files.info('file_none')).rejects.toMatchObject({ status: 404 })
  await expect(client.chat.completions.create({ model: 'none', messages: [...messages] })).rejects.toMatchObject({
    status: 404,
    error: { error: { code: 'model_not_found' } },
  })
  await expect(client.chat.completions.create({ model: MODEL, messages: [] })).rejects.toMatchObject({ status: 400 })
})

test('files are found, listed and deleted, and only of the right kind taken in', async () => {
  await using simulator = await startTestSimulator({ limits: { fileBytes: 1000 } })
  const client = clientFor(simulator)
  const upload = async (text: string, name = 'in.jsonl'): Promise<Groq.FileCreateResponse> =>
    client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(text), name) })

  const file = await upload('{}')

  expect(await client.files.info(file.id ?? '')).toEqual({
    id: file.id,
    object: 'file',
    bytes: 2,
    created_at: expect.any(Number),
    filename: 'in.jsonl',
    purpose: 'batch',
  })
  expect((await client.files.list()).data.map(({ id }) => id)).toEqual([file.id])
  await expect(upload('{}', 'in.txt')).rejects.toMatchObject({ status: 400 })
  await expect(upload('x'.repeat(1001))).rejects.toMatchObject({ status: 413 })
  expect(await client.files.delete(file.id ?? '')).toMatchObject({ deleted: true })
  await expect(client.files.info(file.id ?? '')).rejects.toMatchObject({ status: 404 })
})

test('rows of a download go wrong on request', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const batch = await untilEnded(client, (await createBatch(client, [chatLine('a', 'x'), chatLine('b', 'y')])).id)
  simulator.fault({ kind: 'missing-row' })
  simulator.fault({ kind: 'unknown-row', customId: 'stranger' })

  const faulty = await rowsOf(client, batch.output_file_id)
  simulator.clearFaults()
  const whole = await rowsOf(client, batch.output_file_id)

  expect(faulty.size).toBe(2)
  expect(faulty.has('stranger')).toBe(true)
  expect([...whole.keys()].toSorted()).toEqual(['a', 'b'])
})
