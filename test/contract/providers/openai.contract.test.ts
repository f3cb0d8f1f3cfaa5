import { describe, expect, test } from 'vitest'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import { openai } from '../../../src/providers/openai.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
} from '../../support/provider-call.ts'

const target = (endpoint: string) => ({ provider: 'openai', baseUrl: 'https://api.openai.com/v1', query: '', endpoint })

async function stateOf(batch: Record<string, unknown>): Promise<BatchState | undefined> {
  const [state] = await openai.poll(
    [{ id: 'batch_B1' }],
    scriptedCall(() => jsonResponse(batch)),
  )
  return state
}

const stateOfFixture = (name: string): Promise<BatchState | undefined> => stateOf(fixtureJson('openai', name))

/** The rows of the two result files of a batch. */
async function rowsOf(output: string | undefined, errors: string | undefined): Promise<readonly JobResult[]> {
  const call = scriptedCall(({ path }) => new Response((path.includes('O1') ? output : errors) ?? ''))
  const handle = {
    id: 'batch_B1',
    ...(output === undefined ? {} : { outputFileId: 'file-O1' }),
    ...(errors === undefined ? {} : { errorFileId: 'file-E1' }),
  }
  const rows: JobResult[] = []
  for await (const group of openai.results(handle, call)) rows.push(...group)
  return rows
}

describe('what OpenAI is sent', () => {
  test('is an upload of purpose batch, named after the intent', async () => {
    const intent = intentFor(openai, { tag: 'abcdefabcdef' })
    const call = scriptedCall(() => jsonResponse(fixtureJson('openai', 'upload-reply.json')))

    const upload = await openai.upload?.(intent, inputOf(openai, intent, ['{"model":"m"}']), call)

    const [request] = call.requests
    const form = request?.body instanceof FormData ? request.body : new FormData()
    const file = form.get('file')
    expect(request).toMatchObject({ method: 'POST', path: '/files' })
    expect(form.get('purpose')).toBe('batch')
    expect(file).toMatchObject({ name: 'abcdefabcdef.jsonl' })
    expect(upload).toEqual({ fileId: 'file-A1' })
  })

  test('is rows of the shape of its reference', () => {
    const intent = intentFor(openai)
    const [first = ''] = fixtureText('openai', 'input.jsonl').split('\n')
    const row = JSON.parse(first) as { custom_id: string; url: string; body: unknown } // a row of ours
    const body = JSON.stringify(row.body)

    const line = openai.line({ job: 1, customId: row.custom_id, endpoint: row.url, body })

    expect(line).toBe(first)
    expect(intent.endpoint).toBe(row.url)
  })

  test('is a create with the window, the caller’s metadata and our tag, which nobody can overwrite', async () => {
    const intent = intentFor(openai, { tag: 'abcdefabcdef', metadata: { team: 'blue', offpeak_intent: 'forged' } })
    const call = scriptedCall(() => jsonResponse(fixtureJson('openai', 'create-reply.json')))

    const created = await openai.create(intent, { fileId: 'file-A1' }, () => Promise.reject(new Error('unused')), call)

    const [request] = call.requests
    expect(request).toMatchObject({ method: 'POST', path: '/batches' })
    expect(JSON.parse(typeof request?.body === 'string' ? request.body : '')).toEqual({
      input_file_id: 'file-A1',
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { team: 'blue', offpeak_intent: 'abcdefabcdef' },
    })
    expect(created).toMatchObject({ phase: 'running', status: 'validating', handle: { id: 'batch_B1' } })
  })
})

