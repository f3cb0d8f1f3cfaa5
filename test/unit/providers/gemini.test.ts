import { describe, expect, test } from 'vitest'
import type { ProviderRequest } from '../../../src/core/adapter.ts'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import type { JsonObject } from '../../../src/core/request.ts'
import { Caller } from '../../../src/manager/caller.ts'
import { gemini } from '../../../src/providers/gemini.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  type ScriptedCall,
  scriptedCall,
} from '../../support/provider-call.ts'

const TAG = 'abcdefabcdef'
const KEY = 'AIza-not-a-key-of-anybody'
const GENERATE = { endpoint: 'generateContent', model: 'gemini-2.5-flash' }
const EMBED_MANY = { endpoint: 'batchEmbedContents', model: 'gemini-embedding-001' }

const target = (endpoint: string, query = '') => ({
  provider: 'gemini',
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  query,
  endpoint,
  model: 'gemini-2.5-flash',
})

/** The callers' bodies in the rows of the fixture, byte for byte. */
const BODIES = fixtureText('gemini', 'input.jsonl')
  .trim()
  .split('\n')
  .map((line) => line.slice(line.indexOf('"request":') + '"request":'.length, -1))

const textOf = async (request: ProviderRequest | undefined): Promise<string> =>
  typeof request?.body === 'string' ? request.body : new Response(request?.body ?? '').text()

async function stateOf(operation: unknown): Promise<BatchState | undefined> {
  const [state] = await gemini.poll(
    [{ id: 'batches/B1' }],
    scriptedCall(() => jsonResponse(operation)),
  )
  return state
}

const stateOfFixture = (name: string): Promise<BatchState | undefined> => stateOf(fixtureJson('gemini', name))

async function rowsOf(call: ScriptedCall): Promise<readonly JobResult[]> {
  const rows: JobResult[] = []
  for await (const group of gemini.results({ id: 'batches/B1' }, call)) rows.push(...group)
  return rows
}

/** The rows of a batch whose results are this file. */
const rowsOfFile = (lines: string): Promise<readonly JobResult[]> =>
  rowsOf(
    scriptedCall(({ path }) =>
      path.includes(':download')
        ? new Response(lines)
        : jsonResponse(fixtureJson('gemini', 'retrieve-succeeded-file.json')),
    ),
  )

const kindOf = (row: JobResult): string =>
  row.kind === 'reply'
    ? `${row.customId}:${row.status}`
    : row.kind === 'unexecuted'
      ? `${row.customId}:${row.reason}`
      : row.kind

