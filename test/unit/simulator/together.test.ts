import Together from 'together-ai'
import { expect, test } from 'vitest'
import { answerDigest, type Simulator } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { formWith, jsonLines, rowsById, wireTo } from './wire.ts'

const MODEL = 'meta-llama/Llama-3.3-70B-Instruct-Turbo'
const CHAT = '/v1/chat/completions'
const TRANSCRIPTIONS = '/v1/audio/transcriptions'

function clientFor(simulator: Simulator, apiKey = 'sk-test'): Together {
  return new Together({ apiKey, baseURL: simulator.baseUrl('together'), maxRetries: 0 })
}

function chatBody(content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: MODEL, messages: [{ role: 'user', content }], ...more }
}

function chatLine(customId: string, content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { custom_id: customId, body: chatBody(content), ...more }
}

/** The SDK's own upload talks to a fixed host; this is the documented call. */
async function upload(simulator: Simulator, rows: readonly unknown[], apiKey = 'sk-test'): Promise<string> {
  const form = formWith({ purpose: 'batch-api', file_name: 'in.jsonl' }, 'blob', jsonLines(rows))
  const { status, json } = await wireTo(simulator, 'together', apiKey)('POST', '/files/upload', form)
  expect(status).toBe(200)
  return String(json?.['id'])
}

async function createBatch(
  simulator: Simulator,
  rows: readonly unknown[],
  endpoint: Together.BatchCreateParams['endpoint'] = CHAT,
): Promise<string> {
  const created = await clientFor(simulator).batches.create({ input_file_id: await upload(simulator, rows), endpoint })
  return created.job?.id ?? ''
}

async function untilEnded(client: Together, id: string): Promise<Together.BatchJob> {
  for (let look = 0; look < 20; look++) {
    const job = await client.batches.retrieve(id)
    if (['COMPLETED', 'FAILED', 'EXPIRED', 'CANCELLED'].includes(job.status ?? '')) return job
  }
  throw new Error(`batch ${id} does not end`)
}

async function rowsOf(client: Together, fileId: string | undefined): Promise<ReturnType<typeof rowsById>> {
  return rowsById(fileId === undefined ? '' : await (await client.files.content(fileId)).text())
}

test('a create is 201 and wraps its job; what has no value yet is absent', async () => {
  await using simulator = await startTestSimulator({ startsAt: Date.UTC(2026, 10, 20) })
  const file = await upload(simulator, [chatLine('a', 'apples')])

  const reply = await wireTo(simulator, 'together')('POST', '/batches', { input_file_id: file, endpoint: CHAT })

  expect(reply.status).toBe(201)
  expect(reply.json).toEqual({
    job: {
      id: expect.any(String),
      user_id: expect.any(String),
      input_file_id: file,
      file_size_bytes: expect.any(Number),
      status: 'VALIDATING',
      job_deadline: '2026-11-21T00:00:00.000Z',
      created_at: '2026-11-20T00:00:00.000Z',
      endpoint: CHAT,
      progress: 0,
    },
    warning: null,
  })
})

test('a batch is completed, with bare jobs on the way, and errors that have no status', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = [chatLine('a', 'apples'), chatLine('b', '[[simulate:504]]'), { custom_id: 'c', body: { model: MODEL } }]
  const id = await createBatch(simulator, rows)

  const running = await client.batches.retrieve(id)
  const ended = await untilEnded(client, id)

  expect(running).toMatchObject({ id, status: 'IN_PROGRESS' })
  expect(running).not.toHaveProperty('output_file_id')
  expect(ended).toMatchObject({ status: 'COMPLETED', progress: 100, model_id: MODEL, completed_at: expect.any(String) })
  const content = `Answer ${answerDigest(CHAT, chatBody('apples'))}: apples`
  expect(await rowsOf(client, ended.output_file_id)).toEqual(
    new Map([
      [
        'a',
        {
          custom_id: 'a',
          response: {
            status_code: 200,
            body: expect.objectContaining({
              choices: [expect.objectContaining({ message: expect.objectContaining({ content }) })],
            }),
          },
        },
      ],
    ]),
  )
  const errors = await rowsOf(client, ended.error_file_id)
  expect(errors.get('b')).toEqual({ custom_id: 'b', error: { message: expect.any(String), code: 'timeout' } })
  expect(errors.get('c')).toMatchObject({ error: { code: 'invalid_request' } })
  expect(errors.get('c')).not.toHaveProperty('response')
})

