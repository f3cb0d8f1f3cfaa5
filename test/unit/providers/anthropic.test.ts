import { describe, expect, test } from 'vitest'
import type { ProviderRequest } from '../../../src/core/adapter.ts'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import { anthropic } from '../../../src/providers/anthropic.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
} from '../../support/provider-call.ts'

const MINUTE_MS = 60_000
const CREATED_MS = Date.parse('2026-11-20T10:00:00Z')
const target = { provider: 'anthropic', baseUrl: 'https://api.anthropic.com/v1', query: '', endpoint: '/v1/messages' }

async function stateOf(batch: Record<string, unknown>): Promise<BatchState | undefined> {
  const [state] = await anthropic.poll(
    [{ id: 'msgbatch_01A' }],
    scriptedCall(() => jsonResponse(batch)),
  )
  return state
}

const stateOfFixture = (name: string): Promise<BatchState | undefined> => stateOf(fixtureJson('anthropic', name))

async function rowsOf(text: string): Promise<readonly JobResult[]> {
  const rows: JobResult[] = []
  const call = scriptedCall(() => new Response(text))
  for await (const group of anthropic.results({ id: 'msgbatch_01A' }, call)) rows.push(...group)
  return rows
}

function refusalOf(status: number, body: unknown): unknown {
  const text = JSON.stringify(body)
  const { error } = body as { error: { type: string; message: string } } // fixtures have one
  return anthropic.refusal?.(new ProviderError(status, error.type, text, undefined, error.message))
}

const errorOf = (message: string, details?: object) => ({
  type: 'error',
  error: { type: 'invalid_request_error', message, ...(details ? { details } : {}) },
})

describe('what Anthropic is sent', () => {
  test('is one create with every row inside, of the shape of its reference', async () => {
    const expected = fixtureJson('anthropic', 'create-request.json')
    const { requests } = expected as { requests: { params: unknown }[] } // a fixture of ours
    const intent = { ...intentFor(anthropic), tag: 'k7f3a9' }
    const call = scriptedCall(() => jsonResponse(fixtureJson('anthropic', 'create-reply.json')))
    const bodies = requests.map(({ params }) => JSON.stringify(params, null, 1))

    const created = await anthropic.create(intent, undefined, async () => inputOf(anthropic, intent, bodies), call)

    const [request] = call.requests
    expect(call.requests).toHaveLength(1)
    expect(request).toMatchObject({
      method: 'POST',
      path: '/messages/batches',
      headers: { 'content-type': 'application/json' },
      isTransfer: true,
    })
    expect(JSON.parse(await new Response(request?.body).text())).toEqual(expected)
    expect(created).toMatchObject({ phase: 'running', status: 'in_progress', handle: { id: 'msgbatch_01A' } })
  })

  test.each([
    ['anthropic-beta', 'b, a,b ,,c', 'a,b,c'],
    ['anthropic-beta', 'c,b,a', 'a,b,c'],
    ['anthropic-beta', ' , ', undefined],
    ['anthropic-dangerous-direct-browser-access', 'true', undefined],
    ['anthropic-version', '2026-10-21', '2026-10-21'],
    ['anthropic-workspace-id', 'wrkspc_1', 'wrkspc_1'],
    ['anthropic-user-profile-id', 'uprof_1', 'uprof_1'],
    ['x-api-key', 'sk-ant', 'sk-ant'],
    ['authorization', 'Bearer sk-ant', 'Bearer sk-ant'],
  ])('of the header %s: %s goes along as %s', (name, value, carried) => {
    expect(anthropic.carry?.(name, value)).toBe(carried)
  })

  test('by a command is the key of the environment, or else its token, and a version', () => {
    const both = { ANTHROPIC_API_KEY: 'sk-key', ANTHROPIC_AUTH_TOKEN: 'token' }

    expect(anthropic.credentials.fromEnvironment?.(both)).toEqual([
      ['authorization', 'Bearer sk-key'],
      ['anthropic-version', '2026-10-21'],
    ])
    expect(anthropic.credentials.fromEnvironment?.({ ANTHROPIC_AUTH_TOKEN: 'token' })?.[0]).toEqual([
      'authorization',
      'Bearer token',
    ])
  })
})

