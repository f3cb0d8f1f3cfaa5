import Anthropic from '@anthropic-ai/sdk'
import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { clientFor, createBatch, params, raw, resultsOf, rowsOf, untilEnded } from './anthropic-client.ts'

const HOUR = 60 * 60 * 1000
const NOTHING = { processing: 0, succeeded: 0, errored: 0, canceled: 0, expired: 0 }

test('a batch is ended at the third look, and each caller finds its own answer', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const prompts = ['apples', 'pears', 'plums', 'quinces']

  const created = await createBatch(client, rowsOf(...prompts))
  const looks = []
  for (let look = 0; look < 3; look++) looks.push(await client.messages.batches.retrieve(created.id))
  const results = await resultsOf(client, created.id)

  expect(created).toEqual({
    id: expect.stringMatching(/^msgbatch_01/),
    type: 'message_batch',
    processing_status: 'in_progress',
    request_counts: { ...NOTHING, processing: 4 },
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/),
    expires_at: expect.any(String),
    ended_at: null,
    archived_at: null,
    cancel_initiated_at: null,
    results_url: null,
  })
  expect(Date.parse(created.expires_at) - Date.parse(created.created_at)).toBe(24 * HOUR)
  expect(looks.map((batch) => batch.processing_status)).toEqual(['in_progress', 'in_progress', 'ended'])
  expect(looks[1]?.request_counts).toEqual({ ...NOTHING, processing: 4 })
  expect(looks[2]).toMatchObject({
    request_counts: { ...NOTHING, succeeded: 4 },
    ended_at: expect.any(String),
    results_url: `${simulator.baseUrl('anthropic')}/v1/messages/batches/${created.id}/results`,
  })
  for (const [index, prompt] of prompts.entries()) {
    const text = `Answer ${answerDigest('/v1/messages', params(prompt))}: ${prompt}`
    expect(results.get(`r${index + 1}`)).toMatchObject({
      type: 'succeeded',
      message: { type: 'message', content: [{ type: 'text', text }], usage: { service_tier: 'batch' } },
    })
  }
  expect(simulator.ledger().executions).toMatchObject({ live: 0, batch: 4, repeated: 0 })
})

test('results are JSON lines in another order than the requests, read with a key', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const sent = rowsOf(...Array.from({ length: 30 }, (_, index) => `prompt ${index}`))
  const { id } = await createBatch(client, sent)
  const { results_url: url } = await untilEnded(client, id)

  const response = await fetch(String(url), {
    headers: { authorization: 'Bearer sk-test', 'anthropic-version': '2023-06-01' },
  })
  const ids = (await response.text())
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line).custom_id)

  expect(response.headers.get('content-type')).toBe('application/x-jsonl')
  expect(ids).not.toEqual(sent.map((row) => row.custom_id))
  expect(new Set(ids)).toEqual(new Set(sent.map((row) => row.custom_id)))
  expect((await fetch(String(url))).status).toBe(401)
})

test('models mix, and bad params are errored rows at the end', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = [
    ...rowsOf('fine', '[[simulate:529]]', '[[simulate:invalid]]'),
    { custom_id: 'other', params: params('fine', { model: 'claude-opus-4-8' }) },
    { custom_id: 'unknown', params: params('a', { model: 'gpt-5' }) },
    { custom_id: 'streams', params: params('a', { stream: true }) },
    { custom_id: 'fast', params: params('a', { speed: 'fast' }) },
    { custom_id: 'warms', params: params('a', { max_tokens: 0 }) },
    { custom_id: 'samples', params: params('a', { temperature: 1 }) },
    { custom_id: 'empty', params: {} },
  ]

  const { id } = await createBatch(client, rows)
  const batch = await untilEnded(client, id)
  const results = await resultsOf(client, id)

  const typeOf = (customId: string): unknown => {
    const result = results.get(customId)
    return result?.type === 'errored' ? result.error.error.type : result?.type
  }
  expect(batch.request_counts).toEqual({ ...NOTHING, succeeded: 2, errored: 8 })
  expect(['r1', 'other'].map(typeOf)).toEqual(['succeeded', 'succeeded'])
  expect(results.get('r2')).toMatchObject({
    type: 'errored',
    error: { type: 'error', request_id: expect.stringMatching(/^req_/), error: { type: 'overloaded_error' } },
  })
  expect(typeOf('unknown')).toBe('not_found_error')
  expect(['r3', 'streams', 'fast', 'warms', 'samples', 'empty'].map(typeOf)).toEqual(
    Array(6).fill('invalid_request_error'),
  )
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 2 }, errors: { batch: 8 } })
})

