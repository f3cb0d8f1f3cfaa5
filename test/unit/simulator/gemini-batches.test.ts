import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { answerDigest, startSimulator } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  bodyOf,
  call,
  clientFor,
  createFromFile,
  download,
  EMBEDDER,
  inlined,
  linesOf,
  MODEL,
  rowsOf,
  untilEnded,
  uploadText,
} from './gemini-client.ts'

const GENERATE = `models/${MODEL}:generateContent`
const HOUR = 60 * 60 * 1000
const TYPE = 'type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch'

// The SDK calls its batches of embeddings experimental, each time.
beforeEach(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}))
afterEach(() => void vi.restoreAllMocks())

const answerTo = (prompt: string): string => `Answer ${answerDigest(GENERATE, bodyOf(prompt))}: ${prompt}`

test('a batch is done at the third look, and every answer carries the metadata of its request', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const prompts = ['apples', 'pears', 'plums', 'quinces', 'figs', 'dates']

  const src = inlined(...prompts)
  const created = await client.batches.create({ model: MODEL, src, config: { displayName: 'fruit' } })
  const looks = []
  for (let look = 0; look < 3; look++) looks.push(await client.batches.get({ name: String(created.name) }))

  expect(created).toMatchObject({ name: expect.stringMatching(/^batches\/\w+$/), displayName: 'fruit' })
  expect([created, ...looks].map(({ state }) => state)).toEqual([
    'JOB_STATE_PENDING',
    'JOB_STATE_RUNNING',
    'JOB_STATE_RUNNING',
    'JOB_STATE_SUCCEEDED',
  ])
  const responses = looks[2]?.dest?.inlinedResponses ?? []
  expect(responses.map(({ metadata }) => metadata)).not.toEqual(src.map(({ metadata }) => metadata))
  const texts = new Map(
    responses.map(({ metadata, response }) => [
      metadata?.['key'],
      response?.candidates?.[0]?.content?.parts?.[0]?.text,
    ]),
  )
  expect(texts).toEqual(new Map(prompts.map((prompt, index) => [`r${index + 1}`, answerTo(prompt)])))
  expect(simulator.ledger()).toMatchObject({
    executions: { live: 0, batch: 6, distinct: 6, repeated: 0 },
    batches: { created: 1, completed: 1 },
    requests: expect.arrayContaining([expect.objectContaining({ endpoint: GENERATE, model: MODEL, prompt: 'figs' })]),
  })
})

test('an operation is worded as Google words it: counts as text, no zeros, done only at the end, and the output twice', async () => {
  await using simulator = await startTestSimulator({ startsAt: Date.parse('2026-11-20T10:00:00Z') })
  const requests = [
    { request: bodyOf('a'), metadata: { key: 'r1' } },
    { request: bodyOf('[[simulate:400]]'), metadata: { key: 'r2' } },
  ]

  const created = await call(simulator, 'POST', `/v1beta/models/${MODEL}:batchGenerateContent`, {
    body: { batch: { displayName: 'two', inputConfig: { requests: { requests } } } },
  })
  const path = `/v1beta/${(created.body as { name: string }).name}` // asserted below
  const looks = []
  for (let look = 0; look < 3; look++) looks.push((await call(simulator, 'GET', path)).body)

  const name = path.slice('/v1beta/'.length)
  expect(created.body).toEqual({
    name,
    metadata: {
      '@type': TYPE,
      name,
      model: `models/${MODEL}`,
      displayName: 'two',
      state: 'BATCH_STATE_PENDING',
      createTime: '2026-11-20T10:00:00Z',
      updateTime: '2026-11-20T10:00:00Z',
      batchStats: { requestCount: '2', pendingRequestCount: '2' },
    },
  })
  expect(looks[1]).toMatchObject({ metadata: { state: 'BATCH_STATE_RUNNING', batchStats: { requestCount: '2' } } })
  expect(looks[1]).not.toHaveProperty('done')
  expect(looks[1]).not.toHaveProperty('metadata.output')
  const rows = [
    { response: expect.objectContaining({ modelVersion: MODEL }), metadata: { key: 'r1' } },
    { error: { code: 3, message: expect.any(String) }, metadata: { key: 'r2' } },
  ]
  const output = { inlinedResponses: { inlinedResponses: expect.arrayContaining(rows) } }
  expect(looks[2]).toEqual({
    name,
    done: true,
    metadata: expect.objectContaining({
      state: 'BATCH_STATE_SUCCEEDED',
      endTime: '2026-11-20T10:00:03Z',
      updateTime: '2026-11-20T10:00:03Z',
      batchStats: { requestCount: '2', successfulRequestCount: '1', failedRequestCount: '1' },
      output,
    }),
    response: { '@type': `${TYPE}Output`, ...output },
  })
})

