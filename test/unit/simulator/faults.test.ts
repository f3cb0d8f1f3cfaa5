import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  chatBody,
  chatRows,
  clientFor,
  contentOf,
  createBatch,
  rowsOf,
  toJsonLines,
  untilEnded,
  uploadText,
} from './openai-client.ts'

const connectionError = OpenAI.APIConnectionError

test('a status fault answers before anything happens, with Retry-After and its own body', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const body = JSON.stringify({ error: { message: 'slow down', code: 'rate_limit_exceeded' } })
  simulator.fault({ kind: 'status', operation: 'create', status: 429, retryAfter: 7, body, times: 1 })

  const refused = await createBatch(client, chatRows('a')).catch((error: unknown) => error)

  expect(refused).toBeInstanceOf(OpenAI.RateLimitError)
  expect(refused).toMatchObject({ code: 'rate_limit_exceeded' })
  expect(refused instanceof OpenAI.APIError && refused.headers?.get('retry-after')).toBe('7')
  expect(simulator.ledger()).toMatchObject({ calls: { create: 1 }, batches: { created: 0 } })
  expect((await createBatch(client, chatRows('a'))).status).toBe('validating')
})

test('a status fault after the effect leaves a batch behind that the caller was told failed', async () => {
  await using simulator = await startTestSimulator({
    faults: [{ kind: 'status', operation: 'create', status: 500, moment: 'after', times: 1 }],
  })
  const client = clientFor(simulator)

  await expect(createBatch(client, chatRows('a'))).rejects.toMatchObject({ status: 500, type: 'server_error' })

  expect((await client.batches.list()).data).toHaveLength(1)
})

test('a reset before the effect creates nothing, one after it creates a batch', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  simulator.fault({ kind: 'reset', moment: 'before', operation: 'create', times: 1 })
  await expect(createBatch(client, chatRows('a'))).rejects.toBeInstanceOf(connectionError)
  const before = simulator.ledger().batches.created
  simulator.fault({ kind: 'reset', moment: 'after', operation: 'create', times: 1 })
  await expect(createBatch(client, chatRows('a'))).rejects.toBeInstanceOf(connectionError)

  expect(before).toBe(0)
  expect(simulator.ledger().batches.created).toBe(1)
})

test('an upload can be reset before and after the file is stored', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  simulator.fault({ kind: 'reset', moment: 'before', operation: 'upload', times: 1 })
  await expect(uploadText(client, '{}')).rejects.toBeInstanceOf(connectionError)
  const before = (await client.files.list()).data.length
  simulator.fault({ kind: 'reset', moment: 'after', operation: 'upload', times: 1 })
  await expect(uploadText(client, '{}')).rejects.toBeInstanceOf(connectionError)

  expect(before).toBe(0)
  expect((await client.files.list()).data).toHaveLength(1)
})

test.each(['broken', 'clean'] as const)('half a reply (%s end) is never a whole one', async (ending) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a', 'b', 'c'))
  const { output_file_id: output } = await untilEnded(client, id)
  const whole = await contentOf(client, output)
  simulator.fault({ kind: 'cut', ending })

  const url = `${simulator.baseUrl('openai')}/files/${output}/content`
  const response = await fetch(url, { headers: { authorization: 'Bearer sk-test' } })
  const text = await response.text().catch(() => 'broken off')

  const expected = { broken: 'broken off', clean: whole.slice(0, Math.floor(whole.length / 2)) }
  expect(response.status).toBe(200)
  expect(text).toBe(expected[ending])
  const announced = { broken: whole.length, clean: Math.floor(whole.length / 2) }
  expect(Number(response.headers.get('content-length'))).toBe(announced[ending])
  await expect(client.batches.retrieve(id)).rejects.toThrow(/terminated|JSON|Connection|Premature/i)
})

test('a 200 that is not JSON comes after the effect', async () => {
  await using simulator = await startTestSimulator({
    faults: [{ kind: 'invalid-json', operation: 'create', times: 1 }],
  })
  const client = clientFor(simulator)

  await expect(createBatch(client, chatRows('a'))).rejects.toBeInstanceOf(SyntaxError)

  expect(simulator.ledger().batches.created).toBe(1)
})