describe('what a body may be', () => {
  test.each([
    [{ background: true }],
    [{ service_tier: 'flex' }],
    [{ service_tier: 'priority' }],
    [{ service_tier: 'scale' }],
  ])('%o is not batched, and says why', (body) => {
    expect(openai.admit?.(body, target('/v1/responses'))).toMatch(/\w{3}/)
  })

  test.each([
    [{}],
    [{ background: false }],
    [{ background: null }],
    [{ service_tier: 'auto' }],
    [{ service_tier: 'default' }],
    [{ service_tier: null }],
    [{ stream: false }],
  ])('%o is', (body) => {
    expect(openai.admit?.(body, target('/v1/responses'))).toBeUndefined()
  })

  test.each([
    ['/v1/embeddings', { input: 'one' }, 1],
    ['/v1/embeddings', { input: ['one', 'two', 'three'] }, 3],
    ['/v1/embeddings', { input: [] }, 1],
    ['/v1/embeddings', { input: [1, 2, 3, 4] }, 1],
    ['/v1/embeddings', { input: [[1, 2], [3]] }, 2],
    ['/v1/embeddings', {}, 1],
    ['/v1/responses', { input: ['one', 'two', 'three'] }, 1],
  ] as const)('at %s, %o counts for its inputs', (endpoint, body, weight) => {
    expect(openai.weigh?.(body, target(endpoint))).toBe(weight)
  })
})

test.each([
  'insufficient_quota',
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
  'project_spend_limit_exceeded',
])('a 429 by the code %s is about the account: waiting for room would wait for ever', (code) => {
  expect(openai.refusal?.(new ProviderError(429, code, '', undefined, 'no'))).toBe('account')
})

test('a 429 by any other code is about room', () => {
  expect(openai.refusal?.(new ProviderError(429, 'rate_limit_exceeded', '', undefined, 'no'))).toBeUndefined()
})

describe('where a batch stands', () => {
  test.each(['validating', 'in_progress', 'finalizing', 'cancelling'])('%s is running', async (status) => {
    expect(await stateOfFixture(`retrieve-${status}.json`)).toMatchObject({ phase: 'running', status })
  })

  test.each(['completed', 'expired', 'cancelled'] as const)('%s has ended, and names both files', async (status) => {
    expect(await stateOfFixture(`retrieve-${status}.json`)).toMatchObject({
      phase: 'ended',
      outcome: status,
      handle: { id: 'batch_B1', inputFileId: 'file-A1', outputFileId: 'file-O1', errorFileId: 'file-E1' },
    })
  })

  test('failed has ended because of some row, which is named', async () => {
    expect(await stateOfFixture('retrieve-failed.json')).toMatchObject({
      outcome: 'failed',
      refused: 'invalid',
      problems: [{ code: 'duplicate_custom_id', line: 3, param: 'custom_id' }],
    })
  })

  test('failed after some rows were run has ended with those: the others may have been paid for', async () => {
    const batch = fixtureJson('openai', 'retrieve-failed.json')

    expect(await stateOf({ ...batch, request_counts: { total: 3, completed: 1, failed: 0 } })).toMatchObject({
      phase: 'ended',
      outcome: 'completed',
    })
  })

  test('failed for want of room is no fault of the rows', async () => {
    expect(await stateOfFixture('retrieve-failed-token-limit.json')).toMatchObject({
      outcome: 'failed',
      refused: 'capacity',
    })
  })

  const failed = (errors: unknown) => stateOf({ ...fixtureJson('openai', 'retrieve-failed.json'), errors })

  test.each([
    ['a list object', { object: 'list', data: [{ code: 'a', message: 'b', line: 2, param: null }] }],
    ['a bare array', [{ code: 'a', message: 'b', line: 2 }]],
  ])('its complaints may come as %s', async (_, errors) => {
    expect(await failed(errors)).toMatchObject({ problems: [{ code: 'a', message: 'b', line: 2 }] })
  })

  test.each([[null], [undefined], [[]], [{}], [{ data: null }], ['text'], [{ data: [7] }]])(
    'without readable complaints (%o) some row is to blame',
    async (errors) => {
      expect(await failed(errors)).toMatchObject({ outcome: 'failed', refused: 'invalid', problems: [] })
    },
  )

  test.each([
    ['model_not_found', 'everything'],
    ['invalid_model', 'everything'],
    ['insufficient_quota', 'account'],
    ['credit_balance_exhausted', 'account'],
  ])('%s is about %s, although it names one row', async (code, refused) => {
    expect(await failed([{ code, message: 'x', line: 1 }])).toMatchObject({ refused })
  })

  test('counts of a batch that is still being validated are unknown, not zero', async () => {
    expect((await stateOfFixture('retrieve-validating.json'))?.counts).toBeUndefined()
    expect((await stateOfFixture('retrieve-in_progress.json'))?.counts).toEqual({ total: 3, completed: 1, failed: 0 })
  })

  test.each([
    ['counts', { request_counts: 'many' }],
    ['partial counts', { request_counts: { total: 3 } }],
    ['file ids', { output_file_id: 7, error_file_id: {} }],
    ['empty file ids', { output_file_id: '', error_file_id: null }],
    ['metadata', { metadata: ['x'] }],
    ['times', { created_at: { seconds: 1 } }],
    ['fields nobody knows', { novelty: [1, 2, 3] }],
  ])('odd %s do not hide that it is completed', async (_, odd) => {
    expect(await stateOf({ ...fixtureJson('openai', 'retrieve-completed.json'), ...odd })).toMatchObject({
      outcome: 'completed',
    })
  })

  test('an upper-case status, as relatives write it, means the same', async () => {
    expect(await stateOf({ ...fixtureJson('openai', 'retrieve-completed.json'), status: 'COMPLETED' })).toMatchObject({
      outcome: 'completed',
    })
  })
})

