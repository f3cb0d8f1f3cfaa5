import { describe, expect, test } from 'vitest'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import type { JsonObject } from '../../../src/core/request.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import { mistral } from '../../../src/providers/mistral.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
} from '../../support/provider-call.ts'

const JOB = 'ca1c0000-0000-4000-8000-000000000001'
const INPUT = '5cdf0000-0000-4000-8000-000000000001'
const OUTPUT = '0a0f0000-0000-4000-8000-000000000001'
const ERRORS = '0e0f0000-0000-4000-8000-000000000001'

async function stateOf(job: Record<string, unknown>): Promise<BatchState | undefined> {
  const [state] = await mistral.poll(
    [{ id: JOB }],
    scriptedCall(() => jsonResponse(job)),
  )
  return state
}

const stateOfFixture = (name: string): Promise<BatchState | undefined> => stateOf(fixtureJson('mistral', name))

async function rowsOf(output: string, errors?: string): Promise<readonly JobResult[]> {
  const call = scriptedCall(({ path }) => new Response((path.includes(OUTPUT) ? output : errors) ?? ''))
  const handle = { id: JOB, outputFileId: OUTPUT, ...(errors === undefined ? {} : { errorFileId: ERRORS }) }
  const rows: JobResult[] = []
  for await (const group of mistral.results(handle, call)) rows.push(...group)
  return rows
}

function refusalOf(status: number, body: string): unknown {
  return mistral.refusal?.(new ProviderError(status, undefined, body, undefined, `HTTP ${status}`))
}

describe('what Mistral is sent', () => {
  test('is an upload of purpose batch, named after the intent', async () => {
    const intent = intentFor(mistral, { tag: 'k7f3a9abcdef' })
    const call = scriptedCall(() => jsonResponse(fixtureJson('mistral', 'upload-reply.json')))

    const upload = await mistral.upload?.(intent, inputOf(mistral, intent, ['{"model":"m"}']), call)

    const [request] = call.requests
    const form = request?.body instanceof FormData ? request.body : new FormData()
    expect(request).toMatchObject({ method: 'POST', path: '/files', isTransfer: true })
    expect(form.get('purpose')).toBe('batch')
    expect(form.get('file')).toMatchObject({ name: 'k7f3a9abcdef.jsonl' })
    expect(upload).toEqual({ fileId: INPUT })
  })

  test('is rows of the shape of its reference, with the model each body names', () => {
    const [first = ''] = fixtureText('mistral', 'input.jsonl').split('\n')
    const row = JSON.parse(first) as { custom_id: string; body: unknown } // a row of ours
    const body = JSON.stringify(row.body)

    expect(mistral.line({ job: 1, customId: row.custom_id, endpoint: '/v1/chat/completions', body })).toBe(first)
  })

  async function created(change: Partial<Parameters<typeof intentFor>[1]>): Promise<JsonObject> {
    const intent = intentFor(mistral, { tag: 'k7f3a9', model: 'mistral-small-latest', ...change })
    const call = scriptedCall(() => jsonResponse(fixtureJson('mistral', 'create-reply.json')))
    await mistral.create(intent, { fileId: INPUT }, () => Promise.reject(new Error('unused')), call)
    const [request] = call.requests
    expect(call.requests).toHaveLength(1)
    expect(request).toMatchObject({ method: 'POST', path: '/batch/jobs' })
    return JSON.parse(typeof request?.body === 'string' ? request.body : '') as JsonObject // ours
  }

  test('is a create of the shape of its reference, with a tag that nobody can overwrite', async () => {
    const metadata = { team: 'blue', offpeak_intent: 'forged' }

    expect(await created({ metadata })).toEqual(fixtureJson('mistral', 'create-request.json'))
  })

  test.each([
    ['24h', 24],
    ['1h', 1],
    ['6d', 144],
  ])('for the window %s is a timeout of %i hours', async (window, hours) => {
    expect(mistral.limits.windows).toContain(window)
    expect(await created({ window })).toMatchObject({ timeout_hours: hours })
  })

  test('for each window it offers is a whole number of hours below seven days', async () => {
    for (const window of mistral.limits.windows) {
      const { timeout_hours: hours } = await created({ window })

      expect(hours).toSatisfy((given: number) => Number.isInteger(given) && given > 0 && given < 7 * 24)
    }
  })

  test('names no model where the bodies name none', async () => {
    expect(await created({ model: '' })).not.toHaveProperty('model')
  })

  test.each([
    ['cookie', '', undefined],
    ['cookie', 'session=1', 'session=1'],
    ['authorization', 'Bearer key', 'Bearer key'],
  ])('of the header %s: "%s" goes along as %s', (name, value, carried) => {
    expect(mistral.carry?.(name, value)).toBe(carried)
  })
})

