import type { ApiEndpoint } from '@mistralai/mistralai/models/components'
import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { chatBody, chatRows, clientFor, createJob, raw, rowsOf, untilEnded, uploadRows } from './mistral-client.ts'

const HOUR = 60 * 60 * 1000
const NOTHING = { totalRequests: 0, completedRequests: 0, succeededRequests: 0, failedRequests: 0 }

test('an inline job succeeds at the third look, and each caller finds its own answer', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const prompts = ['apples', 'pears', 'plums', 'quinces']
  const more = { metadata: { tag: 'k7' }, model: 'mistral-small-latest' }

  const created = await createJob(client, chatRows(...prompts), more)
  const looks = []
  for (let look = 0; look < 3; look++) looks.push(await client.batch.jobs.get({ jobId: created.id }))

  const [first, , last] = looks
  expect(created).toMatchObject({
    ...NOTHING,
    object: 'batch',
    status: 'QUEUED',
    endpoint: '/v1/chat/completions',
    model: 'mistral-small-latest',
    metadata: { tag: 'k7' },
    inputFiles: [expect.any(String)],
    errors: [],
    outputFile: null,
    errorFile: null,
    outputs: null,
    startedAt: null,
    completedAt: null,
  })
  expect(looks.map(({ status }) => status)).toEqual(['RUNNING', 'RUNNING', 'SUCCESS'])
  expect(first).toMatchObject({ totalRequests: 4, completedRequests: 1, succeededRequests: 1, failedRequests: 0 })
  expect(last).toMatchObject({ completedRequests: 4, errorFile: null, completedAt: expect.any(Number) })
  const rows = await rowsOf(client, last?.outputFile)
  expect(rows).toHaveLength(4)
  for (const [index, prompt] of prompts.entries()) {
    const content = `Answer ${answerDigest('/v1/chat/completions', chatBody(prompt))}: ${prompt}`
    expect(rows.find((row) => row.custom_id === `r${index + 1}`)).toMatchObject({
      id: expect.stringMatching(/^batch-/),
      response: { status_code: 200, body: { choices: [{ message: { content } }] } },
      error: null,
    })
  }
  expect(last?.outputs).toEqual(rows)
  expect(simulator.ledger().executions).toMatchObject({ live: 0, batch: 4, repeated: 0 })
})

test('a job of files has its outputs in a file, and inline when asked', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const inputFiles = [
    await uploadRows(client, chatRows('a', 'b')),
    await uploadRows(client, [{ customId: 'c', body: chatBody('c') }]),
  ]

  const { id } = await client.batch.jobs.create({ endpoint: '/v1/chat/completions', inputFiles })
  const job = await untilEnded(client, id)
  const inline = await client.batch.jobs.get({ jobId: id, inline: true })

  expect(job).toMatchObject({ inputFiles, outputs: null, totalRequests: 3, succeededRequests: 3 })
  expect((await rowsOf(client, job.outputFile)).map((row) => String(row.custom_id)).toSorted()).toEqual([
    'c',
    'r1',
    'r2',
  ])
  expect(inline.outputs).toHaveLength(3)
})

test('a row without a model is run with the one of the job; a row with one keeps it', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const { model: _, ...bare } = chatBody('a')
  const own = chatBody('a', { model: 'ministral-8b-latest' })
  const rows = [
    { customId: 'bare', body: bare },
    { customId: 'own', body: own },
  ]

  const job = await untilEnded(client, (await createJob(client, rows, { model: 'mistral-large-latest' })).id)
  const none = await untilEnded(client, (await createJob(client, rows.slice(0, 1))).id)

  const models = (await rowsOf(client, job.outputFile)).map((row) => [row.custom_id, row.response?.body['model']])
  expect(Object.fromEntries(models)).toEqual({ bare: 'mistral-large-latest', own: 'ministral-8b-latest' })
  expect(none).toMatchObject({ status: 'SUCCESS', outputFile: null, failedRequests: 1 })
})

test('rows that fail are in the error file, with the status and the body of the live endpoint', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = [
    ...chatRows('fine', '[[simulate:500]]'),
    { customId: 'empty', body: { model: 'mistral-small-latest' } },
    { customId: 'streams', body: chatBody('a', { stream: true }) },
    { customId: 'unknown', body: chatBody('a', { model: 'gpt-5' }) },
  ]

  const job = await untilEnded(client, (await createJob(client, rows)).id)

  const failed = new Map((await rowsOf(client, job.errorFile)).map((row) => [row.custom_id, row.response]))
  expect(job).toMatchObject({ completedRequests: 5, succeededRequests: 1, failedRequests: 4 })
  expect((await rowsOf(client, job.outputFile)).map((row) => row.custom_id)).toEqual(['r1'])
  expect(failed.get('r2')).toMatchObject({ status_code: 500, body: { object: 'error' } })
  expect(failed.get('empty')).toMatchObject({ status_code: 422, body: { detail: [{ loc: ['body', 'messages'] }] } })
  expect(failed.get('streams')).toMatchObject({ status_code: 400 })
  expect(failed.get('unknown')).toMatchObject({ status_code: 400, body: { type: 'invalid_model' } })
})