describe('what Gemini is sent', () => {
  /** Upload and create, with what was sent. */
  async function submit(change: Parameters<typeof intentFor>[1], bodies: readonly string[]) {
    const intent = intentFor(gemini, { tag: TAG, ...change })
    const input = inputOf(gemini, intent, bodies)
    const call = scriptedCall(({ path }) => {
      if (path.includes('upload_id')) return jsonResponse(fixtureJson('gemini', 'upload-reply.json'))
      if (!path.includes('/upload/')) return jsonResponse(fixtureJson('gemini', 'create-reply.json'))
      return new Response('{}', {
        headers: { 'x-goog-upload-url': 'https://google.test/upload/v1/files?upload_id=U1' },
      })
    })
    const upload = await gemini.upload?.(intent, input, call)
    const state = await gemini.create(intent, upload, async () => input, call)
    return { upload, state, requests: call.requests, input }
  }

  test('is a small batch with its rows in the create, named after the intent', async () => {
    const { upload, state, requests } = await submit(GENERATE, BODIES)

    expect(upload).toEqual({})
    expect(requests).toMatchObject([
      {
        method: 'POST',
        path: '/models/gemini-2.5-flash:batchGenerateContent',
        headers: { 'content-type': 'application/json' },
      },
    ])
    const text = await textOf(requests[0])
    expect(JSON.parse(text)).toEqual(fixtureJson('gemini', 'create-inline-request.json'))
    for (const body of BODIES) expect(text).toContain(`{"request":${body},"metadata":{"key":"${TAG}-`)
    expect(state).toMatchObject({ phase: 'running', status: 'pending', handle: { id: 'batches/B1' } })
  })

  test.each([
    ['more rows than a look at it should carry', GENERATE, Array.from({ length: 101 }, () => BODIES[0] ?? '')],
    ['more bytes than a create takes', GENERATE, [`{"contents":"${'x'.repeat(19_000_000)}"}`]],
    ['images to come', { ...GENERATE, model: 'gemini-2.5-flash-image' }, BODIES],
    ['an embedding', { ...EMBED_MANY, endpoint: 'embedContent' }, ['{"content":{}}']],
  ])('is a file where there are %s', async (_, change, bodies) => {
    const { upload, state, requests, input } = await submit(change, bodies)

    const [start, bytes, create] = requests
    expect(upload).toEqual({ file: 'files/input1' })
    expect(start).toMatchObject({
      method: 'POST',
      path: 'https://provider.test/upload/v1/files',
      headers: {
        'x-goog-upload-protocol': 'resumable',
        'x-goog-upload-command': 'start',
        'x-goog-upload-header-content-length': String(input.blob.size),
        'x-goog-upload-header-content-type': 'application/jsonl',
      },
    })
    expect(JSON.parse(await textOf(start))).toEqual({ file: { displayName: `offpeak-${TAG}-input` } })
    expect(bytes).toMatchObject({
      method: 'POST',
      path: 'https://provider.test/upload/v1/files?upload_id=U1',
      headers: { 'x-goog-upload-offset': '0', 'x-goog-upload-command': 'upload, finalize' },
      body: input.blob,
      isTransfer: true,
    })
    expect(JSON.parse(await textOf(create))).toEqual(fixtureJson('gemini', 'create-file-request.json'))
    expect(state.handle).toEqual({ id: 'batches/B1', inputFile: 'files/input1' })
  })

  test('is embeddings by their own method', async () => {
    const { requests } = await submit(EMBED_MANY, ['{"requests":[{"content":{}}]}'])

    expect(requests.at(-1)?.path).toBe('/models/gemini-embedding-001:asyncBatchEmbedContent')
  })

  test('is rows of the shape of its reference', () => {
    const lines = BODIES.map((body, index) =>
      gemini.line({ job: index + 1, customId: `${TAG}-${index + 1}`, endpoint: 'generateContent', body }),
    )

    expect(lines).toEqual(fixtureText('gemini', 'input.jsonl').trim().split('\n'))
  })

  test('is a call for many embeddings as a row for each, each as its caller wrote it', () => {
    const parts = ['{"content": {"parts":[{"text":"]}, {"}]}}', '{"outputDimensionality":2.0,"content":{}}']
    const body = `{ "requests" : [ ${parts.join(' , ')} ] }`

    const line = gemini.line({ job: 1, customId: `${TAG}-1`, endpoint: 'batchEmbedContents', body })

    expect(line.split('\n')).toEqual(parts.map((part, index) => `{"key":"${TAG}-1.${index}.2","request":${part}}`))
  })

  test.each([
    [
      'https://generativelanguage.googleapis.com/v1beta',
      'https://generativelanguage.googleapis.com/upload/v1beta/files',
    ],
    ['http://gateway.test:8080/llm/v1alpha', 'http://gateway.test:8080/llm/upload/v1alpha/files'],
    ['http://gateway.test/bare', 'http://gateway.test/bare/upload/v1beta/files'],
  ])('from %s is uploaded to %s, and on through the same host', async (baseUrl, path) => {
    const intent = intentFor(gemini, { ...EMBED_MANY, endpoint: 'embedContent' })
    const scripted = scriptedCall((request) =>
      request.path.includes('upload_id')
        ? jsonResponse(fixtureJson('gemini', 'upload-reply.json'))
        : new Response('{}', { headers: { 'x-goog-upload-url': 'https://google.test/upload?upload_id=U1' } }),
    )

    await gemini.upload?.(intent, inputOf(gemini, intent, ['{}']), { ...scripted, baseUrl })

    expect(scripted.requests.map((request) => request.path)).toEqual([
      path,
      `${new URL(baseUrl).origin}/upload?upload_id=U1`,
    ])
  })

  test('has its key in its address once, although Google repeats it there', async () => {
    const seen: string[] = []
    const caller = new Caller({
      fetch: async (url) => {
        seen.push(url)
        const address = `https://google.test/upload/v1/files?key=${KEY}&upload_id=U1`
        return new Response(JSON.stringify(fixtureJson('gemini', 'upload-reply.json')), {
          headers: { 'x-goog-upload-url': address },
        })
      },
      now: () => 0,
      stopping: new AbortController().signal,
    })
    const call = caller.line({ baseUrl: 'https://google.test/v1', query: `?key=${KEY}`, headers: [] })
    const intent = intentFor(gemini, { ...EMBED_MANY, endpoint: 'embedContent' })

    await gemini.upload?.(intent, inputOf(gemini, intent, ['{}']), call)

    expect(seen.map((url) => new URL(url).searchParams.getAll('key'))).toEqual([[KEY], [KEY]])
    expect(seen[1]).toContain('upload_id=U1')
  })

  test.each([
    ['no address', () => new Response('{}')],
    [
      'half a reply',
      () => new Response(new ReadableStream({ start: (controller) => controller.error(new TypeError('terminated')) })),
    ],
    ['no file', () => new Response('{}', { headers: { 'x-goog-upload-url': 'https://google.test/?upload_id=U1' } })],
  ])('again, if an upload is told %s', async (_, reply) => {
    const intent = intentFor(gemini, EMBED_MANY)

    const uploading = gemini.upload?.(intent, inputOf(gemini, intent, ['{"requests":[{}]}']), scriptedCall(reply))

    await expect(uploading).rejects.toMatchObject({ name: 'NetworkError' })
  })

  test.each([
    ['x-goog-api-client', 'google-genai-sdk/3.1.0', undefined],
    ['x-server-timeout', '60', undefined],
    ['x-goog-fieldmask', 'candidates', undefined],
    ['x-goog-request-params', 'model=models/x', undefined],
    ['cookie', ' ', undefined],
    ['cookie', 'session=1', 'session=1'],
    ['x-goog-api-key', 'k', 'k'],
    ['x-goog-user-project', 'p', 'p'],
    ['x-tenant', '7', '7'],
  ])('of a caller’s %s: %s is %s', (name, value, carried) => {
    expect(gemini.carry?.(name, value)).toBe(carried)
  })
})