test('a conversation is recognised, so that somebody is told why it is not batched', () => {
  const matched = mistral.match({ method: 'POST', url: '' }, '/conversations')
  const target = { provider: 'mistral', baseUrl: '', query: '', endpoint: matched?.endpoint ?? '' }

  expect(mistral.admit?.({ inputs: 'hello' }, target)).toMatch(/\w{3}/)
  expect(mistral.admit?.({}, { ...target, endpoint: '/v1/chat/completions' })).toBeUndefined()
  expect(mistral.facts.endpoints).not.toContain('/v1/conversations')
})

describe('what a refusal means', () => {
  test('of a field of the job is about all of its rows', () => {
    expect(refusalOf(422, JSON.stringify(fixtureJson('mistral', 'create-refused.json')))).toBeUndefined()
    expect(refusalOf(400, JSON.stringify(fixtureJson('mistral', 'create-refused.json')))).toBeUndefined()
    expect(refusalOf(400, '{"object":"error","message":"Invalid model: mistral-9"}')).toBeUndefined()
    expect(
      refusalOf(422, '{"detail":[{"type":"missing","loc":["file","file"],"msg":"Field required"}]}'),
    ).toBeUndefined()
  })

  test('of anything else in the input is about one yet to be found', () => {
    expect(refusalOf(400, '{"object":"error","message":"Invalid file format"}')).toEqual({ rows: [] })
    expect(refusalOf(422, '{"detail":"Invalid file format."}')).toEqual({ rows: [] })
  })

  test.each([401, 402, 413, 429, 500])('of HTTP %i is what its status says', (status) => {
    expect(refusalOf(status, '{"message":"no"}')).toBeUndefined()
  })
})

describe('where a job stands', () => {
  test.each(['QUEUED', 'RUNNING', 'CANCELLATION_REQUESTED'])('%s is running', async (status) => {
    expect(await stateOfFixture(`retrieve-${status.toLowerCase()}.json`)).toMatchObject({ phase: 'running', status })
  })

  test.each([
    ['success', 'completed', { total: 3, completed: 3, failed: 0 }],
    ['success-partial', 'completed', { total: 3, completed: 2, failed: 1 }],
    ['timeout_exceeded', 'expired', { total: 3, completed: 1, failed: 0 }],
    ['cancelled', 'cancelled', { total: 3, completed: 1, failed: 0 }],
  ])('%s is %s, and names its files', async (name, outcome, counts) => {
    expect(await stateOfFixture(`retrieve-${name}.json`)).toMatchObject({
      phase: 'ended',
      outcome,
      counts,
      handle: { id: JOB, inputFileId: INPUT, outputFileId: OUTPUT },
    })
  })

  test('its counts are unknown until the input has been checked', async () => {
    expect((await stateOfFixture('retrieve-queued.json'))?.counts).toBeUndefined()
  })

  test('a failed job that has run nothing has been refused for some of its rows', async () => {
    expect(await stateOfFixture('retrieve-failed.json')).toMatchObject({
      outcome: 'failed',
      refused: 'invalid',
      problems: [{ message: 'Input should be a valid list', line: undefined }],
    })
  })

  test('a failed job with a complaint for every row has been refused for all of them', async () => {
    expect(await stateOfFixture('retrieve-failed-everything.json')).toMatchObject({
      outcome: 'failed',
      refused: 'everything',
    })
  })

  test.each([
    ['counts', { completed_requests: 1, succeeded_requests: 1 }],
    ['a file', { output_file: OUTPUT }],
  ])('a failed job that has run some rows, by its %s, may have run the others', async (_, change) => {
    const job = { ...fixtureJson('mistral', 'retrieve-failed.json'), ...change }

    expect(await stateOf(job)).toMatchObject({ phase: 'ended', outcome: 'completed', status: 'FAILED' })
  })

  test('complaints of another shape hide nothing', async () => {
    for (const errors of [null, 'many', [{}], [{ message: 7 }]]) {
      const job = { ...fixtureJson('mistral', 'retrieve-failed.json'), errors }

      expect(await stateOf(job)).toMatchObject({ outcome: 'failed', refused: 'invalid' })
    }
  })
})

