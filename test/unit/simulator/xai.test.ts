import { createXai } from '@ai-sdk/xai'
import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { answerDigest, type Simulator, type SimulatorOptions } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { formWith, jsonLines, wireTo, type JsonRow, type Wire } from './wire.ts'

const MODEL = 'grok-4'
const CHAT = '/v1/chat/completions'
const DAY = 24 * 60 * 60 * 1000

/** xAI's own documentation uses the openai SDK for live calls; for its batches there is only the AI SDK. */
function clientFor(simulator: Simulator): OpenAI {
  return new OpenAI({ apiKey: 'sk-test', baseURL: simulator.baseUrl('xai'), maxRetries: 0 })
}

function startXai(options: SimulatorOptions = {}): Promise<Simulator> {
  return startTestSimulator({ autoAdvance: false, startsAt: Date.UTC(2026, 10, 20, 15), ...options })
}

function chatBody(content: string, more: JsonRow = {}): JsonRow {
  return { model: MODEL, messages: [{ role: 'user', content }], ...more }
}

function line(customId: string, content: string, more: JsonRow = {}): JsonRow {
  return { custom_id: customId, method: 'POST', url: CHAT, body: chatBody(content), ...more }
}

async function upload(wire: Wire, rows: readonly unknown[]): Promise<string> {
  const { status, json } = await wire('POST', '/files', formWith({}, 'in.jsonl', jsonLines(rows)))
  expect(status).toBe(200)
  return String(json?.['id'])
}

async function createBatch(wire: Wire, rows: readonly unknown[], name = 'batch'): Promise<string> {
  const { json } = await wire('POST', '/batches', { name, input_file_id: await upload(wire, rows) })
  return String(json?.['batch_id'])
}

async function retrieve(wire: Wire, id: string): Promise<JsonRow | undefined> {
  return (await wire('GET', `/batches/${id}`)).json
}

interface Result extends JsonRow {
  readonly batch_request_id: string
}

/** Every result that is there, page by page. */
async function resultsOf(wire: Wire, id: string, limit = 100): Promise<readonly Result[]> {
  const results: Result[] = []
  let query = `limit=${limit}`
  for (;;) {
    const { json } = await wire('GET', `/batches/${id}/results?${query}`)
    // What the simulator wrote, checked by the assertions on it.
    const page = json as { results: Result[]; pagination_token: string | null }
    results.push(...page.results)
    if (page.pagination_token === null) return results
    query = `limit=${limit}&pagination_token=${page.pagination_token}`
  }
}

function byId(results: readonly Result[]): ReadonlyMap<string, Result> {
  return new Map(results.map((result) => [result.batch_request_id, result]))
}

test('a batch has a name and days, and no status', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const file = await upload(wire, [line('a', 'apples')])

  const reply = await wire('POST', '/batches', { name: 'bw:k3f9', input_file_id: file })

  expect(reply.status).toBe(200)
  expect(reply.json).toEqual({
    batch_id: expect.stringMatching(/^batch_/),
    name: 'bw:k3f9',
    create_time: '2026-11-20',
    expire_time: '2026-12-20',
    cancel_time: null,
    cancel_by_xai_message: null,
    input_file_id: file,
    state: { num_requests: 0, num_pending: 0, num_success: 0, num_error: 0, num_cancelled: 0 },
  })
})

test('counters tell where it stands, and results are there as soon as they are done', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const id = await createBatch(wire, [
    line('a', 'apples'),
    line('b', 'pears'),
    line('c', '[[simulate:429]]'),
    line('d', 'x'),
  ])

  simulator.advance(300 + 1200)
  const running = await retrieve(wire, id)
  const some = await resultsOf(wire, id)
  simulator.advance(1500)
  const done = await retrieve(wire, id)
  const all = byId(await resultsOf(wire, id))

  expect(running).toMatchObject({ state: { num_requests: 4, num_pending: 2 } })
  expect(some).toHaveLength(2)
  expect(done).toMatchObject({
    cancel_time: null,
    state: { num_requests: 4, num_pending: 0, num_success: 3, num_error: 1, num_cancelled: 0 },
  })
  const content = `Answer ${answerDigest(CHAT, chatBody('apples'))}: apples`
  expect(all.get('a')).toMatchObject({
    batch_result: { response: { chat_get_completion: { choices: [{ message: { content } }] } } },
  })
  expect(all.get('a')).not.toHaveProperty('error_message')
  expect(all.get('c')).toEqual({
    batch_request_id: 'c',
    batch_result: { error: { code: 8, message: expect.any(String) } },
    error_message: expect.any(String),
  })
  expect(all.size).toBe(4)
  expect(simulator.ledger()).toMatchObject({
    executions: { batch: 3 },
    errors: { batch: 1 },
    batches: { completed: 1 },
  })
})