test.each([
  ['no requests', [], 400, /at least 1/],
  ['a custom_id with a dot', [{ custom_id: 'a.b', params: params('a') }], 400, /^requests\.0\.custom_id: .*pattern/],
  ['a custom_id too long', [{ custom_id: 'a'.repeat(65), params: params('a') }], 400, /^requests\.0\.custom_id/],
  ['a custom_id twice', [...rowsOf('a', 'b'), ...rowsOf('c')], 400, /^requests\.2\.custom_id: .*unique/],
  ['no custom_id', [{ params: params('a') }], 400, 'requests.0.custom_id: Field required'],
  ['no params', [...rowsOf('a'), { custom_id: 'b' }], 400, 'requests.1.params: Field required'],
  ['betas in a row', [{ custom_id: 'a', params: params('a'), betas: ['x'] }], 400, /Extra inputs/],
  ['too many requests', rowsOf('a', 'b', 'c', 'd'), 413, /at most 3/],
  ['too many bytes', rowsOf('a'.repeat(2000)), 413, /bytes/],
])('a create with %s is refused at once', async (_, requests, status, message) => {
  await using simulator = await startTestSimulator({ limits: { jobs: 3, bytes: 1500 } })

  const reply = await raw(simulator, '/v1/messages/batches', { method: 'POST', body: JSON.stringify({ requests }) })

  expect(reply).toMatchObject({ status, body: { type: 'error', error: { message: expect.stringMatching(message) } } })
  expect(reply.body['error']).toHaveProperty('type', status === 413 ? 'request_too_large' : 'invalid_request_error')
  expect(simulator.ledger().batches.created).toBe(0)
})

test.each([
  ['not JSON', '{', /JSON/],
  ['no list', '{"requests":{}}', /list/],
  ['nothing of the kind', '{}', 'requests: Field required'],
  ['metadata, which Anthropic has not', '{"requests":[],"metadata":{}}', /^metadata: Extra inputs/],
])('a create that is %s is refused', async (_, body, message) => {
  await using simulator = await startTestSimulator()

  const reply = await raw(simulator, '/v1/messages/batches', { method: 'POST', body })

  expect(reply).toMatchObject({ status: 400, body: { error: { message: expect.stringMatching(message) } } })
})

test('a poll says when to come again: in ten seconds, sooner if it ends sooner, and not at all after that', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 12_000 })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, rowsOf('a'))

  const asked = []
  for (const ms of [0, 3000, 8500, 500]) {
    simulator.advance(ms)
    const { response } = await client.messages.batches.retrieve(id).withResponse()
    asked.push(response.headers.get('retry-after'))
  }

  expect(asked).toEqual(['10', '9', null, null])
})

test('a canceled batch has a row for each request, executed or not', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, rowsOf('a', 'b', 'c', 'd'))
  simulator.advance(300 + 1200)

  const canceling = await client.messages.batches.cancel(id)
  simulator.advance(300)
  const ended = await client.messages.batches.retrieve(id)
  const results = await resultsOf(client, id)

  expect(canceling).toMatchObject({
    processing_status: 'canceling',
    request_counts: { ...NOTHING, processing: 4 },
    cancel_initiated_at: expect.any(String),
    ended_at: null,
  })
  expect(ended).toMatchObject({
    processing_status: 'ended',
    request_counts: { ...NOTHING, succeeded: 2, canceled: 2 },
    cancel_initiated_at: canceling.cancel_initiated_at,
  })
  expect([...results.values()].map(({ type }) => type).toSorted()).toEqual([
    'canceled',
    'canceled',
    'succeeded',
    'succeeded',
  ])
  await expect(client.messages.batches.cancel(id)).rejects.toMatchObject({ status: 400 })
})