test.each([
  ['is not JSON', 'no JSON'],
  ['has no custom_id', { body: chatBody('x') }],
  ['has a custom_id of another line', chatLine('a', 'x')],
  ['names a url', chatLine('b', 'x', { url: CHAT })],
  ['names a method', chatLine('b', 'x', { method: 'POST' })],
  ['streams', chatLine('b', 'x', { body: chatBody('x', { stream: true }) })],
  ['wants a model without a maker', chatLine('b', 'x', { body: chatBody('x', { model: 'unknown' }) })],
  ['asks to be invalid', chatLine('b', '[[simulate:invalid]]')],
])('a batch fails as a whole, in one sentence, when a line %s', async (_, line) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const ended = await untilEnded(client, await createBatch(simulator, [chatLine('a', 'apples'), line]))

  expect(ended).toMatchObject({ status: 'FAILED', error: expect.stringMatching(/^line 2: /) })
  expect(ended).not.toHaveProperty('output_file_id')
  expect(simulator.ledger().executions.batch).toBe(0)
})

test('a line above 10 MB fails the job without being named', async () => {
  await using simulator = await startTestSimulator()
  const line = chatLine('a', 'x'.repeat(10 * 1024 * 1024))

  const ended = await untilEnded(clientFor(simulator), await createBatch(simulator, [line]))

  expect(ended).toMatchObject({ status: 'FAILED', error: 'error reading input file' })
})

test('a cancelled batch keeps what it had executed, and says nothing of the rest', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const id = await createBatch(simulator, [chatLine('a', 'x'), chatLine('b', 'y')])
  simulator.advance(300 + 1200)

  const cancelling = await client.batches.cancel(id)
  simulator.advance(300)
  const cancelled = await client.batches.retrieve(id)

  expect(cancelling).toMatchObject({ id, status: 'CANCELING', progress: 50 })
  expect(cancelled.status).toBe('CANCELLED')
  expect([...(await rowsOf(client, cancelled.output_file_id)).keys()]).toEqual(['a'])
  expect(cancelled).not.toHaveProperty('error_file_id')
  await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 400 })
})

test('a batch can expire with what it has', async () => {
  await using simulator = await startTestSimulator({ faults: [{ kind: 'expire', afterRows: 1 }] })
  const client = clientFor(simulator)

  const ended = await untilEnded(client, await createBatch(simulator, [chatLine('a', 'x'), chatLine('b', 'y')]))

  expect(ended.status).toBe('EXPIRED')
  expect([...(await rowsOf(client, ended.output_file_id)).keys()]).toEqual(['a'])
})

test('batches are a bare list, newest first, of the own account only', async () => {
  await using simulator = await startTestSimulator()
  const older = await createBatch(simulator, [chatLine('a', 'x')])
  const newer = await createBatch(simulator, [chatLine('a', 'y')])

  const mine = await clientFor(simulator).batches.list()
  const others = await clientFor(simulator, 'sk-other').batches.list()

  expect(mine.map(({ id }) => id)).toEqual([newer, older])
  expect(others).toEqual([])
  await expect(clientFor(simulator, 'sk-other').batches.retrieve(newer)).rejects.toMatchObject({ status: 404 })
})