test('results come page by page, never in the order of the input, and no row twice', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const ids = Array.from({ length: 25 }, (_, index) => `r${index}`)
  const id = await createBatch(
    wire,
    ids.map((id) => line(id, id)),
  )
  simulator.advance(3000)

  const read = (await resultsOf(wire, id, 10)).map((result) => result.batch_request_id)

  expect(read).not.toEqual(ids)
  expect(read.toSorted()).toEqual(ids.toSorted())
  expect(simulator.ledger().calls.results).toBe(3)
  expect((await wire('GET', `/batches/${id}/results?limit=1001`)).status).toBe(400)
  expect((await wire('GET', `/batches/${id}/results?pagination_token=nonsense`)).status).toBe(400)
})

test('endpoints and models mix; calls of the Responses API are answered in the shape of chat', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const tools = [{ type: 'function', name: 'weather', parameters: schema }]
  const asked = { model: 'grok-3-mini', input: 'plums' }
  const rows = [
    line('chat', 'apples'),
    line('response', '', { url: '/v1/responses', body: asked }),
    line('tool', '', { url: '/v1/responses', body: { ...asked, tools, tool_choice: 'required' } }),
    line('image', '', { url: '/v1/images/generations', body: { model: 'grok-2-image', prompt: 'pears' } }),
  ]
  const id = await createBatch(wire, rows)
  simulator.advance(3000)

  const results = byId(await resultsOf(wire, id))

  expect(results.get('response')).toMatchObject({
    batch_result: {
      response: {
        chat_get_completion: {
          object: 'chat.completion',
          choices: [
            {
              message: { role: 'assistant', content: `Answer ${answerDigest('/v1/responses', asked)}: plums` },
              finish_reason: 'stop',
            },
          ],
          usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) },
        },
      },
    },
  })
  expect(results.get('tool')).toMatchObject({
    batch_result: {
      response: {
        chat_get_completion: {
          choices: [{ message: { tool_calls: [{ function: { name: 'weather' } }] }, finish_reason: 'tool_calls' }],
        },
      },
    },
  })
  expect(results.get('image')).toMatchObject({ batch_result: { response: { image_generation: { data: [{}] } } } })
  expect(results.size).toBe(4)
})

test.each([
  ['is not JSON', 'no JSON'],
  ['has an id of another line', line('a', 'x')],
  ['goes nowhere', line('b', 'x', { url: '/v1/embeddings' })],
  ['streams', line('b', 'x', { body: chatBody('x', { stream: true }) })],
  ['wants a model that is not there', line('b', 'x', { body: chatBody('x', { model: 'unknown' }) })],
  ['asks to be invalid', line('b', '[[simulate:invalid]]')],
])('the whole batch is called off, with a message, when a line %s', async (_, bad) => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const id = await createBatch(wire, [line('a', 'apples'), bad])
  simulator.advance(3000)

  const ended = await retrieve(wire, id)

  expect(ended).toMatchObject({
    cancel_by_xai_message: expect.stringMatching(/^JSONL file validation failed: line 2: /),
    state: { num_requests: 0 },
  })
  expect(await resultsOf(wire, id)).toEqual([])
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 0 }, batches: { failed: 1 } })
})

test('too many rows call a batch off too, and too many bytes refuse it', async () => {
  await using simulator = await startXai({ limits: { jobs: 1, bytes: 500 } })
  const wire = wireTo(simulator, 'xai')
  const id = await createBatch(wire, [line('a', 'x'), line('b', 'x')])
  const large = await upload(wire, [line('a', 'x'.repeat(500))])
  simulator.advance(3000)

  expect(await retrieve(wire, id)).toMatchObject({ cancel_by_xai_message: expect.stringContaining('1 requests') })
  expect((await wire('POST', '/batches', { name: 'large', input_file_id: large })).status).toBe(400)
})

test('a cancelled batch says when, and its results stay, with the rest among them', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const id = await createBatch(wire, [line('a', 'w'), line('b', 'x'), line('c', 'y'), line('d', 'z')])
  simulator.advance(300 + 1200)

  const cancelled = await wire('POST', `/batches/${id}:cancel`, {})
  const results = await resultsOf(wire, id)
  const again = await wire('POST', `/batches/${id}:cancel`, {})

  expect(cancelled).toMatchObject({
    status: 200,
    json: { cancel_time: '2026-11-20', state: { num_requests: 4, num_pending: 0, num_success: 2, num_cancelled: 2 } },
  })
  expect(results).toHaveLength(4)
  expect(results.filter(({ error_message: message }) => message !== undefined)).toMatchObject(
    Array.from({ length: 2 }, () => ({ batch_result: { error: { code: 1 } } })),
  )
  expect(again.status).toBe(400)
  expect(simulator.ledger().batches).toMatchObject({ created: 1, cancelled: 1 })
})