test('a batch from a file answers with a file, each row under its key', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const prompts = ['a', 'b', '[[simulate:404]]', '[[simulate:unexecuted]]']

  const created = await createFromFile(client, linesOf(...prompts.map((prompt) => bodyOf(prompt))))
  const batch = await untilEnded(client, created)
  const rows = await rowsOf(simulator, batch)

  expect(batch.dest).toEqual({ fileName: expect.stringMatching(/^files\/batch-\w+$/) })
  expect(rows.map(({ key }) => key)).not.toEqual(['r1', 'r2', 'r3', 'r4'])
  expect(rows).toHaveLength(4)
  expect(rows).toEqual(
    expect.arrayContaining([
      { key: 'r1', response: expect.objectContaining({ responseId: answerDigest(GENERATE, bodyOf('a')) }) },
      { key: 'r3', error: { code: 5, message: expect.any(String) } },
      { key: 'r4', error: { code: 4, message: expect.stringContaining('expired') } },
    ]),
  )
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 2 }, errors: { batch: 1 } })
})

test.each([
  [401, 16],
  [403, 7],
  [409, 10],
  [418, 9],
  [429, 8],
  [499, 1],
  [500, 13],
  [503, 14],
  [504, 4],
  [529, 2],
])('a row that would get %i live has the code %i', async (status, code) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const batch = await untilEnded(
    client,
    await client.batches.create({ model: MODEL, src: inlined(`[[simulate:${status}]]`) }),
  )

  expect(batch.dest?.inlinedResponses).toMatchObject([{ error: { code }, metadata: { key: 'r1' } }])
})

test('what a row has beside its request and its key is let be, and a row without a key gets its answer without one', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const text = [
    { custom_id: '1', request: bodyOf('a') },
    { request: bodyOf('b', { model: `models/${MODEL}` }), key: 'mine' },
  ]
  const lines = text.map((row) => JSON.stringify(row)).join('\n')

  const rows = await rowsOf(simulator, await untilEnded(client, await createFromFile(client, lines)))

  expect(rows).toEqual(
    expect.arrayContaining([
      { response: expect.any(Object) },
      { key: 'mine', response: expect.objectContaining({ responseId: answerDigest(GENERATE, bodyOf('b')) }) },
    ]),
  )
})

