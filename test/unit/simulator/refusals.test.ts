import { toFile } from 'openai'
import { expect, test } from 'vitest'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  chatBody,
  chatRows,
  clientFor,
  createBatch,
  toJsonLines,
  untilEnded,
  uploadText,
  type Row,
} from './openai-client.ts'

const good = chatRows('fine')[0]
const line = (row: unknown): string => JSON.stringify(row)
const chatLine = (row: Partial<Row>): string =>
  line({ custom_id: 'second', method: 'POST', url: '/v1/chat/completions', body: chatBody('x'), ...row })

test.each([
  ['is not JSON', '{"custom_id": "second", ', 'invalid_json_line'],
  ['is empty', '', 'invalid_json_line'],
  ['has no custom_id', chatLine({ custom_id: '' }), 'missing_required_parameter'],
  ['has a custom_id of another line', chatLine({ custom_id: 'r1' }), 'duplicate_custom_id'],
  ['has a custom_id of 65 characters', chatLine({ custom_id: 'x'.repeat(65) }), 'invalid_custom_id'],
  ['is not a POST', chatLine({ method: 'GET' }), 'invalid_method'],
  ['goes elsewhere', chatLine({ url: '/v1/responses' }), 'url_mismatch'],
  ['has no body', chatLine({ body: null }), 'invalid_body'],
  ['has no model', chatLine({ body: { messages: [] } }), 'missing_required_parameter'],
  ['wants another model', chatLine({ body: chatBody('x', { model: 'gpt-other' }) }), 'mismatched_model'],
  ['wants a model that does not exist', chatLine({ body: chatBody('x', { model: 'unknown' }) }), 'model_not_found'],
  ['streams', chatLine({ body: chatBody('x', { stream: true }) }), 'streaming_unsupported'],
  ['asks to be invalid', chatLine({ body: chatBody('[[simulate:invalid]]') }), 'invalid_request'],
])('a batch fails as a whole when a line %s', async (_, bad, code) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rest = chatLine({ custom_id: 'last', method: 'PUT' })

  const created = await createBatch(client, [toJsonLines(good ? [good] : []), bad, rest].join('\n'))
  const batch = await untilEnded(client, created.id)

  expect(created.status).toBe('validating')
  expect(batch).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null })
  expect(batch.errors?.data).toMatchObject([{ code, line: 2 }])
  expect(batch.failed_at).toBeGreaterThanOrEqual(batch.created_at)
  expect(simulator.ledger().executions).toMatchObject({ live: 0, batch: 0 })
})

test('a batch of no lines, or of too many, fails without naming one', async () => {
  await using simulator = await startTestSimulator({ limits: { jobs: 2 } })
  const client = clientFor(simulator)

  const empty = await untilEnded(client, (await createBatch(client, '')).id)
  const long = await untilEnded(client, (await createBatch(client, chatRows('a', 'b', 'c'))).id)
  const inputs = [{ custom_id: 'r1', body: { model: 'text-embedding-3-small', input: ['a', 'b', 'c'] } }]
  const wide = await untilEnded(client, (await createBatch(client, inputs, '/v1/embeddings')).id)

  expect(empty.errors?.data).toMatchObject([{ code: 'empty_file', line: null }])
  expect(long.errors?.data).toMatchObject([{ code: 'too_many_tasks', line: null }])
  expect(wide.errors?.data).toMatchObject([{ code: 'too_many_tasks', line: null }])
})

test('a custom_id may be 64 characters of any kind, and the last line may end in a newline', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = [{ custom_id: `é /${'x'.repeat(61)}`, body: chatBody('a') }]

  const batch = await untilEnded(client, (await createBatch(client, `${toJsonLines(rows)}\n`)).id)

  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 1, completed: 1 } })
})