test('rows that were not executed in time are errors of the kind that says so', async () => {
  await using simulator = await startXai({ faults: [{ kind: 'expire', afterRows: 1 }] })
  const wire = wireTo(simulator, 'xai')
  const id = await createBatch(wire, [line('a', 'w'), line('b', 'x')])
  simulator.advance(3000)

  expect(await retrieve(wire, id)).toMatchObject({ state: { num_pending: 0, num_success: 1, num_error: 1 } })
  expect((await resultsOf(wire, id)).map(({ batch_result: result }) => result)).toContainEqual({
    error: { code: 4, message: expect.any(String) },
  })
})

test('requests are added inline, call by call, each name once', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const add = async (id: unknown, ...names: readonly string[]): Promise<number> => {
    const requests = names.map((name) => ({
      batch_request_id: name,
      batch_request: { chat_get_completion: chatBody(name) },
    }))
    return (await wire('POST', `/batches/${String(id)}/requests`, { batch_requests: requests })).status
  }
  const id = String((await wire('POST', '/batches', { name: 'inline' })).json?.['batch_id'])

  const empty = await retrieve(wire, id)
  expect(await add(id, 'a', 'b')).toBe(200)
  simulator.advance(300 + 1200)
  expect(await add(id, 'c')).toBe(200)
  expect(await add(id, 'd', 'a')).toBe(400)
  simulator.advance(300)
  const running = await retrieve(wire, id)
  const some = await resultsOf(wire, id, 1)
  simulator.advance(3000)
  const done = await retrieve(wire, id)

  expect(empty).toMatchObject({ input_file_id: null, state: { num_requests: 0 } })
  expect(running).toMatchObject({ state: { num_requests: 3, num_pending: 2, num_success: 1 } })
  expect(some).toHaveLength(1)
  expect(done).toMatchObject({ state: { num_requests: 3, num_pending: 0, num_success: 3 } })
  expect([...byId(await resultsOf(wire, id, 2)).keys()].toSorted()).toEqual(['a', 'b', 'c'])
  expect(simulator.ledger().batches.created).toBe(1)
})

test.each([
  ['no requests', { batch_requests: [] }],
  ['a kind it does not know', { batch_requests: [{ batch_request_id: 'a', batch_request: { embedding: {} } }] }],
  [
    'two kinds at once',
    { batch_requests: [{ batch_request: { responses: { model: MODEL }, chat_get_completion: chatBody('x') } }] },
  ],
  ['no model', { batch_requests: [{ batch_request: { chat_get_completion: { messages: [] } } }] }],
])('an inline call with %s is refused', async (_, body) => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const inline = (await wire('POST', '/batches', { name: 'inline' })).json?.['batch_id']
  const sealed = await createBatch(wire, [line('a', 'x')])
  const good = { batch_requests: [{ batch_request: { chat_get_completion: chatBody('x') } }] }

  expect((await wire('POST', `/batches/${String(inline)}/requests`, body)).status).toBe(400)
  expect((await wire('POST', `/batches/${sealed}/requests`, good)).status).toBe(400)
  expect((await wire('POST', `/batches/${String(inline)}/requests`, good)).status).toBe(200)
})

test('batches are listed newest first, page by page, to their own account only', async () => {
  await using simulator = await startXai({ faults: [{ kind: 'list-lag', ms: DAY, after: 2 }] })
  const wire = wireTo(simulator, 'xai')
  const first = await createBatch(wire, [line('a', 'x')], 'first')
  const second = await createBatch(wire, [line('a', 'x')], 'second')
  const late = await createBatch(wire, [line('a', 'x')], 'late')

  const page = await wire('GET', '/batches?limit=1')
  const next = await wire('GET', `/batches?limit=1&pagination_token=${String(page.json?.['pagination_token'])}`)
  simulator.advance(DAY)
  const all = await wire('GET', '/batches')
  const others = wireTo(simulator, 'xai', 'sk-other')

  expect(page.json).toMatchObject({ batches: [{ batch_id: second, name: 'second' }] })
  expect(next.json).toMatchObject({ batches: [{ batch_id: first }], pagination_token: null })
  expect((all.json as { batches: JsonRow[] }).batches[0]).toMatchObject({ batch_id: late })
  expect((await others('GET', '/batches')).json).toEqual({ batches: [], pagination_token: null })
  expect((await others('GET', `/batches/${first}`)).status).toBe(404)
})