describe('what a body may be', () => {
  test.each<[string, JsonObject, string?]>([
    ['generateContent', { serviceTier: 'flex' }],
    ['generateContent', { serviceTier: 'SERVICE_TIER_PRIORITY' }],
    ['generateContent', { tools: [{ mcpServers: [] }] }],
    ['generateContent', { model: 'models/gemini-2.5-pro' }],
    ['generateContent', {}, '?key=k&fields=candidates'],
    ['generateContent', {}, '?$alt=sse'],
    ['batchEmbedContents', {}],
    ['batchEmbedContents', { requests: [] }],
    ['batchEmbedContents', { requests: [{}, 'text'] }],
    ['batchEmbedContents', { requests: [{ model: 'models/gemini-2.5-flash' }, { model: 'models/other' }] }],
  ])('at %s, %o is not batched, and says why', (endpoint, body, query) => {
    expect(gemini.admit?.(body, target(endpoint, query))).toMatch(/\w{3}/)
  })

  test.each<[string, JsonObject, string?]>([
    ['generateContent', {}],
    ['generateContent', { serviceTier: 'standard', model: 'models/gemini-2.5-flash', tools: [{ googleSearch: {} }] }],
    ['generateContent', { serviceTier: 'SERVICE_TIER_UNSPECIFIED', tools: null }],
    ['generateContent', { generationConfig: { responseSchema: { type: 'STRING' }, responseJsonSchema: null } }],
    ['generateContent', {}, '?key=k&alt=json&$alt=json&tenant=fields'],
    ['embedContent', { model: 'gemini-2.5-flash' }],
    ['batchEmbedContents', { requests: [{ model: 'models/gemini-2.5-flash' }, {}] }],
  ])('at %s, %o is', (endpoint, body, query) => {
    expect(gemini.admit?.(body, target(endpoint, query))).toBeUndefined()
  })

  test.each<[string, JsonObject, number]>([
    ['generateContent', { requests: [{}, {}] }, 1],
    ['batchEmbedContents', { requests: [{}, {}, {}] }, 3],
    ['batchEmbedContents', {}, 1],
  ])('at %s, %o counts for its rows', (endpoint, body, weight) => {
    expect(gemini.weigh?.(body, target(endpoint))).toBe(weight)
  })

  test('its model is read from the URL, as it is meant', () => {
    const match = (path: string) => gemini.match({ method: 'POST', url: '' }, path)

    expect(match('/models/gemini-2.5-flash:generateContent')).toEqual({ ...GENERATE })
    expect(match('/models/my%2Bmodel:embedContent')).toEqual({ endpoint: 'embedContent', model: 'my+model' })
    expect(match('/models/100%:embedContent')).toEqual({ endpoint: 'embedContent', model: '100%' })
  })
})