test('a batch answers past a responseJsonSchema that a live call satisfies, and satisfies a responseSchema', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const config = (name: string): Record<string, unknown> => ({
    generationConfig: { responseMimeType: 'application/json', [name]: schema },
  })
  const bodies = [bodyOf('a', config('responseJsonSchema')), bodyOf('a', config('responseSchema'))]

  const live = await call(simulator, 'POST', `/v1/models/${MODEL}:generateContent`, { body: bodies[0] })
  const rows = await rowsOf(simulator, await untilEnded(client, await createFromFile(client, linesOf(...bodies))))

  const says = (text: unknown): object =>
    expect.objectContaining({
      candidates: [expect.objectContaining({ content: { role: 'model', parts: [{ text }] } })],
    })
  expect(live.body).toEqual(says(expect.stringMatching(/^{"city":"Answer/)))
  expect(rows.find(({ key }) => key === 'r1')?.response).toEqual(says(expect.stringMatching(/^Answer/)))
  expect(rows.find(({ key }) => key === 'r2')?.response).toEqual(says(expect.stringMatching(/^{"city":"Answer/)))
})

test('a batch embeds texts as a live call does', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const config = { outputDimensionality: 4, taskType: 'RETRIEVAL_QUERY' }

  const live = await client.models.embedContent({ model: EMBEDDER, contents: ['a', 'b'], config })
  const inlinedRequests = { contents: ['a', 'b'], config }
  const created = await client.batches.createEmbeddings({ model: EMBEDDER, src: { inlinedRequests } })
  const { dest } = await untilEnded(client, created)

  const values = (dest?.inlinedEmbedContentResponses ?? []).map(({ response }) => response?.embedding?.values)
  expect(values).toHaveLength(2)
  expect(values).toEqual(expect.arrayContaining((live.embeddings ?? []).map((embedding) => embedding.values)))
  expect(dest?.inlinedEmbedContentResponses?.[0]?.response?.tokenCount).toBe('1')
  expect(simulator.ledger()).toMatchObject({
    executions: { live: 2, batch: 2, distinct: 2 },
    requests: [{ endpoint: `models/${EMBEDDER}:embedContent`, prompt: 'a' }, { prompt: 'b' }],
  })
})

test('the input may be deleted as soon as there is a batch', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const fileName = await uploadText(client, linesOf(bodyOf('a'), bodyOf('b')))
  const created = await client.batches.create({ model: MODEL, src: { fileName } })

  await client.files.delete({ name: fileName })

  expect(await rowsOf(simulator, await untilEnded(client, created))).toHaveLength(2)
})

test('embeddings may come from a file, under their keys', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const fileName = await uploadText(client, linesOf({ content: { parts: [{ text: 'a' }] }, output_dimensionality: 4 }))

  const created = await client.batches.createEmbeddings({ model: EMBEDDER, src: { fileName } })
  const rows = await rowsOf(simulator, await untilEnded(client, created))

  expect(rows).toEqual([
    { key: 'r1', response: { embedding: { values: Array(4).fill(expect.any(Number)) }, tokenCount: '1' } },
  ])
})

test('batches are listed newest first, page by page, without what they put out', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const ended = await client.batches.create({ model: MODEL, src: inlined('a'), config: { displayName: 'first' } })
  await untilEnded(client, ended)
  for (const displayName of ['second', 'third']) {
    await client.batches.create({ model: MODEL, src: inlined('a'), config: { displayName } })
  }

  const names = []
  for await (const batch of await client.batches.list({ config: { pageSize: 2 } })) names.push(batch.displayName)
  const listed = await call(simulator, 'GET', '/v1beta/batches?pageSize=1')
  const others = await call(simulator, 'GET', '/v1beta/batches', { headers: { 'x-goog-api-key': 'AIza-other' } })
  const all = await client.batches.list()

  expect(names).toEqual(['third', 'second', 'first'])
  expect(listed.body).toMatchObject({
    operations: [{ metadata: { displayName: 'third' } }],
    nextPageToken: expect.any(String),
  })
  expect(all.page.at(-1)).toMatchObject({ state: 'JOB_STATE_SUCCEEDED' })
  expect(all.page.at(-1)).not.toHaveProperty('dest')
  expect(others.body).toEqual({})
})

test('a cancelled batch is cancelled at once, and keeps the rows that were done', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const created = await createFromFile(client, linesOf(...['a', 'b', 'c', 'd'].map((prompt) => bodyOf(prompt))))
  const early = await client.batches.create({ model: MODEL, src: inlined('e') })
  const name = String(created.name)
  await client.batches.cancel({ name: String(early.name) })
  simulator.advance(1500)

  await client.batches.cancel({ name })
  const batch = await client.batches.get({ name })
  const rows = await rowsOf(simulator, batch)
  simulator.advance(5000)
  const after = await call(simulator, 'GET', `/v1beta/${name}`)

  expect(batch.state).toBe('JOB_STATE_CANCELLED')
  expect(rows.map(({ key }) => key).toSorted()).toEqual(['r1', 'r2'])
  expect(after.body).toMatchObject({
    done: true,
    error: { code: 1 },
    metadata: {
      batchStats: { requestCount: '4', successfulRequestCount: '2' },
      output: batch.dest && { responsesFile: batch.dest.fileName },
    },
  })
  expect(after.body).not.toHaveProperty('response')
  const nothingDone = await client.batches.get({ name: String(early.name) })
  expect(nothingDone.state).toBe('JOB_STATE_CANCELLED')
  expect(nothingDone).not.toHaveProperty('dest')
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 2 }, batches: { cancelled: 2 } })
})