test.each<[ApiEndpoint, Record<string, unknown>, string]>([
  ['/v1/chat/completions', { model: 'mistral-small-latest', messages: [{ role: 'user', content: 'a' }] }, 'choices'],
  ['/v1/embeddings', { model: 'mistral-embed', input: 'a' }, 'data'],
  ['/v1/fim/completions', { model: 'codestral-latest', prompt: 'a' }, 'choices'],
  ['/v1/moderations', { model: 'mistral-moderation-latest', input: 'a' }, 'results'],
  ['/v1/chat/moderations', { model: 'mistral-moderation-latest', input: [{ role: 'user', content: 'a' }] }, 'results'],
  ['/v1/ocr', { document: { type: 'image_url', image_url: 'https://example.com/a.png' } }, 'pages'],
  ['/v1/classifications', { model: 'ft:ministral:x', input: 'a' }, 'results'],
  ['/v1/chat/classifications', { model: 'ft:ministral:x', input: { messages: [] } }, 'results'],
  ['/v1/conversations', { model: 'mistral-small-latest', inputs: 'a' }, 'outputs'],
  ['/v1/audio/transcriptions', { model: 'voxtral-mini-latest', file_url: 'https://example.com/a.mp3' }, 'text'],
])('%s can be batched', async (endpoint, body, answer) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const { id } = await client.batch.jobs.create({ endpoint, requests: [{ customId: 'a', body }] })
  const { outputs } = await untilEnded(client, id)

  expect(outputs).toMatchObject([{ response: { status_code: 200, body: { [answer]: expect.anything() } } }])
})

const ROW = { custom_id: 'a', body: chatBody('a') }
const JOB = { endpoint: '/v1/chat/completions', requests: [ROW] }
test.each([
  ['no endpoint', { requests: [ROW] }, 422, ['body', 'endpoint']],
  ['an endpoint that has no batches', { ...JOB, endpoint: '/v1/agents/completions' }, 422, ['body', 'endpoint']],
  ['a field of nobody', { ...JOB, completion_window: '24h' }, 422, ['body', 'completion_window']],
  ['neither rows nor files', { endpoint: JOB.endpoint }, 422, ['body', 'requests']],
  ['rows and files', { ...JOB, input_files: ['x'] }, 422, ['body', 'requests']],
  ['no rows', { ...JOB, requests: [] }, 422, ['body', 'requests']],
  ['no files', { endpoint: JOB.endpoint, input_files: [] }, 422, ['body', 'input_files']],
  ['a row without a body', { ...JOB, requests: [ROW, { custom_id: 'b' }] }, 422, ['body', 'requests', 1, 'body']],
  ['too many inline rows', { ...JOB, requests: Array.from({ length: 10_000 }, () => ROW) }, 422, ['body', 'requests']],
  ['a week', { ...JOB, timeout_hours: 168 }, 422, ['body', 'timeout_hours']],
  ['half an hour', { ...JOB, timeout_hours: 0.5 }, 422, ['body', 'timeout_hours']],
  ['metadata that is no text', { ...JOB, metadata: { a: 1 } }, 422, ['body', 'metadata']],
])('a create with %s is refused', async (_, body, status, loc) => {
  await using simulator = await startTestSimulator()

  expect(await raw(simulator, '/v1/batch/jobs', body)).toMatchObject({ status, body: { detail: [{ loc }] } })
  expect(simulator.ledger().batches.created).toBe(0)
})

test('files that are missing, for something else or too large are refused', async () => {
  await using simulator = await startTestSimulator({ limits: { bytes: 300, fileBytes: 1000 } })
  const client = clientFor(simulator)
  const tuning = await client.files.upload({
    purpose: 'fine-tune',
    file: { fileName: 'a.jsonl', content: new Blob(['{}']) },
  })
  const large = await uploadRows(client, chatRows('a'.repeat(400)))
  const create = (id: string): Promise<unknown> =>
    client.batch.jobs.create({ endpoint: '/v1/embeddings', inputFiles: [id] })

  await expect(create('nobody')).rejects.toMatchObject({ statusCode: 404 })
  await expect(create(tuning.id)).rejects.toMatchObject({ statusCode: 422 })
  await expect(create(large)).rejects.toMatchObject({ statusCode: 422 })
  await expect(createJob(client, chatRows('a'.repeat(400)))).rejects.toMatchObject({ statusCode: 413 })
  await expect(uploadRows(client, chatRows('a'.repeat(1000)))).rejects.toMatchObject({ statusCode: 413 })
})