describe('where a batch stands', () => {
  test.each([
    ['create-reply.json', 'pending'],
    ['retrieve-running.json', 'running'],
  ])('%s is running', async (fixture, status) => {
    expect(await stateOfFixture(fixture)).toMatchObject({ phase: 'running', status })
  })

  test.each([
    ['retrieve-succeeded-inline.json', 'completed'],
    ['retrieve-succeeded-file.json', 'completed'],
    ['retrieve-succeeded-guide.json', 'completed'],
    ['retrieve-cancelled.json', 'cancelled'],
    ['retrieve-expired.json', 'expired'],
  ])('%s has ended', async (fixture, outcome) => {
    expect(await stateOfFixture(fixture)).toMatchObject({ phase: 'ended', outcome, handle: { id: 'batches/B1' } })
  })

  test('its handle holds names and no results', async () => {
    expect((await stateOfFixture('retrieve-succeeded-inline.json'))?.handle).toEqual({ id: 'batches/B1' })
    expect((await stateOfFixture('retrieve-succeeded-file.json'))?.handle).toEqual({
      id: 'batches/B1',
      inputFile: 'files/input1',
    })
  })

  test('what is known of it is not forgotten because a reply does not repeat it', async () => {
    const handle = { id: 'batches/B1', inputFile: 'files/mine', isSplit: true }
    const call = scriptedCall(() => jsonResponse(fixtureJson('gemini', 'retrieve-running.json')))

    const [state] = await gemini.poll([handle], call)

    expect(state).toMatchObject({ handle, counts: undefined })
  })

  test('counts are numbers, whatever is left out, and unknown while there are none', async () => {
    expect((await stateOfFixture('retrieve-running.json'))?.counts).toEqual({ total: 3, completed: 1, failed: 0 })
    expect((await stateOfFixture('retrieve-succeeded-inline.json'))?.counts).toEqual({
      total: 3,
      completed: 2,
      failed: 1,
    })
    expect((await stateOf({ name: 'batches/B1', metadata: { batchStats: {} } }))?.counts).toBeUndefined()
  })

  test.each([
    [8, 'capacity'],
    ['UNAVAILABLE', 'capacity'],
    [7, 'everything'],
    [5, 'everything'],
    [3, 'invalid'],
    [9, 'invalid'],
    [13, 'invalid'],
    [undefined, 'invalid'],
  ])('failed with code %s means %s', async (code, refused) => {
    const operation = { ...fixtureJson('gemini', 'retrieve-failed.json'), error: { code, message: 'why' } }

    expect(await stateOf(operation)).toMatchObject({ outcome: 'failed', refused, problems: [{ message: 'why' }] })
  })

  test.each([
    ['an error', { done: true, error: { code: 13, message: 'x' } }, 'failed'],
    ['a cancellation', { done: true, error: { code: 1 } }, 'cancelled'],
    ['an answer', { done: true, response: {} }, 'completed'],
  ])('without a state, done with %s has ended', async (_, operation, outcome) => {
    expect(await stateOf({ name: 'batches/B1', ...operation })).toMatchObject({ phase: 'ended', outcome })
  })

  test.each([
    ['counts', { metadata: { state: 'BATCH_STATE_SUCCEEDED', batchStats: 7 } }],
    ['names', { metadata: { state: 'BATCH_STATE_SUCCEEDED', displayName: {}, inputConfig: 'x' }, done: 'yes' }],
    ['fields nobody knows', { metadata: { state: 'JOB_STATE_SUCCEEDED', novelty: [1] } }],
  ])('odd %s do not hide that it is completed', async (_, odd) => {
    expect(await stateOf({ name: 'batches/B1', ...odd })).toMatchObject({ outcome: 'completed' })
  })

  test('a Retry-After is handed on', async () => {
    const reply = fixtureJson('gemini', 'retrieve-running.json')
    const call = scriptedCall(() => new Response(JSON.stringify(reply), { headers: { 'retry-after': '7' } }))

    expect(await gemini.poll([{ id: 'batches/B1' }], call)).toMatchObject([{ retryAfterMs: 7000 }])
  })
})