describe('what a body may be', () => {
  test.each([
    [{ speed: 'fast' }],
    [{ speed: 'standard' }],
    [{ fallbacks: [{ model: 'a' }, { model: 'b', speed: 'fast' }] }],
    [{ max_tokens: 0 }],
    [{ thread: { type: 'create' } }],
  ])('%o is not batched, and says why', (body) => {
    expect(anthropic.admit?.(body, target)).toMatch(/\w{3}/)
  })

  test.each([
    [{}],
    [{ stream: false }],
    [{ speed: null, thread: null }],
    [{ fallbacks: 'default' }],
    [{ fallbacks: [{ model: 'a', speed: null }, null, 'x'] }],
    [{ max_tokens: 1 }],
    [{ fallback_credit_token: 'token' }],
    [{ service_tier: 'auto' }],
  ])('%o is', (body) => {
    expect(anthropic.admit?.(body, target)).toBeUndefined()
  })
})

describe('what a refused create means', () => {
  test('a row that is named is to be sent alone', () => {
    expect(refusalOf(400, fixtureJson('anthropic', 'create-refused.json'))).toEqual({
      rows: [expect.objectContaining({ line: 2, message: 'requests.1.params.max_tokens: Field required' })],
    })
  })

  test('each of several rows is named once', () => {
    const body = errorOf('requests.4.custom_id: duplicate of requests.0.custom_id; requests.4.custom_id: too long')

    expect(refusalOf(400, body)).toMatchObject({ rows: [{ line: 5 }, { line: 1 }] })
  })

  test('a complaint that names no row is about one yet to be found', () => {
    expect(refusalOf(400, errorOf('messages: Input should be a valid list'))).toEqual({ rows: [] })
  })

  test('a complaint about a header is about every row', () => {
    expect(refusalOf(400, errorOf('Unexpected value(s) `x` for the `anthropic-beta` header'))).toBe('invalid')
  })

  test.each(['create-refused-balance.json', 'create-refused-spend.json'])('%s is about the account', (name) => {
    const body = fixtureJson('anthropic', name)

    expect(refusalOf(name.includes('spend') ? 429 : 400, body)).toBe('account')
  })

  test('an organisation that is disabled is about the account: halving its batches would fail them one by one', () => {
    expect(refusalOf(400, errorOf('This organization has been disabled.'))).toBe('account')
  })

  test('a code about the organisation is about the account, whatever the status', () => {
    expect(refusalOf(400, errorOf('on hold', { error_code: 'organization_on_hold' }))).toBe('account')
  })

  test.each([429, 413, 401, 404, 529])('of HTTP %i is what its status says', (status) => {
    expect(refusalOf(status, errorOf('no'))).toBeUndefined()
  })

  test('that is no JSON is what its status says', () => {
    const error = new ProviderError(502, undefined, '<html>', undefined, 'HTTP 502')

    expect(anthropic.refusal?.(error)).toBeUndefined()
  })
})

describe('where a batch stands', () => {
  test.each(['in_progress', 'canceling'])('%s is running, and tells nothing of its rows', async (status) => {
    expect(await stateOfFixture(`retrieve-${status}.json`)).toMatchObject({
      phase: 'running',
      status,
      counts: undefined,
    })
  })

  test.each([
    ['retrieve-ended.json', 'completed', 3, 0],
    ['retrieve-ended-errored.json', 'completed', 1, 2],
    ['retrieve-ended-canceled.json', 'cancelled', 1, 2],
    ['retrieve-ended-expired.json', 'expired', 1, 2],
  ])('%s is %s', async (name, outcome, completed, failed) => {
    expect(await stateOfFixture(name)).toMatchObject({
      phase: 'ended',
      outcome,
      counts: { total: 3, completed, failed },
      handle: { resultsUrl: 'https://api.anthropic.com/v1/messages/batches/msgbatch_01A/results' },
    })
  })

  test('a cancel that came too late for every row changes nothing', async () => {
    const batch = { ...fixtureJson('anthropic', 'retrieve-ended.json'), cancel_initiated_at: '2026-11-20T10:01:00Z' }

    expect(await stateOf(batch)).toMatchObject({ phase: 'ended', outcome: 'completed' })
  })

  test('an end whose counts cannot be read is an end all the same', async () => {
    for (const counts of [null, {}, 'many']) {
      const batch = { ...fixtureJson('anthropic', 'retrieve-ended.json'), request_counts: counts }

      expect(await stateOf(batch)).toMatchObject({ phase: 'ended', outcome: 'completed', counts: undefined })
    }
  })

  test('the pause that the reply asks for is kept', async () => {
    const reply = JSON.stringify(fixtureJson('anthropic', 'retrieve-in_progress.json'))
    const call = scriptedCall(() => new Response(reply, { headers: { 'retry-after': '10' } }))

    expect(await anthropic.poll([{ id: 'msgbatch_01A' }], call)).toMatchObject([{ retryAfterMs: 10_000 }])
  })
})