describe('rows', () => {
  test.each([
    ['happy', 3, 0],
    ['partial', 3, 0],
    ['expired', 1, 2],
    ['cancelled', 1, 2],
  ])('of the %s outcome are all read, from both files', async (name, replies, unexecuted) => {
    const errors = name === 'happy' ? undefined : fixtureText('openai', `errors-${name}.jsonl`)

    const rows = await rowsOf(fixtureText('openai', `output-${name}.jsonl`), errors)

    expect(rows.filter(({ kind }) => kind === 'reply')).toHaveLength(replies)
    expect(rows.filter(({ kind }) => kind === 'unexecuted')).toHaveLength(unexecuted)
    expect(new Set(rows.map((row) => (row.kind === 'unreadable' ? '' : row.customId)))).toEqual(
      new Set(['r1', 'r2', 'r3']),
    )
  })

  test('of a batch without any answer are read from the error file alone', async () => {
    const rows = await rowsOf(undefined, fixtureText('openai', 'errors-rejected.jsonl'))

    expect(rows.map((row) => row.kind === 'reply' && row.status)).toEqual([400, 400, 400])
  })

  const row = (fields: Record<string, unknown>): string => JSON.stringify({ id: 'i', custom_id: 'c', ...fields })
  const response = { status_code: 200, request_id: 'req', body: { a: 1 } }

  test.each([
    ['an answer', row({ response, error: null }), { kind: 'reply', status: 200, requestId: 'req' }],
    ['an answer without an error field', row({ response }), { kind: 'reply', status: 200 }],
    ['an answer with an empty error', row({ response, error: {} }), { kind: 'reply', status: 200 }],
    ['an answer with an error of nulls', row({ response, error: { code: null, message: null } }), { kind: 'reply' }],
    ['no request id', row({ response: { status_code: 200, body: {} } }), { kind: 'reply', requestId: 'i' }],
    ['an HTTP error', row({ response: { ...response, status_code: 429 } }), { kind: 'reply', status: 429 }],
    [
      'an error beside an answer: the error counts',
      row({ response, error: { code: 'batch_expired', message: 'late' } }),
      { kind: 'unexecuted', reason: 'expired', code: 'batch_expired', message: 'late' },
    ],
    [
      'an error of which only the code is told',
      row({ response: null, error: { code: 'batch_cancelled' } }),
      { kind: 'unexecuted', reason: 'cancelled', message: 'batch_cancelled' },
    ],
    [
      'an error of which only the message is told',
      row({ response: null, error: { message: 'odd' } }),
      { kind: 'unexecuted', reason: 'other', code: 'error', message: 'odd' },
    ],
    ['neither answer nor error', row({ response: null, error: null }), { kind: 'unreadable' }],
    ['an answer without a body', row({ response: { status_code: 200, request_id: 'r' } }), { kind: 'unreadable' }],
    ['an answer whose body is null', row({ response: { ...response, body: null } }), { kind: 'unreadable' }],
    [
      'the usual row with null for a body',
      row({ response: { ...response, body: null }, error: null }),
      { kind: 'unreadable' },
    ],
    ['a status that is none', row({ response: { ...response, status_code: 0 } }), { kind: 'unreadable' }],
    ['a status that is text', row({ response: { ...response, status_code: '200' } }), { kind: 'unreadable' }],
    ['an interim status', row({ response: { ...response, status_code: 102 } }), { kind: 'unreadable' }],
    ['no id', JSON.stringify({ response, error: null }), { kind: 'unreadable' }],
    ['an id that is a number', JSON.stringify({ custom_id: 7, response }), { kind: 'unreadable' }],
    ['half a row', row({ response }).slice(0, 40), { kind: 'unreadable' }],
    ['an array', '[]', { kind: 'unreadable' }],
    ['null', 'null', { kind: 'unreadable' }],
    ['text', 'hello', { kind: 'unreadable' }],
  ])('may be %s', async (_, line, expected) => {
    const [read] = await rowsOf(`${line}\n`, undefined)

    expect(read).toMatchObject(expected)
  })

  test('keep the provider’s own text, whatever no parser would write the same way', async () => {
    const body =
      '{ "n":12345678901234567890,"t":1.0, "e":1E5,"s":"\\u00e9\\/ \u2028","a":1,"a":{"response":{"body":2}} }'
    const line = `{"custom_id":"c","body":1,"response":{"body":"first","status_code":200,"body":${body}},"error":null}`

    const [read] = await rowsOf(line, undefined)

    expect(read).toMatchObject({ kind: 'reply', body })
  })

  test('are told apart by line feeds only, wherever chunks and characters are cut', async () => {
    const lines = ['ä\u2028ö', '😀', 'x'.repeat(300)].map((text) =>
      row({ custom_id: text.length, response: { ...response, body: { text } } }).replace(
        /"custom_id":\d+/,
        '"custom_id":"c"',
      ),
    )
    const bytes = new TextEncoder().encode(`${lines.join('\r\n')}\n\n\r\n`)
    const texts: unknown[] = []
    for (let size = 1; size < 40; size += 1) {
      let at = 0
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at >= bytes.length) return controller.close()
          controller.enqueue(bytes.slice(at, (at += size)))
        },
      })
      for await (const group of openai.results(
        { id: 'b', outputFileId: 'f' },
        scriptedCall(() => new Response(body)),
      )) {
        texts.push(...group.map((one) => one.kind === 'reply' && one.json))
      }
    }

    expect(texts).toHaveLength(3 * 39)
    expect(new Set(texts.map((text) => JSON.stringify(text))).size).toBe(3)
  })

  test('that break off are an error of the way there, after the whole rows before', async () => {
    const whole = `${row({ response })}\n`
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(`${whole}{"custom`)),
      pull: (controller) => controller.error(new TypeError('terminated')),
    })
    const call = scriptedCall(() => new Response(body))
    const rows: JobResult[] = []
    const reading = (async () => {
      for await (const group of openai.results({ id: 'b', outputFileId: 'f' }, call)) rows.push(...group)
    })()

    await expect(reading).rejects.toMatchObject({ name: 'NetworkError' })
    expect(rows).toHaveLength(1)
  })
})