test('a batch that takes longer than a day expires with what it has', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 50 * HOUR })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, rowsOf('a', 'b', 'c', 'd'))

  simulator.advance(24 * HOUR - 1)
  const before = await client.messages.batches.retrieve(id)
  simulator.advance(1)
  const after = await client.messages.batches.retrieve(id)

  expect(before).toMatchObject({ processing_status: 'in_progress', request_counts: { ...NOTHING, processing: 4 } })
  expect(after).toMatchObject({ ended_at: after.expires_at, request_counts: { ...NOTHING, succeeded: 1, expired: 3 } })
  expect((await resultsOf(client, id)).get('r4')).toEqual({ type: 'expired' })
})

test('a row can ask to be missing, corrupt, twice there or not executed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = rowsOf('fine', '[[simulate:missing]]', '[[simulate:duplicate]]', '[[simulate:unexecuted]]')

  const { id } = await createBatch(client, rows)
  const batch = await untilEnded(client, id)
  const corrupt = await createBatch(client, rowsOf('[[simulate:corrupt]]'))
  await untilEnded(client, corrupt.id)

  const ids: string[] = []
  for await (const row of await client.messages.batches.results(id)) ids.push(row.custom_id)
  expect(ids.toSorted()).toEqual(['r1', 'r3', 'r3', 'r4'])
  expect(batch.request_counts).toEqual({ ...NOTHING, succeeded: 3, expired: 1 })
  await expect(resultsOf(client, corrupt.id)).rejects.toThrow(SyntaxError)
})

test('results exist from the end until 29 days after the create', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, rowsOf('a'))
  const results = (): Promise<{ readonly status: number }> => raw(simulator, `/v1/messages/batches/${id}/results`)

  const early = await results()
  simulator.advance(29 * 24 * HOUR - 1)
  const before = await resultsOf(client, id)
  simulator.advance(1)
  const archived = await client.messages.batches.retrieve(id)

  expect(early).toMatchObject({ status: 404, body: { error: { type: 'not_found_error' } } })
  expect(before.size).toBe(1)
  expect(archived).toMatchObject({ archived_at: expect.any(String), results_url: null })
  expect(await results()).toMatchObject({ status: 404 })
})

test('an ended batch can be deleted, one in progress cannot', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, rowsOf('a'))

  await expect(client.messages.batches.delete(id)).rejects.toMatchObject({ status: 400 })
  simulator.advance(3000)
  const deleted = await client.messages.batches.delete(id)

  expect(deleted).toEqual({ id, type: 'message_batch_deleted' })
  await expect(client.messages.batches.retrieve(id)).rejects.toBeInstanceOf(Anthropic.NotFoundError)
  expect((await client.messages.batches.list()).data).toEqual([])
  expect(simulator.ledger().executions.batch).toBe(1)
})