test.each([
  ['before', 0],
  ['after', 1],
] as const)(
  'a caller that loses patience with a slow create (%s the effect) leaves %i batches',
  async (moment, batches) => {
    await using simulator = await startTestSimulator()
    const client = clientFor(simulator)
    const file = await uploadText(client, toJsonLines(chatRows('a')))
    simulator.fault({ kind: 'slow', operation: 'create', ms: 60_000, moment })
    const body = { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h' } as const

    await expect(client.batches.create(body, { timeout: 50 })).rejects.toBeInstanceOf(OpenAI.APIConnectionTimeoutError)

    expect(simulator.ledger().batches.created).toBe(batches)
  },
)

test('a provider that is down fails every call until it is up again', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a'))
  simulator.fault({ kind: 'down' })

  for (const call of [
    client.batches.retrieve(id),
    client.models.list(),
    client.responses.create({ model: 'gpt-x', input: 'a' }),
  ]) {
    await expect(call).rejects.toBeInstanceOf(connectionError)
  }
  simulator.clearFaults()
  simulator.fault({ kind: 'down', status: 503 })
  await expect(client.batches.list()).rejects.toMatchObject({ status: 503 })
  simulator.clearFaults()

  expect((await untilEnded(client, id)).status).toBe('completed')
  expect(simulator.ledger().executions.live).toBe(0)
})

test('a fault can wait for its turn, come every second time, and end', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  simulator.fault({ kind: 'status', status: 503, path: '/v1/models', method: 'get', after: 1, every: 2, times: 2 })

  const statuses: number[] = []
  for (let call = 0; call < 8; call++) {
    const listing = client.models.list().then(
      () => 200,
      (error: unknown) => (error instanceof OpenAI.APIError ? Number(error.status) : 0),
    )
    statuses.push(await listing)
  }

  expect(statuses).toEqual([200, 200, 503, 200, 503, 200, 200, 200])
})

test('a fault hits only the paths of its pattern', async () => {
  await using simulator = await startTestSimulator({
    faults: [{ kind: 'status', status: 500, path: '/v1/files/*/content' }],
  })
  const client = clientFor(simulator)
  const file = await uploadText(client, 'abc')

  expect((await client.files.retrieve(file)).bytes).toBe(3)
  await expect(client.files.content(file)).rejects.toMatchObject({ status: 500 })
})

test('rows of a download can be corrupt, missing, doubled or unknown, and are well again afterwards', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const { output_file_id: output } = await untilEnded(client, (await createBatch(client, chatRows('a', 'b', 'c'))).id)
  const whole = (await rowsOf(client, output)).map((row) => row.custom_id)

  simulator.fault({ kind: 'missing-row', rows: [2], times: 1 })
  const missing = (await rowsOf(client, output)).map((row) => row.custom_id)
  simulator.fault({ kind: 'duplicate-row', rows: [1, 3], times: 1 })
  simulator.fault({ kind: 'unknown-row', customId: 'stranger', times: 1 })
  const more = (await rowsOf(client, output)).map((row) => row.custom_id)
  simulator.fault({ kind: 'corrupt-row', times: 1 })
  const corrupt = (await contentOf(client, output)).split('\n')

  const [first, second, third] = whole
  expect(missing).toEqual([first, third])
  expect(more).toEqual([first, first, second, third, third, 'stranger'])
  expect(() => JSON.parse(corrupt[0] ?? '')).toThrow(SyntaxError)
  expect(JSON.parse(corrupt[1] ?? '')).toMatchObject({ custom_id: second })
  expect((await rowsOf(client, output)).map((row) => row.custom_id)).toEqual(whole)
})

test('faulty rows do not touch a download of the input', async () => {
  await using simulator = await startTestSimulator({ faults: [{ kind: 'missing-row' }] })
  const client = clientFor(simulator)
  const file = await uploadText(client, 'only line')

  expect(await contentOf(client, file)).toBe('only line')
})