describe('results', () => {
  async function askedFor(handle: { id: string; resultsUrl?: string }): Promise<ProviderRequest | undefined> {
    const call = scriptedCall(() => new Response(''))
    for await (const _ of anthropic.results(handle, call));
    return call.requests[0]
  }

  const own = '/messages/batches/msgbatch_01A/results'

  test.each([
    ['no URL at all', {}, own],
    ['the API’s own URL: by our way there', { resultsUrl: `https://api.anthropic.com/v1${own}` }, own],
    ['a URL that is none', { resultsUrl: 'soon' }, own],
    ['storage elsewhere', { resultsUrl: 'https://cdn.test/r/1' }, 'https://cdn.test/r/1'],
    ['a signed URL', { resultsUrl: `https://x.test/v1${own}?sig=1` }, `https://x.test/v1${own}?sig=1`],
  ])('are fetched by %s', async (_, further, path) => {
    expect(await askedFor({ id: 'msgbatch_01A', ...further })).toMatchObject({ method: 'GET', path, isTransfer: true })
  })

  /** A provider that knows neither the results nor the batch itself, which ended so long ago by its own clock. */
  async function failureAfter(endedMsAgo: number): Promise<unknown> {
    const state = await stateOfFixture('retrieve-ended.json')
    const endedAt = String(fixtureJson('anthropic', 'retrieve-ended.json')['ended_at'])
    const headers = { date: new Date(Date.parse(endedAt) + endedMsAgo).toUTCString() }
    const call = scriptedCall(({ path }) =>
      path === '/messages/batches' ? new Response('{"data":[]}', { headers }) : jsonResponse(errorOf('not found'), 404),
    )
    const reading = (async () => {
      for await (const _ of anthropic.results(state?.handle ?? { id: 'none' }, call));
    })()
    return await reading.then(String, (error: unknown) => error)
  }

  test('that are not there right after the end are on their way: nobody may think them lost', async () => {
    expect(await failureAfter(30_000)).toMatchObject({ name: 'NetworkError' })
    expect(await failureAfter(9 * MINUTE_MS)).toMatchObject({ name: 'NetworkError' })
  })

  test('that are not there long after the end are gone', async () => {
    expect(await failureAfter(11 * MINUTE_MS)).toMatchObject({ name: 'ProviderError', status: 404 })
  })

  test('of a batch that nobody knows the end of are gone', async () => {
    const call = scriptedCall(() => jsonResponse(errorOf('not found'), 404))
    const reading = (async () => {
      for await (const _ of anthropic.results({ id: 'msgbatch_01A' }, call));
    })()

    await expect(reading).rejects.toMatchObject({ name: 'ProviderError', status: 404 })
  })
})