test('an upload keeps what comes before its file, and refuses what comes after', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const late = formWith({}, 'in.jsonl', '{}')
  late.set('expires_after', '3600')

  const file = await wire('POST', '/files', formWith({ expires_after: '3600' }, 'in.jsonl', '{}'))
  const statuses = [
    (await wire('POST', '/files', late)).status,
    (await wire('POST', '/files', formWith({ expires_after: '60' }, 'in.jsonl', '{}'))).status,
  ]
  const path = `/files/${String(file.json?.['id'])}`
  const before = await wire('GET', path)
  simulator.advance(3600 * 1000)

  expect(statuses).toEqual([400, 400])
  expect(file.json).toMatchObject({ object: 'file', expires_at: Date.UTC(2026, 10, 20, 16) / 1000 })
  expect(before.status).toBe(200)
  expect((await wire('GET', path)).status).toBe(404)
})

test('rows of a page go wrong on request, and the page remains JSON', async () => {
  await using simulator = await startXai()
  const wire = wireTo(simulator, 'xai')
  const id = await createBatch(wire, [line('a', 'x'), line('b', 'y'), line('c', 'z')])
  simulator.advance(3000)
  simulator.fault({ kind: 'corrupt-row', rows: [1] })
  simulator.fault({ kind: 'missing-row', rows: [2] })
  simulator.fault({ kind: 'unknown-row', customId: 'stranger' })

  const { json } = await wire('GET', `/batches/${id}/results`)

  expect(json?.['results']).toEqual([
    expect.any(String),
    expect.objectContaining({ batch_request_id: expect.stringMatching(/^[abc]$/) }),
    expect.objectContaining({ batch_request_id: 'stranger' }),
  ])
})

test('the batches of the AI SDK work here: upload, create, poll, results, list and cancel', async () => {
  // It compares expire_time with the real clock.
  await using simulator = await startXai({ startsAt: Date.now() })
  const batches = createXai({ apiKey: 'sk-test', baseURL: simulator.baseUrl('xai') }).experimental_batch()
  type Order = Parameters<NonNullable<typeof batches.doStartBatch>>[0]
  const request = (id: string, text: string): Order['requests'][number] => ({
    id,
    type: 'text',
    modelId: MODEL,
    options: { prompt: [{ role: 'user', content: [{ type: 'text', text }] }] },
  })
  const requests = [request('a', 'apples'), request('b', '[[simulate:500]]')]

  const started = await batches.doStartBatch({ requests, providerOptions: { xai: { inputFileExpiresAfter: 3600 } } })
  simulator.advance(3000)
  const status = await batches.doGetBatchStatus(started)
  const results = new Map((await Array.fromAsync(await batches.doGetBatchResults(started))).map((row) => [row.id, row]))
  const other = await batches.doStartBatch({ requests })
  await batches.doCancelBatch?.(other)
  const listed = await batches.doListBatches?.({})

  expect(started.status).toBe('pending')
  expect(status).toMatchObject({ status: 'completed', requestCounts: { total: 2, completed: 1, failed: 1 } })
  expect(results.get('a')).toMatchObject({
    status: 'succeeded',
    result: { content: [{ type: 'text', text: expect.stringMatching(/: apples$/) }] },
  })
  expect(results.get('b')).toMatchObject({ status: 'failed', error: { code: '13' } })
  expect(listed?.batches.map(({ batchId, status }) => [batchId, status])).toEqual([
    [other.batchId, 'failed'],
    [started.batchId, 'completed'],
  ])
})

test('live calls answer in their own shapes, and errors are a code and a sentence', async () => {
  await using simulator = await startXai()
  const client = clientFor(simulator)
  const messages = [{ role: 'user' as const, content: 'hello' }]

  const chat = await client.chat.completions.create({ model: MODEL, messages })
  const response = await client.responses.create({ model: MODEL, input: 'hello' })
  const image = await client.images.generate({ model: 'grok-2-image', prompt: 'hello' })
  let streamed = ''
  for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, stream: true })) {
    streamed += chunk.choices[0]?.delta.content ?? ''
  }
  const wire = wireTo(simulator, 'xai')
  const bad = await wire('POST', '/chat/completions', { model: MODEL, messages: [] })
  const unknown = await wire('POST', '/chat/completions', { model: 'none', messages })
  const nobody = await wireTo(simulator, 'xai', null)('GET', '/batches')
  const stranger = await wireTo(simulator, 'xai', 'sk-invalid')('GET', '/batches')

  expect(chat.choices[0]?.message.content).toMatch(/: hello$/)
  expect(response.output_text).toMatch(/: hello$/)
  expect(image.data).toHaveLength(1)
  expect(streamed).toMatch(/: hello$/)
  for (const [reply, status] of [
    [bad, 400],
    [unknown, 404],
    [nobody, 401],
    [stranger, 400],
  ] as const) {
    expect(reply.status).toBe(status)
    expect(reply.json).toEqual({ code: expect.any(String), error: expect.any(String) })
  }
})