test('a batch can expire after some of its rows', async () => {
  await using simulator = await startTestSimulator({ faults: [{ kind: 'expire', afterRows: 1, times: 1 }] })
  const client = clientFor(simulator)
  const rows = chatRows('a', 'b', 'c')

  const expired = await untilEnded(client, (await createBatch(client, rows)).id)
  const completed = await untilEnded(client, (await createBatch(client, rows)).id)

  expect(expired).toMatchObject({ status: 'expired', completed_at: null, request_counts: { total: 3, completed: 1 } })
  expect((await rowsOf(client, expired.output_file_id)).map((row) => row.custom_id)).toEqual(['r1'])
  const unexecuted = (await rowsOf(client, expired.error_file_id)).map((row) => row.custom_id)
  expect(unexecuted.toSorted()).toEqual(['r2', 'r3'])
  expect(completed.status).toBe('completed')
  expect(simulator.ledger().executions).toEqual({ live: 0, batch: 4, distinct: 3, repeated: 1 })
})

test('validation can refuse a line, or the whole, on request', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  simulator.fault({ kind: 'reject', line: 2, code: 'model_not_found', message: 'no such model', times: 1 })
  const named = await untilEnded(client, (await createBatch(client, chatRows('a', 'b', 'c'))).id)
  simulator.fault({ kind: 'reject', line: null, times: 1 })
  const unnamed = await untilEnded(client, (await createBatch(client, chatRows('a'))).id)
  simulator.fault({ kind: 'token-limit', times: 1 })
  const limited = await untilEnded(client, (await createBatch(client, chatRows('a'))).id)

  expect(named.errors?.data).toEqual([{ code: 'model_not_found', message: 'no such model', param: null, line: 2 }])
  expect(unnamed.errors?.data).toMatchObject([{ line: null }])
  expect(limited.errors?.data).toMatchObject([{ code: 'token_limit_exceeded', line: null }])
  expect(simulator.ledger()).toMatchObject({ batches: { created: 3, failed: 3 }, executions: { batch: 0 } })
})

test('lines can be answered with a status, in one batch and not in the next', async () => {
  await using simulator = await startTestSimulator({
    faults: [{ kind: 'row-status', lines: [2], status: 503, times: 1 }],
  })
  const client = clientFor(simulator)

  const first = await untilEnded(client, (await createBatch(client, chatRows('a', 'b'))).id)
  const second = await untilEnded(client, (await createBatch(client, chatRows('a', 'b'))).id)

  expect(first.request_counts).toEqual({ total: 2, completed: 1, failed: 1 })
  expect(await rowsOf(client, first.error_file_id)).toMatchObject([
    { custom_id: 'r2', response: { status_code: 503, body: { error: { type: 'server_error' } } } },
  ])
  expect(second.error_file_id).toBeNull()
})

test('a new batch can stay out of the list for a while, though it can be retrieved', async () => {
  await using simulator = await startTestSimulator({
    autoAdvance: false,
    faults: [{ kind: 'list-lag', ms: 60_000, times: 1 }],
  })
  const client = clientFor(simulator)
  const lagging = await createBatch(client, chatRows('a'))
  const prompt = await createBatch(client, chatRows('b'))

  const early = (await client.batches.list()).data.map(({ id }) => id)
  simulator.advance(60_000)
  const late = (await client.batches.list()).data.map(({ id }) => id)

  expect((await client.batches.retrieve(lagging.id)).id).toBe(lagging.id)
  expect(early).toEqual([prompt.id])
  expect(late).toEqual([prompt.id, lagging.id])
})

test('a realtime call can fail too, and a failed one was not executed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const body = chatBody('a') as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming // built as plain JSON

  simulator.fault({ kind: 'reset', moment: 'after', operation: 'live', times: 1 })
  await expect(client.chat.completions.create(body)).rejects.toBeInstanceOf(connectionError)
  simulator.fault({ kind: 'reset', moment: 'before', operation: 'live', times: 1 })
  await expect(client.chat.completions.create(body)).rejects.toBeInstanceOf(connectionError)
  await client.chat.completions.create(body)

  expect(simulator.ledger().executions).toEqual({ live: 2, batch: 0, distinct: 1, repeated: 1 })
})

test('a fault that makes no sense is refused with a reason', async () => {
  await using simulator = await startTestSimulator()

  expect(() => simulator.fault({ kind: 'status', status: 42 })).toThrow(/status/)
  expect(() => simulator.fault({ kind: 'slow', ms: -1 })).toThrow(/ms/)
})