test('a list is newest first, in pages that go both ways', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const ids: string[] = []
  for (let index = 0; index < 5; index++) ids.unshift((await createBatch(client, rowsOf(`${index}`))).id)
  const page = async (query: string): Promise<[unknown, unknown]> => {
    const { body } = await raw(simulator, `/v1/messages/batches?${query}`)
    const data = Array.isArray(body['data']) ? body['data'] : []
    expect([body['first_id'], body['last_id']]).toEqual([data[0]?.id ?? null, data.at(-1)?.id ?? null])
    return [data.map((batch: { id: unknown }) => ids.indexOf(String(batch.id))), body['has_more']]
  }

  const all = await Array.fromAsync(client.messages.batches.list({ limit: 2 }), ({ id }) => id)

  expect(all).toEqual(ids)
  expect(await page('')).toEqual([[0, 1, 2, 3, 4], false])
  expect(await page('limit=2')).toEqual([[0, 1], true])
  expect(await page(`limit=2&after_id=${ids[3]}`)).toEqual([[4], false])
  expect(await page(`limit=2&before_id=${ids[3]}`)).toEqual([[1, 2], true])
  expect(await page(`before_id=${ids[0]}`)).toEqual([[], false])
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'after_id=no', `after_id=${ids[0]}&before_id=${ids[1]}`]) {
    expect(await raw(simulator, `/v1/messages/batches?${query}`)).toMatchObject({ status: 400 })
  }
})

test('another key or workspace sees nothing; another version of the same key sees everything', async () => {
  await using simulator = await startTestSimulator()
  const { id } = await createBatch(clientFor(simulator), rowsOf('a'))
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await raw(simulator, `/v1/messages/batches/${id}`, { headers })).status
  const version = { 'anthropic-version': '2023-06-01' }

  expect(await status({ ...version, 'x-api-key': 'sk-test' })).toBe(200)
  expect(await status({ ...version, 'x-api-key': 'sk-other' })).toBe(404)
  expect(await status({ ...version, 'x-api-key': 'sk-test', 'anthropic-workspace-id': 'wrkspc_1' })).toBe(404)
})

test('what has no place for a failed batch refuses its create instead', async () => {
  await using simulator = await startTestSimulator({ limits: { enqueuedTokens: 4 } })
  const client = clientFor(simulator)
  const create = (): Promise<unknown> => createBatch(client, rowsOf('a prompt of tokens'))

  await expect(create()).rejects.toBeInstanceOf(Anthropic.RateLimitError)
  simulator.fault({ kind: 'token-limit', times: 1 })
  await expect(createBatch(client, rowsOf('a'))).rejects.toMatchObject({ status: 429 })
  simulator.fault({ kind: 'reject', line: 2, times: 1 })
  await expect(createBatch(client, rowsOf('a', 'b'))).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining('requests.1: '),
  })

  await createBatch(client, rowsOf('a'))
  expect(simulator.ledger().batches).toMatchObject({ created: 1, failed: 0 })
})

test('faults of batches and of rows work here as everywhere', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  simulator.fault({ kind: 'expire', afterRows: 1, times: 1 })
  const expired = await createBatch(client, rowsOf('a', 'b'))
  simulator.fault({ kind: 'row-status', lines: [2], status: 429, times: 1 })
  simulator.fault({ kind: 'list-lag', ms: 60_000, times: 1 })
  const limited = await createBatch(client, rowsOf('a', 'b'))
  simulator.advance(3000)
  simulator.fault({ kind: 'unknown-row', customId: 'nobody', times: 1 })

  const { data: listed } = await client.messages.batches.list()
  const { request_counts: counts } = await client.messages.batches.retrieve(expired.id)
  const spoiled = await resultsOf(client, expired.id)
  const results = await resultsOf(client, limited.id)

  expect(listed.map(({ id }) => id)).toEqual([expired.id])
  expect(counts).toEqual({ ...NOTHING, succeeded: 1, expired: 1 })
  expect([...spoiled.keys()].toSorted()).toEqual(['nobody', 'r1', 'r2'])
  expect(results.get('r2')).toMatchObject({ type: 'errored', error: { error: { type: 'rate_limit_error' } } })
})

test('a batch nobody made is not found', async () => {
  await using simulator = await startTestSimulator()

  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/results'],
    ['POST', '/cancel'],
    ['DELETE', ''],
  ] as const) {
    const reply = await raw(simulator, `/v1/messages/batches/msgbatch_01none${path}`, { method })

    expect(reply).toMatchObject({ status: 404, body: { type: 'error', error: { type: 'not_found_error' } } })
  }
})