describe('what rows mean', () => {
  test('inline ones are read by their keys, and told byte for byte', async () => {
    const text = fixtureText('gemini', 'retrieve-succeeded-inline.json')

    const rows = await rowsOf(scriptedCall(() => new Response(text)))

    expect(rows.map(kindOf)).toEqual([`${TAG}-3:200`, `${TAG}-1:200`, `${TAG}-2:400`])
    const [first, , error] = rows.map((row) => (row.kind === 'reply' ? row.body : ''))
    expect(text).toContain(first)
    expect(JSON.parse(error ?? '')).toEqual({
      error: { code: 400, message: 'Request contains an invalid argument.', status: 'INVALID_ARGUMENT' },
    })
  })

  test('those of a file are downloaded and read the same way', async () => {
    const lines = fixtureText('gemini', 'output-happy.jsonl')
    const call = scriptedCall(({ path }) =>
      path.includes(':download')
        ? new Response(lines)
        : jsonResponse(fixtureJson('gemini', 'retrieve-succeeded-file.json')),
    )

    const rows = await rowsOf(call)

    expect(call.requests.at(-1)).toEqual({
      method: 'GET',
      path: 'https://provider.test/download/v1/files/batch-B1:download',
      query: { alt: 'media' },
      isTransfer: true,
    })
    expect(rows.map(kindOf)).toEqual([`${TAG}-2:200`, `${TAG}-1:200`, `${TAG}-3:200`])
    for (const row of rows) expect(lines).toContain(row.kind === 'reply' ? `"response":${row.body}}` : row.kind)
  })

  test('a file may also be where the SDK looks for it', async () => {
    const call = scriptedCall(({ path }) => {
      if (path.startsWith('https:')) return jsonResponse({ error: { code: 404 } }, 404)
      return path.endsWith(':download')
        ? new Response(fixtureText('gemini', 'output-happy.jsonl'))
        : jsonResponse(fixtureJson('gemini', 'retrieve-succeeded-file.json'))
    })

    expect(await rowsOf(call)).toHaveLength(3)
    expect(call.requests.at(-1)?.path).toBe('/files/batch-B1:download')
  })

  test('a download that is refused is told as it is', async () => {
    const call = scriptedCall(({ path }) =>
      path.includes(':download')
        ? jsonResponse({ error: { code: 403 } }, 403)
        : jsonResponse(fixtureJson('gemini', 'retrieve-succeeded-file.json')),
    )

    await expect(rowsOf(call)).rejects.toMatchObject({ status: 403 })
    expect(call.requests).toHaveLength(2)
  })

  test.each([
    [
      'inline rows of a file batch',
      { metadata: { output: {} }, response: { inlinedResponses: { inlinedResponses: [{}] } } },
    ],
    ['rows in the flat shape', { dest: { inlinedResponses: [{}] } }],
    ['rows of embeddings', { response: { inlinedEmbedContentResponses: { inlinedResponses: [{}] } } }],
  ])('%s are found', async (_, output) => {
    expect(await rowsOf(scriptedCall(() => jsonResponse({ name: 'batches/B1', ...output })))).toEqual([
      { kind: 'unreadable' },
    ])
  })

  test('a batch without output has none', async () => {
    for (const fixture of ['retrieve-running.json', 'retrieve-expired.json', 'retrieve-failed.json']) {
      expect(await rowsOf(scriptedCall(() => jsonResponse(fixtureJson('gemini', fixture))))).toEqual([])
    }
  })

  test('results that break off are asked for again', async () => {
    const half = fixtureText('gemini', 'retrieve-succeeded-inline.json').slice(0, 900)

    await expect(rowsOf(scriptedCall(() => new Response(half)))).rejects.toMatchObject({ name: 'NetworkError' })
  })

  test('an error is told as the live endpoint would have, and nothing at all as an internal one', async () => {
    const rows = await rowsOfFile(fixtureText('gemini', 'output-partial.jsonl'))

    expect(rows.map(kindOf)).toEqual([`${TAG}-1:200`, `${TAG}-2:429`, `${TAG}-3:500`])
    const [, exhausted, empty] = rows.map((row) => (row.kind === 'reply' ? row.json : undefined))
    expect(exhausted).toEqual({
      error: {
        code: 429,
        message: 'Resource has been exhausted (e.g. check quota).',
        status: 'RESOURCE_EXHAUSTED',
        details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '30s' }],
      },
    })
    expect(empty).toMatchObject({ error: { code: 500, status: 'INTERNAL' } })
  })

  test('a blocked prompt is an answer', async () => {
    expect((await rowsOfFile(fixtureText('gemini', 'output-blocked.jsonl'))).map(kindOf)).toEqual([`${TAG}-1:200`])
  })

  test.each([
    [2, 500, 'UNKNOWN'],
    [3, 400, 'INVALID_ARGUMENT'],
    [4, 504, 'DEADLINE_EXCEEDED'],
    [5, 404, 'NOT_FOUND'],
    [6, 409, 'ALREADY_EXISTS'],
    [7, 403, 'PERMISSION_DENIED'],
    [8, 429, 'RESOURCE_EXHAUSTED'],
    [9, 400, 'FAILED_PRECONDITION'],
    [10, 409, 'ABORTED'],
    [11, 400, 'OUT_OF_RANGE'],
    [12, 501, 'UNIMPLEMENTED'],
    [13, 500, 'INTERNAL'],
    [14, 503, 'UNAVAILABLE'],
    [15, 500, 'DATA_LOSS'],
    [16, 401, 'UNAUTHENTICATED'],
    [17, 500, 'UNKNOWN'],
    ['3', 400, 'INVALID_ARGUMENT'],
    ['NOT_FOUND', 404, 'NOT_FOUND'],
    [429, 429, 'RESOURCE_EXHAUSTED'],
    [418, 418, 'FAILED_PRECONDITION'],
    [502, 502, 'INTERNAL'],
  ])('code %s is HTTP %i %s', async (code, status, name) => {
    const [row] = await rowsOfFile(JSON.stringify({ key: `${TAG}-1`, error: { code, message: 'why' } }))

    expect(row).toMatchObject({
      kind: 'reply',
      status,
      json: { error: { code: status, status: name, message: 'why' } },
    })
  })

  test('an error without a code, or with a name beside it, is read as well', async () => {
    const rows = await rowsOfFile(
      [{ message: 'why' }, { status: 'UNAVAILABLE' }, { code: 0 }, {}]
        .map((error) => JSON.stringify({ key: `${TAG}-1`, error, response: {} }))
        .join('\n'),
    )

    expect(rows.map(kindOf)).toEqual([`${TAG}-1:500`, `${TAG}-1:503`, `${TAG}-1:200`, `${TAG}-1:200`])
  })

  test('a cancelled row was not run', async () => {
    const [row] = await rowsOfFile(JSON.stringify({ key: `${TAG}-1`, error: { code: 1, message: 'cancelled' } }))

    expect(row).toEqual({
      kind: 'unexecuted',
      customId: `${TAG}-1`,
      reason: 'cancelled',
      code: 'CANCELLED',
      message: 'cancelled',
    })
  })

  test.each([
    ['{"key":'],
    ['null'],
    ['7'],
    ['{}'],
    ['{"response":{}}'],
    ['{"metadata":{},"response":{}}'],
    ['{"key":7}'],
  ])('%s is unreadable, and takes nothing from its neighbours', async (line) => {
    const [first = ''] = fixtureText('gemini', 'output-happy.jsonl').split('\n')

    expect((await rowsOfFile(`${line}\n${first}\n`)).map(kindOf)).toEqual(['unreadable', `${TAG}-2:200`])
  })

  test('parts of a call for many embeddings are one answer, in the order of the call; one failed part fails it', async () => {
    const rows = await rowsOfFile(fixtureText('gemini', 'output-embeddings.jsonl'))

    expect(rows.map(kindOf)).toEqual([`${TAG}-2:200`, `${TAG}-1:200`, `${TAG}-3:400`])
    expect(rows.map((row) => (row.kind === 'reply' ? row.json : undefined))).toMatchObject([
      { embeddings: [{ values: [0.7, 0.8] }], usageMetadata: { promptTokenCount: 4 } },
      {
        embeddings: [{ values: [0.1, 0.2] }, { values: [0.3, 0.4] }, { values: [0.5, 0.6] }],
        usageMetadata: { promptTokenCount: 6 },
      },
      { error: { code: 400, message: 'The text is empty.' } },
    ])
  })

  test('a single embedding has its tokens where a live one has them', async () => {
    const rows = await rowsOfFile('{"key":"one","response":{"embedding":{"values":[1.0, 2.5]},"tokenCount":"4"}}\n')

    expect(rows).toEqual([
      {
        kind: 'reply',
        customId: 'one',
        status: 200,
        requestId: undefined,
        body: '{"embedding":{"values":[1.0, 2.5]},"usageMetadata":{"promptTokenCount":4}}',
        json: { embedding: { values: [1, 2.5] }, usageMetadata: { promptTokenCount: 4 } },
      },
    ])
  })

  test('parts that come twice count once, and a call that lacks one is not told', async () => {
    const part = (key: string, response: unknown) => JSON.stringify({ key: `${TAG}-${key}`, response })
    const one = { embedding: { values: [1.0] } }

    const rows = await rowsOfFile(
      [
        part('1.0.2', one),
        part('1.0.2', one),
        part('2.0.2', one),
        part('2.1.2', {}),
        part('1.1.2', one),
        part('3.1.2', one),
      ].join('\n'),
    )

    expect(rows.map(kindOf)).toEqual(['unreadable', `${TAG}-1:200`])
    expect(rows[1]).toMatchObject({ body: '{"embeddings":[{"values":[1]},{"values":[1]}]}' })
  })
})