describe('rows', () => {
  test('of both files are read', async () => {
    const rows = await rowsOf(
      fixtureText('mistral', 'output-partial.jsonl'),
      fixtureText('mistral', 'errors-partial.jsonl'),
    )

    expect(rows.map((row) => row.kind === 'reply' && [row.customId, row.status])).toEqual([
      ['k7f3a9-3', 200],
      ['k7f3a9-1', 200],
      ['k7f3a9-2', 422],
    ])
  })

  test.each([
    ['happy', 3],
    ['rest-missing', 1],
  ])('of the %s outcome are those there are', async (name, count) => {
    const rows = await rowsOf(fixtureText('mistral', `output-${name}.jsonl`))

    expect(rows.map((row) => row.kind === 'reply' && row.status)).toEqual(Array.from({ length: count }, () => 200))
  })

  test('are looked for in the job itself when it names no file', async () => {
    const call = scriptedCall(() => jsonResponse(fixtureJson('mistral', 'retrieve-inline.json')))
    const rows: JobResult[] = []

    for await (const group of mistral.results({ id: JOB }, call)) rows.push(...group)

    expect(call.requests).toMatchObject([{ method: 'GET', path: `/batch/jobs/${JOB}`, query: { inline: 'true' } }])
    expect(rows).toMatchObject([{ kind: 'reply', customId: 'k7f3a9-1', status: 200, json: { id: 'r1' } }])
  })

  test('are none where the job has neither', async () => {
    const call = scriptedCall(() => jsonResponse(fixtureJson('mistral', 'retrieve-failed.json')))

    for await (const group of mistral.results({ id: JOB }, call)) expect(group).toEqual([])
  })

  const row = (fields: Record<string, unknown>): string => JSON.stringify({ id: 'batch-1', custom_id: 'c', ...fields })

  test('keep the provider’s own text, whatever no parser would write the same way', async () => {
    const body = '{ "n":12345678901234567890,"t":1.0,"s":"\\u00e9\\/ \u2028","body":{"body":2} }'

    const [read] = await rowsOf(
      `{"body":1,"custom_id":"c","response":{"body": ${body} ,"status_code":200},"error":null}`,
    )

    expect(read).toMatchObject({ kind: 'reply', status: 200, requestId: undefined, body, json: { t: 1 } })
  })

  const error = (message: string, code: unknown) => ({ object: 'error', message, type: 'batch_error', code })

  test.each([
    ['an answer', { response: { status_code: 200, body: { a: 1 } } }, 200, { a: 1 }],
    ['an HTTP error', { response: { status_code: 429, body: { message: 'slow' } } }, 429, { message: 'slow' }],
    [
      'an HTTP error with another beside it: what the endpoint said counts',
      { response: { status_code: 400, body: { message: 'bad' } }, error: { message: 'failed' } },
      400,
      { message: 'bad' },
    ],
    ['an error as text', { response: null, error: 'lost' }, 500, error('lost', null)],
    ['an error as an object', { error: { message: 'lost', code: 'E1' } }, 500, error('lost', 'E1')],
    ['an error with a status', { error: { message: 'lost', status_code: 422 } }, 422, error('lost', null)],
    ['an error whose code is a status', { error: { message: 'lost', code: '404' } }, 404, error('lost', '404')],
    ['an error whose code is none', { error: { message: 'lost', code: 1500 } }, 500, error('lost', 1500)],
    ['an error without a word', { error: {} }, 500, error('the provider gave no reason', null)],
    [
      'an error beside a response without a body',
      { response: { status_code: 200 }, error: 'lost' },
      500,
      error('lost', null),
    ],
  ])('may be %s', async (_, fields, status, json) => {
    const [read] = await rowsOf(row(fields))

    expect(read).toMatchObject({ kind: 'reply', customId: 'c', status, json })
    expect(read?.kind === 'reply' && JSON.parse(read.body)).toEqual(json)
  })

  test.each([
    ['neither answer nor error', row({ response: null, error: null })],
    ['no body', row({ response: { status_code: 200 }, error: null })],
    ['null for a body', row({ response: { status_code: 200, body: null }, error: null })],
    ['a status that is none', row({ response: { status_code: 0, body: {} } })],
    ['a status that is text', row({ response: { status_code: '200', body: {} } })],
    ['no id', JSON.stringify({ response: { status_code: 200, body: {} } })],
    ['null for an id', JSON.stringify({ custom_id: null, response: { status_code: 200, body: {} } })],
    ['half a row', row({ error: 'lost' }).slice(0, 20)],
    ['null', 'null'],
  ])('with %s are unreadable', async (_, line) => {
    expect(await rowsOf(line)).toEqual([{ kind: 'unreadable' }])
  })
})