describe('rows', () => {
  test.each([
    ['happy', ['200', '200', '200']],
    ['errored', ['529', '200', '400']],
    ['canceled', ['cancelled', '200', 'cancelled']],
    ['expired', ['200', 'expired', 'expired']],
  ])('of the %s outcome are all read, by id', async (name, expected) => {
    const rows = await rowsOf(fixtureText('anthropic', `results-${name}.jsonl`))

    expect(
      rows.map((row) => (row.kind === 'reply' ? String(row.status) : row.kind === 'unexecuted' && row.reason)),
    ).toEqual(expected) // in the order of the file
    expect(new Set(rows.map((row) => (row.kind === 'unreadable' ? '' : row.customId)))).toEqual(
      new Set(['k7f3a9-1', 'k7f3a9-2', 'k7f3a9-3']),
    )
  })

  const row = (result: unknown): string => JSON.stringify({ custom_id: 'c-1', result })
  const errored = (type: string, code?: string): string => {
    const error = { type, message: 'm', ...(code === undefined ? {} : { details: { error_code: code } }) }
    return row({ type: 'errored', error: { type: 'error', request_id: 'req_9', error } })
  }

  test('keep the provider’s own text, whatever no parser would write the same way', async () => {
    const body = '{ "id":"msg","n":12345678901234567890,"t":1.0, "s":"\\u00e9\\/ \u2028","message":{"message":2} }'

    const [read] = await rowsOf(`{"message":1,"custom_id":"c-1","result": {"message": ${body} ,"type":"succeeded"}}`)

    expect(read).toMatchObject({ kind: 'reply', status: 200, requestId: undefined, body, json: { t: 1 } })
  })

  test.each([
    ['invalid_request_error', undefined, 400],
    ['authentication_error', undefined, 401],
    ['billing_error', undefined, 402],
    ['permission_error', undefined, 403],
    ['not_found_error', undefined, 404],
    ['conflict_error', undefined, 409],
    ['request_too_large', undefined, 413],
    ['rate_limit_error', undefined, 429],
    ['api_error', undefined, 500],
    ['timeout_error', undefined, 504],
    ['overloaded_error', undefined, 529],
    ['some_new_error', undefined, 500],
    ['api_error', 'cmek_key_unreachable', 503],
    ['api_error', 'cmek_context_unavailable', 503],
    ['overloaded_error', 'compaction_unavailable', 529],
    ['invalid_request_error', 'request_body_too_large_after_decoding', 413],
    ['invalid_request_error', 'sandbox_egress_restricted', 403],
    ['invalid_request_error', 'a_new_code', 400],
  ])('of an error %s (%s) have the status %i, and the envelope as it is', async (type, code, status) => {
    const line = errored(type, code)

    const [read] = await rowsOf(line)

    const { result } = JSON.parse(line) as { result: { error: unknown } } // made above
    expect(read).toMatchObject({ kind: 'reply', status, requestId: 'req_9', json: result.error })
    expect(read?.kind === 'reply' && JSON.parse(read.body)).toEqual(result.error)
  })

  test('of an error without its envelope are put into one', async () => {
    const [read] = await rowsOf(row({ type: 'errored', error: { type: 'rate_limit_error', message: 'slow' } }))

    const body = { type: 'error', error: { type: 'rate_limit_error', message: 'slow' }, request_id: null }
    expect(read).toMatchObject({ kind: 'reply', status: 429, requestId: undefined, json: body })
    expect(read?.kind === 'reply' && JSON.parse(read.body)).toEqual(body)
  })

  test.each([
    ['a type nobody knows', row({ type: 'paused' })],
    ['a success without a message', row({ type: 'succeeded' })],
    ['a success whose message is null', row({ type: 'succeeded', message: null })],
    ['an error that tells nothing', row({ type: 'errored' })],
    ['an error that is text', row({ type: 'errored', error: 'bad' })],
    ['no result', JSON.stringify({ custom_id: 'c-1' })],
    ['an id that is a number', JSON.stringify({ custom_id: 7, result: { type: 'expired' } })],
    ['half a row', row({ type: 'expired' }).slice(0, 20)],
    ['null', 'null'],
  ])('with %s are unreadable', async (_, line) => {
    expect(await rowsOf(line)).toEqual([{ kind: 'unreadable' }])
  })
})