describe('what a refused create means', () => {
  const refusalOf = (status: number, body: string) =>
    gemini.refusal?.(new ProviderError(status, undefined, body, undefined, 'message'))
  const refused = (message: string, status = 'INVALID_ARGUMENT') =>
    refusalOf(400, JSON.stringify({ error: { code: 400, message, status } }))

  test('it names lines of a file, each with its own complaint', () => {
    expect(refusalOf(400, fixtureText('gemini', 'create-refused-file.json'))).toMatchObject({
      rows: [
        { line: 2, code: 'INVALID_ARGUMENT', message: expect.stringContaining('generation_configuration') },
        { line: 3, code: 'INVALID_ARGUMENT', message: expect.stringContaining('unexpected character') },
      ],
    })
  })

  test('it names inline rows by their place', () => {
    expect(refusalOf(400, fixtureText('gemini', 'create-refused-inline.json'))).toMatchObject({ rows: [{ line: 2 }] })
  })

  test('without a name, some row is to blame', () => {
    expect(refused('Request contains an invalid argument.')).toEqual({ rows: [] })
    expect(refusalOf(400, '<html>')).toEqual({ rows: [] })
  })

  test('a key that is none is about the account, although it is a 400', () => {
    expect(refusalOf(400, fixtureText('gemini', 'create-refused-key.json'))).toBe('account')
    expect(refused('User location is not supported for the API use.', 'FAILED_PRECONDITION')).toBe('account')
  })

  test('too much is split, and a file that is not ready is waited for', () => {
    expect(refused('Request payload size exceeds the limit: 20971520 bytes.')).toBe('too-large')
    expect(refused('The File x is not in an ACTIVE state.', 'FAILED_PRECONDITION')).toBe('capacity')
  })

  test.each([401, 403, 404, 413, 429, 503])('%i says it all by itself', (status) => {
    expect(refusalOf(status, fixtureText('gemini', 'create-refused-inline.json'))).toBeUndefined()
  })
})