test.each([
  ['a custom_id twice', [...chatRows('a'), ...chatRows('b')], /more than once/],
  ['more rows than allowed', chatRows('a', 'b', 'c', 'd'), /3 requests at most/],
  ['a line that asks for it', chatRows('a', '[[simulate:invalid]]'), /Line 2/],
])('%s fails the job, and nothing is run', async (_, rows, message) => {
  await using simulator = await startTestSimulator({ limits: { jobs: 3 } })
  const client = clientFor(simulator)

  const job = await untilEnded(client, (await createJob(client, rows)).id)

  expect(job).toMatchObject({ ...NOTHING, status: 'FAILED', outputFile: null, errorFile: null })
  expect(job.errors).toEqual([{ message: expect.stringMatching(message), count: 1 }])
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 0 }, batches: { failed: 1 } })
})

test('a file that is not JSON lines fails the job', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const file = { fileName: 'input.jsonl', content: new Blob(['{"custom_id":"a","body":{}}\nnothing']) }
  const { id: fileId } = await client.files.upload({ purpose: 'batch', file })

  const { id } = await client.batch.jobs.create({ endpoint: '/v1/chat/completions', inputFiles: [fileId] })

  expect(await untilEnded(client, id)).toMatchObject({
    status: 'FAILED',
    errors: [{ message: expect.stringContaining('Line 2') }],
  })
})

test('a cancelled job keeps what was run, and says nothing of the rest', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id: jobId } = await createJob(client, chatRows('a', 'b', 'c', 'd'))
  simulator.advance(300 + 1200)

  const requested = await client.batch.jobs.cancel({ jobId })
  simulator.advance(300)
  const cancelled = await client.batch.jobs.get({ jobId })

  expect(requested).toMatchObject({ status: 'CANCELLATION_REQUESTED', outputFile: null, completedAt: null })
  expect(cancelled).toMatchObject({ status: 'CANCELLED', totalRequests: 4, completedRequests: 2, errorFile: null })
  expect(await rowsOf(client, cancelled.outputFile)).toHaveLength(2)
  await expect(client.batch.jobs.cancel({ jobId })).rejects.toMatchObject({ statusCode: 400 })
})

test('a job that takes longer than its hours times out with what it has', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 4 * HOUR })
  const client = clientFor(simulator)
  const { id: jobId } = await createJob(client, chatRows('a', 'b', 'c', 'd'), { timeoutHours: 2 })

  simulator.advance(2 * HOUR - 1)
  const before = await client.batch.jobs.get({ jobId })
  simulator.advance(1)
  const after = await client.batch.jobs.get({ jobId })

  expect(before.status).toBe('RUNNING')
  expect(after).toMatchObject({ status: 'TIMEOUT_EXCEEDED', completedRequests: 2, errorFile: null })
  expect(await rowsOf(client, after.outputFile)).toHaveLength(2)
})

test('jobs are listed newest first, by page, time and status', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, startsAt: 1_790_000_000_000 })
  const client = clientFor(simulator)
  const ids: string[] = []
  for (let index = 0; index < 3; index++) {
    ids.unshift((await createJob(client, chatRows(`${index}`))).id)
    simulator.advance(2000)
  }
  const list = async (
    request: Parameters<typeof client.batch.jobs.list>[0],
  ): Promise<[number[] | undefined, number]> => {
    const { data, total } = await client.batch.jobs.list(request)
    return [data?.map(({ id }) => ids.indexOf(id)), total]
  }

  expect(await list({})).toEqual([[0, 1, 2], 3])
  expect(await list({ orderBy: 'created' })).toEqual([[2, 1, 0], 3])
  expect(await list({ page: 1, pageSize: 2 })).toEqual([[2], 3])
  expect(await list({ status: ['SUCCESS', 'FAILED'] })).toEqual([[1, 2], 2])
  expect(await list({ createdAfter: new Date(1_790_000_002_000) })).toEqual([[0, 1], 2])
  expect(await list({ model: 'mistral-embed' })).toEqual([[], 0])
  await expect(list({ pageSize: 0 })).rejects.toMatchObject({ statusCode: 422 })
})

test('an ended job can be deleted, a running one cannot', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id: jobId } = await createJob(client, chatRows('a'))

  await expect(client.batch.jobs.delete({ jobId })).rejects.toMatchObject({ statusCode: 400 })
  simulator.advance(3000)

  expect(await client.batch.jobs.delete({ jobId })).toEqual({ id: jobId, object: 'batch', deleted: true })
  await expect(client.batch.jobs.get({ jobId })).rejects.toMatchObject({ statusCode: 404 })
})