test('to cancel what has ended changes nothing', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const batch = await untilEnded(client, await client.batches.create({ model: MODEL, src: inlined('a') }))

  await client.batches.cancel({ name: String(batch.name) })

  expect((await client.batches.get({ name: String(batch.name) })).state).toBe('JOB_STATE_SUCCEEDED')
})

test('a deleted batch stops and is gone', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { name = '' } = await client.batches.create({ model: MODEL, src: inlined('a', 'b', 'c', 'd') })
  simulator.advance(1500)

  await client.batches.delete({ name })
  simulator.advance(5000)

  await expect(client.batches.get({ name })).rejects.toMatchObject({ status: 404 })
  expect((await client.batches.list()).page).toEqual([])
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 2 }, batches: { cancelled: 1 } })
})

test('a batch that is not done after 48 hours expires, with nothing to read', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 100 * HOUR })
  const client = clientFor(simulator)
  const { name = '' } = await createFromFile(client, linesOf(bodyOf('a'), bodyOf('b'), bodyOf('c')))
  simulator.advance(48 * HOUR - 1)
  const before = await client.batches.get({ name })

  simulator.advance(1)
  const expired = await call(simulator, 'GET', `/v1beta/${name}`)
  const files = await client.files.list()

  expect(before.state).toBe('JOB_STATE_RUNNING')
  expect(expired.body).toMatchObject({ done: true, error: { code: 4 }, metadata: { state: 'BATCH_STATE_EXPIRED' } })
  expect(expired.body).not.toHaveProperty('metadata.output')
  expect(expired.body).not.toHaveProperty('response')
  expect(files.page.map(({ source }) => source)).not.toContain('GENERATED')
})

test('a batch fails as a whole when it is told to, or when a row is', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const operationOf = async (name = ''): Promise<unknown> => (await call(simulator, 'GET', `/v1beta/${name}`)).body
  simulator.fault({ kind: 'reject', line: 2, message: 'Not this one.', times: 1 })

  const told = await untilEnded(client, await client.batches.create({ model: MODEL, src: inlined('a', 'b') }))
  const asked = await untilEnded(
    client,
    await createFromFile(client, linesOf(bodyOf('a'), bodyOf('[[simulate:invalid]]'))),
  )

  expect(told.state).toBe('JOB_STATE_FAILED')
  expect(await operationOf(told.name)).toMatchObject({
    done: true,
    error: { code: 3, message: 'Error on line 2: Not this one.' },
  })
  expect(await operationOf(asked.name)).toMatchObject({
    error: { message: expect.stringContaining('Error on line 2') },
  })
  expect(await operationOf(asked.name)).not.toHaveProperty('metadata.output')
  expect(simulator.ledger()).toMatchObject({ executions: { batch: 0 }, batches: { created: 2, failed: 2 } })
})

test('too many waiting tokens are a 429 at create, and no batch', async () => {
  await using simulator = await startTestSimulator({ limits: { enqueuedTokens: 100 }, autoAdvance: false })
  const client = clientFor(simulator)
  const create = (): Promise<unknown> => client.batches.create({ model: MODEL, src: inlined('x'.repeat(240)) })
  await create()

  await expect(create()).rejects.toMatchObject({ status: 429, message: expect.stringContaining('RESOURCE_EXHAUSTED') })
  simulator.advance(3000)
  await create()
  simulator.fault({ kind: 'token-limit', times: 1 })
  await expect(create()).rejects.toMatchObject({ status: 429 })

  expect((await client.batches.list()).page).toHaveLength(2)
  expect(simulator.ledger().batches).toMatchObject({ created: 2, failed: 0 })
})