describe('a look for a batch', () => {
  const intent = intentFor(anthropic, {
    jobs: 3,
    createdAt: CREATED_MS - 5 * MINUTE_MS,
    creatingAt: CREATED_MS - MINUTE_MS,
  })
  const running = fixtureJson('anthropic', 'create-reply.json')
  const createdAt = (ms: number): string => new Date(ms).toISOString()

  async function foundIn(...pages: readonly Record<string, unknown>[][]): Promise<readonly string[]> {
    const call = scriptedCall(({ query }) => {
      const at = query?.['after_id'] === undefined ? 0 : Number(query['after_id'])
      return jsonResponse({ data: pages[at], has_more: at + 1 < pages.length, last_id: String(at + 1) })
    })
    const found = await anthropic.find(intent, call)
    expect(found.kind).not.toBe('adopted')
    return found.kind === 'none' ? [] : found.states.map(({ handle }) => handle.id)
  }

  test('gives every batch that could be it, running or ended', async () => {
    const ended = { ...fixtureJson('anthropic', 'retrieve-ended-errored.json'), id: 'ended' }

    expect(await foundIn([running, ended])).toEqual(['ended', 'msgbatch_01A'])
  })

  test('reads a list of the shape of the reference', async () => {
    const call = scriptedCall(() => jsonResponse(fixtureJson('anthropic', 'list-reply.json')))

    expect(await anthropic.find(intent, call)).toMatchObject({
      kind: 'candidates',
      states: [{ phase: 'ended' }, { phase: 'running' }],
    })
    expect(call.requests).toMatchObject([{ method: 'GET', path: '/messages/batches', query: { limit: '100' } }])
  })

  test.each([
    ['of another size', { request_counts: { processing: 4 } }],
    ['made well before the intent', { created_at: createdAt(intent.createdAt - 11 * MINUTE_MS) }],
    ['made hours after the create', { created_at: createdAt(CREATED_MS + 90 * MINUTE_MS) }],
    ['whose results are gone', { archived_at: createdAt(CREATED_MS) }],
  ])('leaves out one %s', async (_, change) => {
    expect(await foundIn([{ ...running, ...change }])).toEqual([])
  })

  test.each([
    ['two hours behind', -2],
    ['two hours ahead', 2],
    ['a day ahead', 24],
  ])('finds it from a computer whose clock is %s: a batch that is overlooked is paid for twice', async (_, hours) => {
    const wrongMs = hours * 60 * MINUTE_MS
    const date = new Date(CREATED_MS - 4 * MINUTE_MS).toUTCString()
    const clock = scriptedCall(() => new Response('{"data":[]}', { headers: { date } }))
    const times = { createdAt: intent.createdAt + wrongMs, creatingAt: CREATED_MS - MINUTE_MS + wrongMs }
    const upload = await anthropic.upload?.(intent, inputOf(anthropic, intent, []), clock)
    const older = Array.from({ length: 3 }, (_row, index) =>
      Object.assign(structuredClone(running), {
        id: `older${index}`,
        created_at: createdAt(CREATED_MS - 3 * 60 * MINUTE_MS),
      }),
    )
    const call = scriptedCall(() => jsonResponse({ data: [running, ...older], has_more: false }))

    const found = await anthropic.find({ ...intent, ...times, upload }, call)

    expect(found).toMatchObject({ kind: 'candidates', states: [{ handle: { id: 'msgbatch_01A' } }] })
    expect(found.kind === 'candidates' && found.states).toHaveLength(1)
  })

  test.each([
    ['no list', () => jsonResponse(errorOf('not found'), 404)],
    ['no time', () => jsonResponse({ data: [] })],
    ['no time that can be read', () => new Response('{}', { headers: { date: 'now' } })],
  ])('goes by the clock here where there is %s', async (_, reply) => {
    const upload = await anthropic.upload?.(intent, inputOf(anthropic, intent, []), scriptedCall(reply))

    expect(upload).toEqual({})
  })

  test.each([
    ['whose clock is behind', { created_at: createdAt(intent.createdAt - 9 * MINUTE_MS) }],
    ['whose upload took an hour', { created_at: createdAt(CREATED_MS + 60 * MINUTE_MS) }],
    ['whose time cannot be read', { created_at: 'yesterday' }],
    ['whose size is not told', { request_counts: null }],
    ['whose size is not told yet', { request_counts: { processing: 0 } }],
  ])('never misses one %s', async (_, change) => {
    expect(await foundIn([{ ...running, ...change }])).toEqual(['msgbatch_01A'])
  })

  test('goes on while there is more, and stops at batches older than the intent', async () => {
    const newer = { ...running, id: 'newer', request_counts: { processing: 9 } }
    const old = { ...running, id: 'old', created_at: createdAt(CREATED_MS - 60 * MINUTE_MS) }

    expect(await foundIn([newer], [running])).toEqual(['msgbatch_01A'])
    expect(await foundIn([newer], [old], [running])).toEqual([])
  })

  test('fails rather than finding nothing when a page cannot be read', async () => {
    const call = scriptedCall(() => new Response('{"data":[{"no":"id"}]}'))

    await expect(anthropic.find(intent, call)).rejects.toMatchObject({ name: 'NetworkError' })
  })
})

describe('tokens', () => {
  test('count what was written to the cache and read from it as input', () => {
    const usage = {
      input_tokens: 10,
      cache_creation_input_tokens: 100,
      cache_read_input_tokens: 1000,
      output_tokens: 20,
      output_tokens_details: { thinking_tokens: 7 },
    }

    expect(anthropic.usage({ usage })).toEqual({
      input: 1110,
      output: 20,
      cacheWrite: 100,
      cachedInput: 1000,
      reasoning: 7,
    })
  })

  test('are read where nothing is told of a cache', () => {
    const usage = {
      input_tokens: 10,
      output_tokens: 20,
      cache_creation_input_tokens: null,
      output_tokens_details: null,
    }

    expect(anthropic.usage({ usage })).toEqual({ input: 10, output: 20 })
  })
})

test.each([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [429, 'rate_limit_error'],
  [424, 'invalid_request_error'],
  [499, 'invalid_request_error'],
])('a refusal of ours with HTTP %i is worded as Anthropic words its own', (status, type) => {
  const text = anthropic.envelope({ status, code: 'batch_expired', message: 'late' })

  expect(JSON.parse(text)).toEqual({
    type: 'error',
    error: { type, message: 'late', details: { error_code: 'batch_expired' } },
    request_id: null,
  })
})