describe('a look for a batch', () => {
  const intent = intentFor(openai, { tag: 'abcdefabcdef', createdAt: 1_790_000_000_000 })
  const batch = (id: string, changes: Record<string, unknown> = {}): Record<string, unknown> => ({
    ...fixtureJson('openai', 'create-reply.json'),
    id,
    metadata: null,
    ...changes,
  })
  const tagged = { metadata: { offpeak_intent: 'abcdefabcdef' } }

  test('reads a list of the shape of the reference', async () => {
    const call = scriptedCall(() => jsonResponse({ ...fixtureJson('openai', 'list-reply.json'), has_more: false }))

    expect(await openai.find(intent, call)).toEqual({ kind: 'none' })
  })

  test('finds the tag beside metadata of any kind: a batch that is overlooked is paid for twice', async () => {
    const metadata = { offpeak_intent: 'abcdefabcdef', cost: 7, nested: {} }
    const call = scriptedCall(() => jsonResponse({ data: [batch('other'), batch('ours', { metadata })] }))

    expect(await openai.find(intent, call)).toMatchObject({ kind: 'adopted', states: [{ handle: { id: 'ours' } }] })
  })

  test('goes on while there is more, and stops at batches older than the intent', async () => {
    const pages = [
      { data: [batch('new')], has_more: true, last_id: 'new' },
      { data: [batch('old', { created_at: 1_780_000_000 })], has_more: true, last_id: 'old' },
      { data: [batch('older', tagged)], has_more: false },
    ]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await openai.find(intent, call)).toEqual({ kind: 'none' })
    expect(call.requests.map(({ query }) => query?.['after'])).toEqual([undefined, 'new'])
  })

  test('is not ended by a batch whose time cannot be read', async () => {
    const pages = [
      { data: [batch('odd', { created_at: 'yesterday' })], has_more: true, last_id: 'odd' },
      { data: [batch('ours', tagged)], has_more: false },
    ]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await openai.find(intent, call)).toMatchObject({ kind: 'adopted' })
  })

  test('goes on after a full page of a gateway that does not say whether there is more', async () => {
    const pages = [
      { data: Array.from({ length: 100 }, (_, index) => batch(`b${index}`)) },
      { data: [batch('ours', tagged)] },
    ]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await openai.find(intent, call)).toMatchObject({ kind: 'adopted' })
    expect(call.requests[1]?.query).toMatchObject({ after: 'b99' })
  })

  test('comes to an end with a gateway that gives the same page for ever', async () => {
    const call = scriptedCall(() => jsonResponse({ data: [batch('same')], has_more: true, last_id: 'same' }))

    expect(await openai.find(intent, call)).toEqual({ kind: 'none' })
    expect(call.requests).toHaveLength(2)
  })

  test('fails rather than finding nothing when a page cannot be read', async () => {
    for (const body of ['', '{"data":7}', '{"data":[{"no":"id"}]}', '<html>']) {
      await expect(
        openai.find(
          intent,
          scriptedCall(() => new Response(body)),
        ),
      ).rejects.toMatchObject({ name: 'NetworkError' })
    }
  })

  test('names the most advanced of several first', async () => {
    const statuses = ['validating', 'failed', 'completed', 'in_progress', 'cancelled', 'finalizing']
    const call = scriptedCall(() =>
      jsonResponse({ data: statuses.map((status) => batch(status, { ...tagged, status })) }),
    )

    const found = await openai.find(intent, call)

    expect(found.kind === 'adopted' && found.states.map(({ status }) => status)).toEqual([
      'completed',
      'finalizing',
      'in_progress',
      'validating',
      'cancelled',
      'failed',
    ])
  })
})

describe('tokens', () => {
  test.each([
    [
      'chat',
      {
        prompt_tokens: 10,
        completion_tokens: 20,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 5 },
      },
      { input: 10, output: 20, cachedInput: 4, reasoning: 5 },
    ],
    [
      'responses',
      {
        input_tokens: 10,
        output_tokens: 20,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens_details: { reasoning_tokens: 6 },
      },
      { input: 10, output: 20, cachedInput: 0, reasoning: 6 },
    ],
    ['embeddings', { prompt_tokens: 8, total_tokens: 8 }, { input: 8, output: 0 }],
    [
      'usage without details',
      { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: null },
      { input: 1, output: 2 },
    ],
  ])('of %s are read', (_, usage, expected) => {
    expect(openai.usage({ usage })).toEqual(expected)
  })
})