describe('which batch is ours', () => {
  const intent = intentFor(gemini, { ...EMBED_MANY, tag: TAG, createdAt: Date.parse('2026-11-20T10:00:00Z') })
  const listed = (name: string, createTime: string, displayName = 'other', state = 'BATCH_STATE_RUNNING') => ({
    name: `batches/${name}`,
    metadata: { displayName, state, createTime },
  })
  /** A list of several pages. */
  const pagesOf = (...pages: readonly (readonly unknown[])[]) =>
    scriptedCall(({ query }) => {
      const page = Number(query?.['pageToken'] ?? 0)
      return jsonResponse({
        operations: pages[page],
        ...(page + 1 < pages.length ? { nextPageToken: String(page + 1) } : {}),
      })
    })

  test('it is known by its name', async () => {
    const call = scriptedCall(() => jsonResponse(fixtureJson('gemini', 'list-reply.json')))

    const found = await gemini.find({ ...intent, upload: { file: 'files/input1' } }, call)

    expect(found).toMatchObject({
      kind: 'adopted',
      states: [{ handle: { id: 'batches/B1', inputFile: 'files/input1', isSplit: true }, status: 'running' }],
    })
  })

  test('of twins the most advanced comes first', async () => {
    const ours = `offpeak-${TAG}`
    const call = pagesOf(
      ['FAILED', 'PENDING', 'SUCCEEDED', 'CANCELLED', 'RUNNING', 'EXPIRED'].map((state) =>
        listed(state, '2026-11-20T10:00:00Z', ours, `BATCH_STATE_${state}`),
      ),
    )

    const found = await gemini.find(intent, call)

    expect(found.kind === 'adopted' ? found.states.map(({ status }) => status) : []).toEqual([
      'succeeded',
      'running',
      'pending',
      'expired',
      'cancelled',
      'failed',
    ])
  })

  test('a list that is newest first is left when it is past the intent', async () => {
    const old = listed('a', '2026-11-19T10:00:00Z')
    const call = pagesOf([listed('b', '2026-11-20T10:00:00Z'), old], [old, old], [old])

    expect(await gemini.find(intent, call)).toEqual({ kind: 'none' })
    expect(call.requests).toHaveLength(2)
    // Its entries may hold whole outputs: nothing that is given up after two minutes.
    expect(call.requests).toMatchObject([{ isTransfer: true }, { isTransfer: true }])
  })

  test('a list in any other order is read to its end', async () => {
    const old = listed('a', '2026-11-18T10:00:00Z')
    const older = listed('b', '2026-11-17T10:00:00Z')
    const call = pagesOf([older, old], [old, older], [null, listed('c', 'soon', `offpeak-${TAG}`)])

    expect(await gemini.find(intent, call)).toMatchObject({
      kind: 'adopted',
      states: [{ handle: { id: 'batches/c' } }],
    })
  })

  test('it is one batch, wherever a list that moves shows it again: as its own twin it would be cancelled', async () => {
    const running = listed('B1', '2026-11-20T10:00:00Z', `offpeak-${TAG}`)
    const call = pagesOf([running], [running])

    const found = await gemini.find(intent, call)

    expect(found.kind === 'adopted' ? found.states.map(({ handle }) => handle.id) : []).toEqual(['batches/B1'])
  })

  test('nobody else’s batch is listed', async () => {
    const call = scriptedCall(() => jsonResponse(fixtureJson('gemini', 'list-reply.json')))
    const found = []

    for await (const batch of gemini.list?.(call) ?? []) found.push(batch)

    expect(found).toMatchObject([
      { tag: TAG, state: { handle: { id: 'batches/B1' } }, createdAt: Date.parse('2026-11-20T10:00:01Z') },
    ])
    for await (const batch of gemini.list?.(scriptedCall(() => jsonResponse({}))) ?? []) expect(batch).toBeUndefined()
  })

  test('its input is deleted, if it has one', async () => {
    const call = scriptedCall(() => jsonResponse({}))

    await gemini.release?.({ id: 'batches/B1' }, call)
    await gemini.release?.({ id: 'batches/B1', inputFile: 'files/input1' }, call)

    expect(call.requests).toEqual([{ method: 'DELETE', path: '/files/input1' }])
  })
})