describe('a look for a job', () => {
  const intent = intentFor(mistral, { tag: 'k7f3a9', createdAt: 1_787_150_440_000 })
  const ours = fixtureJson('mistral', 'create-reply.json')
  const other = { ...ours, id: 'other', metadata: null }

  test('reads a list of the shape of the reference, whatever time it is here', async () => {
    const call = scriptedCall(() => jsonResponse(fixtureJson('mistral', 'list-reply.json')))

    expect(await mistral.find(intent, call)).toMatchObject({ kind: 'adopted', states: [{ handle: { id: JOB } }] })
    expect(call.requests).toEqual([
      {
        method: 'GET',
        path: '/batch/jobs',
        query: { page: '0', page_size: '100', order_by: '-created' },
      },
    ])
  })

  async function look(pages: readonly unknown[]): Promise<{ found: string; asked: readonly unknown[] }> {
    const call = scriptedCall(({ query }) => jsonResponse(pages[Number(query?.['page'])] ?? { data: [] }))
    const { kind } = await mistral.find(intent, call)
    return { found: kind, asked: call.requests.map(({ query }) => query?.['page']) }
  }

  test('goes on until it has seen as many as there are, however few a page holds', async () => {
    const pages = [
      { data: [other], total: 3 },
      { data: [{ ...other, id: 'o2' }], total: 3 },
      { data: [ours], total: 3 },
    ]

    expect(await look(pages)).toEqual({ found: 'adopted', asked: ['0', '1', '2'] })
  })

  test('goes on after a full page, should the total be that of the page', async () => {
    const full = Array.from({ length: 100 }, (_, index) => Object.assign(structuredClone(other), { id: `o${index}` }))

    expect(
      await look([
        { data: full, total: 100 },
        { data: [ours], total: 1 },
      ]),
    ).toEqual({
      found: 'adopted',
      asked: ['0', '1'],
    })
  })

  test('goes on to an empty page where nobody says how many there are', async () => {
    expect(await look([{ data: [other] }, { data: [ours] }])).toEqual({ found: 'adopted', asked: ['0', '1', '2'] })
  })

  test('comes to an end with a gateway that gives the same page for ever', async () => {
    const call = scriptedCall(() => jsonResponse({ data: [other] }))

    expect(await mistral.find(intent, call)).toEqual({ kind: 'none' })
    expect(call.requests).toHaveLength(2)
  })

  test('takes a job that has moved on to the next page for one, not for twins', async () => {
    const call = scriptedCall(({ query }) =>
      jsonResponse({ data: query?.['page'] === '0' ? [other, ours] : [ours, { ...other, id: 'o2' }], total: 3 }),
    )

    const found = await mistral.find(intent, call)

    expect(found.kind === 'adopted' && found.states.map(({ handle }) => handle.id)).toEqual([JOB])
    expect(call.requests).toHaveLength(2)
  })

  test('finds the tag beside metadata of any kind: a job that is overlooked is paid for twice', async () => {
    const metadata = { offpeak_intent: 'k7f3a9', cost: 7, nested: {} }

    expect(await look([{ data: [{ ...ours, metadata }], total: 1 }])).toMatchObject({ found: 'adopted' })
  })

  test('fails rather than finding nothing when a page cannot be read', async () => {
    for (const body of ['', '{"data":7}', '{"data":[{"no":"id"}]}']) {
      const call = scriptedCall(() => new Response(body))

      await expect(mistral.find(intent, call)).rejects.toMatchObject({ name: 'NetworkError' })
    }
  })

  test('names the most advanced of several first', async () => {
    const statuses = [
      'QUEUED',
      'FAILED',
      'SUCCESS',
      'CANCELLED',
      'RUNNING',
      'TIMEOUT_EXCEEDED',
      'CANCELLATION_REQUESTED',
    ]
    const jobs = statuses.map((status) => Object.assign(structuredClone(ours), { id: status, status }))
    const call = scriptedCall(() => jsonResponse({ data: jobs }))

    const found = await mistral.find(intent, call)

    expect(found.kind === 'adopted' && found.states.map(({ status }) => status)).toEqual([
      'SUCCESS',
      'RUNNING',
      'QUEUED',
      'TIMEOUT_EXCEEDED',
      'CANCELLATION_REQUESTED',
      'CANCELLED',
      'FAILED',
    ])
  })
})

describe('tokens', () => {
  const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }

  test.each([
    ['chat', usage, { input: 10, output: 20 }],
    ['a cache, where OpenAI tells it', { ...usage, prompt_tokens_details: { cached_tokens: 4 } }, { cachedInput: 4 }],
    ['a cache, in Mistral’s own place', { ...usage, num_cached_tokens: 5 }, { input: 10, output: 20, cachedInput: 5 }],
  ])('of %s are read', (_, told, expected) => {
    expect(mistral.usage({ usage: told })).toMatchObject(expected)
  })

  test('are unknown where pages are counted instead', () => {
    expect(mistral.usage({ usage_info: { pages_processed: 3 } })).toBeUndefined()
  })
})

test('a refusal of ours is worded as Mistral words its own', () => {
  expect(JSON.parse(mistral.envelope({ status: 424, code: 'batch_expired', message: 'late' }))).toEqual({
    object: 'error',
    message: 'late',
    type: 'batch_error',
    param: null,
    code: 'batch_expired',
  })
})