test.each([
  ['another window', { completion_window: '1h' }],
  ['an endpoint without batches', { endpoint: '/v1/embeddings' }],
  ['no endpoint', { endpoint: '' }],
  ['an unknown file', { input_file_id: 'file-none' }],
])('a create with %s is refused', async (_, change) => {
  await using simulator = await startTestSimulator()
  const order = { input_file_id: await upload(simulator, [chatLine('a', 'x')]), endpoint: CHAT }

  const reply = await wireTo(simulator, 'together')('POST', '/batches', { ...order, ...change })

  expect(reply).toMatchObject({ status: 400, json: { error: { type: 'invalid_request_error' } } })
  expect(simulator.ledger().batches.created).toBe(0)
})

test('an upload needs all three of its fields, and speaks of itself in capitals', async () => {
  await using simulator = await startTestSimulator()
  const wire = wireTo(simulator, 'together')
  const client = clientFor(simulator)
  const status = async (fields: Record<string, string>): Promise<number> =>
    (await wire('POST', '/files/upload', formWith(fields, 'blob', '{}'))).status

  expect(await status({ purpose: 'batch-api' })).toBe(400)
  expect(await status({ file_name: 'in.jsonl' })).toBe(400)
  expect(await status({ purpose: 'batch', file_name: 'in.jsonl' })).toBe(400)
  const id = await upload(simulator, [{}])

  expect(await client.files.retrieve(id)).toEqual({
    id,
    object: 'file',
    bytes: 2,
    created_at: expect.any(Number),
    filename: 'in.jsonl',
    purpose: 'batch-api',
    FileType: 'jsonl',
    Processed: true,
  })
  expect(await client.files.list()).toMatchObject({ data: [{ id }] })
  expect(await client.files.delete(id)).toEqual({ id, deleted: true })
  await expect(client.files.retrieve(id)).rejects.toMatchObject({ status: 404 })
})

test('audio lines say FILE and name a URL; live it is a form', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const body = { model: 'openai/whisper-large-v3', file: 'https://example.com/speech.mp3' }
  const id = await createBatch(simulator, [{ custom_id: 'a', method: 'FILE', body }], TRANSCRIPTIONS)
  const without = await createBatch(simulator, [{ custom_id: 'a', body }], TRANSCRIPTIONS)

  const ended = await untilEnded(client, id)
  const live = await client.audio.transcriptions.create(body as { file: string; model: 'openai/whisper-large-v3' })

  const text = `Answer ${answerDigest(TRANSCRIPTIONS, body)}: ${body.file}`
  expect((await rowsOf(client, ended.output_file_id)).get('a')).toMatchObject({ response: { body: { text } } })
  expect(await untilEnded(client, without)).toMatchObject({ status: 'FAILED' })
  expect(live.text).toContain(body.file)
})

test('live calls are answered whole and as a stream; keys and models nobody knows are refused', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const messages = [{ role: 'user' as const, content: 'hello' }]

  const answer = await client.chat.completions.create({ model: MODEL, messages })
  let streamed = ''
  for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, stream: true })) {
    streamed += chunk.choices[0]?.delta.content ?? ''
  }

  expect(answer).toMatchObject({ choices: [{ message: { content: expect.stringMatching(/: hello$/) } }], prompt: [] })
  expect(streamed).toMatch(/: hello$/)
  expect(answer.usage?.total_tokens).toBeGreaterThan(0)
  await expect(client.chat.completions.create({ model: 'none', messages })).rejects.toMatchObject({ status: 404 })
  await expect(clientFor(simulator, 'sk-invalid').batches.list()).rejects.toMatchObject({ status: 401 })
  expect((await wireTo(simulator, 'together', null)('GET', '/batches')).status).toBe(401)
})

test('embeddings are answered live, and refused as lines of a batch', async () => {
  await using simulator = await startTestSimulator()
  const body = { model: 'intfloat/multilingual-e5-large-instruct', input: 'apples' }
  const file = await upload(simulator, [{ custom_id: 'a', body }])

  const { data } = await clientFor(simulator).embeddings.create(body)
  const refused = await wireTo(simulator, 'together')('POST', '/batches', {
    input_file_id: file,
    endpoint: '/v1/embeddings',
  })

  expect(data[0]?.embedding.length).toBeGreaterThan(1)
  expect(refused.status).toBe(400)
})