test('inputs and results are files like any other, until they are deleted', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const inline = await createJob(client, chatRows('a', '[[simulate:400]]'))
  const { outputFile, errorFile } = await untilEnded(client, inline.id)
  const [inputFile] = inline.inputFiles
  const typesOf = async (): Promise<Record<string, unknown>> => {
    const { data, total } = await client.files.list({ purpose: 'batch' })
    expect(total).toBe(data.length)
    return Object.fromEntries(data.map(({ id, sampleType, source }) => [id, `${sampleType} ${source}`]))
  }

  const types = await typesOf()
  const kept = await client.files.retrieve({ fileId: String(outputFile) })
  await client.files.delete({ fileId: String(outputFile) })

  expect(types).toEqual({
    [String(inputFile)]: 'batch_request upload',
    [String(outputFile)]: 'batch_result mistral',
    [String(errorFile)]: 'batch_error mistral',
  })
  expect(kept).toMatchObject({ deleted: false, purpose: 'batch', sizeBytes: expect.any(Number) })
  expect(Object.keys(await typesOf())).toHaveLength(2)
  await expect(client.files.download({ fileId: String(outputFile) })).rejects.toMatchObject({ statusCode: 404 })
})

test('an upload needs a file and a purpose that exists', async () => {
  await using simulator = await startTestSimulator()
  const upload = async (fields: Record<string, string | Blob>): Promise<number> => {
    const body = new FormData()
    for (const [name, value] of Object.entries(fields)) body.append(name, value)
    const headers = { authorization: 'Bearer test-key' }
    return (await fetch(`${simulator.baseUrl('mistral')}/v1/files`, { method: 'POST', headers, body })).status
  }

  expect(await upload({ purpose: 'batch' })).toBe(422)
  expect(await upload({ purpose: 'nothing', file: new Blob(['{}']) })).toBe(422)
  expect(await upload({ purpose: 'batch', file: new Blob(['{}']) })).toBe(200)
  expect((await raw(simulator, '/v1/files', {})).status).toBe(422)
})

test('another key sees neither jobs nor files', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const other = clientFor(simulator, 'other-key')
  const { id: jobId } = await createJob(client, chatRows('a'))
  const { outputFile } = await untilEnded(client, jobId)

  await expect(other.batch.jobs.get({ jobId })).rejects.toMatchObject({ statusCode: 404 })
  await expect(other.batch.jobs.cancel({ jobId })).rejects.toMatchObject({ statusCode: 404 })
  await expect(other.files.retrieve({ fileId: String(outputFile) })).rejects.toMatchObject({ statusCode: 404 })
  expect(await other.batch.jobs.list()).toMatchObject({ data: [], total: 0 })
})

test('faults of batches and of rows work here as everywhere', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const create = async (): Promise<string> => (await createJob(client, chatRows('a', 'b'))).id
  simulator.fault({ kind: 'token-limit', times: 1 })
  const limited = await create()
  simulator.fault({ kind: 'expire', afterRows: 1, times: 1 })
  const expired = await create()
  simulator.fault({ kind: 'row-status', lines: [2], status: 429, times: 1 })
  const throttled = await create()
  simulator.advance(3000)

  const jobs = await Promise.all([limited, expired, throttled].map((jobId) => client.batch.jobs.get({ jobId })))
  simulator.fault({ kind: 'unknown-row', customId: 'nobody', times: 1 })
  const spoiled = await rowsOf(client, jobs[1]?.outputFile)

  expect(jobs.map(({ status }) => status)).toEqual(['FAILED', 'TIMEOUT_EXCEEDED', 'SUCCESS'])
  expect(spoiled.map((row) => String(row.custom_id)).toSorted()).toEqual(['nobody', 'r1'])
  expect(await rowsOf(client, jobs[2]?.errorFile)).toMatchObject([{ custom_id: 'r2', response: { status_code: 429 } }])
})

test('a row can ask to be missing, corrupt, twice there or not executed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = chatRows(
    'fine',
    '[[simulate:missing]]',
    '[[simulate:duplicate]]',
    '[[simulate:unexecuted]]',
    '[[simulate:corrupt]]',
  )

  const job = await untilEnded(client, (await createJob(client, rows)).id)

  expect(job.outputs?.map((row) => String(row['custom_id'])).toSorted()).toEqual(['r1', 'r3', 'r3'])
  expect(job).toMatchObject({ totalRequests: 5, succeededRequests: 4, failedRequests: 0 })
  await expect(rowsOf(client, job.outputFile)).rejects.toThrow(SyntaxError)
})