describe('what an answer used', () => {
  test.each<[unknown, unknown]>([
    [
      {
        usageMetadata: {
          promptTokenCount: 8,
          candidatesTokenCount: 3,
          thoughtsTokenCount: 29,
          cachedContentTokenCount: 4,
        },
      },
      { input: 8, output: 32, cachedInput: 4, reasoning: 29 },
    ],
    [{ usageMetadata: { promptTokenCount: 8, toolUsePromptTokenCount: 5 } }, { input: 13, output: 0 }],
    [{ usageMetadata: { promptTokenCount: 8, candidatesTokenCount: 'many' } }, { input: 8, output: 0 }],
    [
      { embeddings: [], usageMetadata: { promptTokenCount: 6 } },
      { input: 6, output: 0 },
    ],
    [
      { embedding: {}, tokenCount: '5' },
      { input: 5, output: 0 },
    ],
    [{ embedding: {}, tokenCount: 'five' }, undefined],
    [{ usageMetadata: { totalTokenCount: 8 } }, undefined],
  ])('%o is %o', (json, usage) => {
    expect(gemini.usage(json)).toEqual(usage)
  })
})

test('our own refusals have Google’s envelope', () => {
  expect(JSON.parse(gemini.envelope({ status: 499, code: 'batch_cancelled', message: 'why' }))).toEqual({
    error: {
      code: 499,
      message: 'why',
      status: 'CANCELLED',
      details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'batch_cancelled', domain: 'offpeak' }],
    },
  })
})

test('the key is taken from the environment as the official SDK takes it', () => {
  const keyOf = (env: Record<string, string>) => gemini.credentials.fromEnvironment?.(env)

  expect(keyOf({ GEMINI_API_KEY: 'b', GOOGLE_API_KEY: ' a ' })).toEqual([['x-goog-api-key', 'a']])
  expect(keyOf({ GEMINI_API_KEY: 'b', GOOGLE_API_KEY: '' })).toEqual([['x-goog-api-key', 'b']])
  expect(keyOf({ GOOGLE_GENERATIVE_AI_API_KEY: 'c' })).toEqual([['x-goog-api-key', 'c']])
})