test.each([
  ['an unknown file', { input_file_id: 'file-nowhere' }, 'input_file_id'],
  ['an endpoint that has no batches', { endpoint: '/v1/audio/speech' }, 'endpoint'],
  ['a window that is not 24h', { completion_window: '1h' }, 'completion_window'],
  [
    '17 pairs of metadata',
    { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])) },
    'metadata',
  ],
  ['a metadata key of 65 characters', { metadata: { ['k'.repeat(65)]: 'v' } }, 'metadata'],
  ['a metadata value of 513 characters', { metadata: { key: 'v'.repeat(513) } }, 'metadata.key'],
  ['a metadata value that is no string', { metadata: { key: 1 } }, 'metadata.key'],
  [
    'results that live for a minute',
    { output_expires_after: { anchor: 'created_at', seconds: 60 } },
    'output_expires_after.seconds',
  ],
])('a create with %s is refused at once', async (_, change, param) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const file = await uploadText(client, toJsonLines(chatRows('a')))
  const body = { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', ...change }

  const creating = client.post('/batches', { body })

  await expect(creating).rejects.toMatchObject({ status: 400, param, type: 'invalid_request_error' })
  expect(simulator.ledger().batches.created).toBe(0)
})

test('a create with the largest metadata there may be is accepted', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const metadata = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [String(index).padEnd(64, 'k'), 'v'.repeat(512)]),
  )

  const batch = await client.batches.create({
    input_file_id: await uploadText(client, toJsonLines(chatRows('a'))),
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata,
  })

  expect(batch.metadata).toEqual(metadata)
})

test('a file for another purpose, or a too large one, cannot be the input of a batch', async () => {
  await using simulator = await startTestSimulator({ limits: { bytes: 200 } })
  const client = clientFor(simulator)
  const other = await client.files.create({ purpose: 'user_data', file: await toFile(Buffer.from('{}'), 'x.jsonl') })

  const wrong = { input_file_id: other.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const
  await expect(client.batches.create(wrong)).rejects.toMatchObject({ status: 400, param: 'input_file_id' })
  await expect(createBatch(client, chatRows('long'.repeat(50)))).rejects.toMatchObject({
    status: 400,
    code: 'file_too_large',
  })
})

test('an upload without a purpose, with an unknown one, under another name or too large is refused and leaves no file', async () => {
  await using simulator = await startTestSimulator({ limits: { fileBytes: 1000 } })
  const client = clientFor(simulator)
  const upload = (fields: Record<string, string>, name: string, text: string): Promise<number> => {
    const form = new FormData()
    for (const [field, value] of Object.entries(fields)) form.set(field, value)
    form.set('file', new Blob([text]), name)
    const headers = { authorization: 'Bearer sk-test' }
    return fetch(`${simulator.baseUrl('openai')}/files`, { method: 'POST', headers, body: form }).then(
      ({ status }) => status,
    )
  }

  const statuses = [
    await upload({}, 'x.jsonl', '{}'),
    await upload({ purpose: 'fun' }, 'x.jsonl', '{}'),
    await upload({ purpose: 'batch' }, 'x.txt', '{}'),
    await upload(
      { purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '5' },
      'x.jsonl',
      '{}',
    ),
    await upload({ purpose: 'batch' }, 'x.jsonl', 'x'.repeat(1001)),
  ]

  expect(statuses).toEqual([400, 400, 400, 400, 413])
  expect((await client.files.list()).data).toEqual([])
})

test('who brings no key, or one that is not known, gets a 401 everywhere', async () => {
  await using simulator = await startTestSimulator()

  const without = await fetch(`${simulator.baseUrl('openai')}/batches`)
  const stranger = clientFor(simulator, { apiKey: 'sk-invalid-key' })

  expect(without.status).toBe(401)
  expect(without.headers.get('x-request-id')).toMatch(/^req_/)
  expect(await without.json()).toMatchObject({ error: { type: 'invalid_request_error', param: null, code: null } })
  await expect(stranger.batches.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
  await expect(stranger.chat.completions.create({ model: 'gpt-x', messages: [] })).rejects.toMatchObject({
    status: 401,
  })
})

test('a path that OpenAI does not have is a 404 in its envelope', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  await expect(client.get('/nothing')).rejects.toMatchObject({ status: 404, type: 'invalid_request_error' })
  await expect(client.batches.retrieve('batch_none')).rejects.toMatchObject({ status: 404 })
  await expect(client.batches.list({ limit: 101 })).rejects.toMatchObject({ status: 400, param: 'limit' })
})