test('rows are spoiled on request, in a file and inside a reply', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const prompts = ['[[simulate:missing]]', '[[simulate:corrupt]]', '[[simulate:duplicate]]', 'a']
  const inline = await untilEnded(client, await client.batches.create({ model: MODEL, src: inlined(...prompts) }))
  const file = await untilEnded(
    client,
    await createFromFile(client, linesOf(...prompts.map((prompt) => bodyOf(prompt)))),
  )

  const lines = (await download(simulator, String(file.dest?.fileName))).trimEnd().split('\n')
  const keys = inline.dest?.inlinedResponses?.map(({ metadata }) => String(metadata?.['key'])).toSorted()

  expect(keys).toEqual(['r3', 'r3', 'r4', 'undefined'])
  expect(lines).toHaveLength(4)
  expect(lines.filter((line) => line.endsWith('}'))).toHaveLength(3)
})

test('faults spoil one download of results and not the next', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const inline = await untilEnded(client, await client.batches.create({ model: MODEL, src: inlined('a', 'b') }))
  const file = await untilEnded(client, await createFromFile(client, linesOf(bodyOf('a'), bodyOf('b'))))
  const keysOf = async (): Promise<readonly string[]> => {
    const { dest } = await client.batches.get({ name: String(inline.name) })
    return (dest?.inlinedResponses ?? []).map(({ metadata }) => String(metadata?.['key']))
  }
  simulator.fault({ kind: 'missing-row', times: 1 })
  simulator.fault({ kind: 'unknown-row', times: 2, customId: 'nobody' })

  expect(await keysOf()).toEqual([expect.stringMatching(/^r\d$/), 'nobody'])
  expect((await rowsOf(simulator, file)).map(({ key }) => key).toSorted()).toEqual(['nobody', 'r1', 'r2'])
  expect((await keysOf()).toSorted()).toEqual(['r1', 'r2'])
})

test('lines can be answered with a status, and calls can go wrong', async () => {
  await using simulator = await startTestSimulator({
    faults: [
      { kind: 'row-status', lines: [2], status: 503 },
      { kind: 'status', operation: 'create', status: 503, times: 1, moment: 'after' },
    ],
  })
  const client = clientFor(simulator)
  const create = { model: MODEL, src: inlined('a', 'b'), config: { displayName: 'mine' } }

  await expect(client.batches.create(create)).rejects.toMatchObject({ status: 503 })
  const [adopted] = (await client.batches.list()).page
  const batch = await untilEnded(client, adopted ?? {})

  expect(adopted?.displayName).toBe('mine')
  expect(batch.dest?.inlinedResponses).toEqual(
    expect.arrayContaining([{ error: { code: 14, message: expect.any(String) }, metadata: { key: 'r2' } }]),
  )
  expect(simulator.ledger()).toMatchObject({ calls: { create: 1, list: 1, poll: 2 }, errors: { batch: 1 } })
})

test('a list may lag behind', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, faults: [{ kind: 'list-lag', ms: 1000 }] })
  const client = clientFor(simulator)
  await client.batches.create({ model: MODEL, src: inlined('a') })

  const before = (await client.batches.list()).page.length
  simulator.advance(1000)

  expect([before, (await client.batches.list()).page.length]).toEqual([0, 1])
})

test('in real time a batch gets done by itself', async () => {
  await using simulator = await startSimulator({ batchMs: 20 })
  const client = clientFor(simulator)

  const { name = '' } = await client.batches.create({ model: MODEL, src: inlined('a', 'b') })
  let batch = await client.batches.get({ name })
  while (String(batch.state) !== 'JOB_STATE_SUCCEEDED') {
    await new Promise(setImmediate)
    batch = await client.batches.get({ name })
  }

  expect(batch.dest?.inlinedResponses).toHaveLength(2)
})
