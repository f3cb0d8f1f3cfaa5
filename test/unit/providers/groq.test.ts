import { describe, expect, test } from 'vitest'
import type { BatchHandle, BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import { groq } from '../../../src/providers/groq.ts'
import { createMatch } from '../../../src/providers/registry.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
} from '../../support/provider-call.ts'

const fixture = (name: string): Record<string, unknown> => fixtureJson('groq', name)

async function stateOf(batch: Record<string, unknown>): Promise<BatchState | undefined> {
  const [state] = await groq.poll(
    [{ id: 'batch_1' }],
    scriptedCall(() => jsonResponse(batch)),
  )
  return state
}

/** The rows of a batch whose files hold this; a file that is not there is a 404. */
async function rowsOf(handle: BatchHandle, files: Readonly<Record<string, string>>): Promise<readonly JobResult[]> {
  const call = scriptedCall(({ path }) => {
    const text = files[path.split('/')[2] ?? '']
    return text === undefined ? jsonResponse({ error: { message: 'gone' } }, 404) : new Response(text)
  })
  const rows: JobResult[] = []
  for await (const group of groq.results(handle, call)) rows.push(...group)
  return rows
}

describe('where Groq answers', () => {
  const match = createMatch([groq], { groq: ['http://127.0.0.1:9/groq'] })

  test.each([
    ['https://api.groq.com/openai/v1/chat/completions', 'https://api.groq.com/openai/v1'],
    ['http://127.0.0.1:9/groq/openai/v1/chat/completions', 'http://127.0.0.1:9/groq/openai/v1'],
    ['http://127.0.0.1:9/groq/chat/completions', 'http://127.0.0.1:9/groq'],
  ])('%s is a chat completion, in lines without /openai', (url, baseUrl) => {
    expect(match({ method: 'POST', url })).toMatchObject({ baseUrl, endpoint: '/v1/chat/completions' })
  })
})

describe('a refusal', () => {
  const refused = (status: number, code: string | undefined, message: string) =>
    groq.refusal?.(new ProviderError(status, code, '', undefined, message))

  test.each(['blocked_api_access', 'organization_restricted'])('by the code %s is about the account', (code) => {
    expect(refused(400, code, 'Organization has been restricted.')).toBe('account')
  })

  test('that names a line is about that row', () => {
    expect(refused(400, undefined, 'invalid JSON on line 7')).toMatchObject({ rows: [{ line: 7 }] })
  })

  test('is left to its status otherwise', () => {
    expect(refused(400, 'invalid_request_error', 'endpoint is required')).toBeUndefined()
    expect(refused(429, undefined, 'slow down')).toBeUndefined()
  })
})

describe('what Groq is sent', () => {
  const intent = intentFor(groq, { tag: 'abcdefabcdef', metadata: { team: 'blue' } })

  test('is a line of the shape of its documentation', () => {
    const [first = ''] = fixtureText('groq', 'input.jsonl').split('\n')
    const { url, body } = JSON.parse(first) as { url: string; body: unknown } // a row of ours

    expect(groq.line({ job: 1, customId: 'r1', endpoint: url, body: JSON.stringify(body) })).toBe(first)
  })

  test('is an upload and a create, which carries our tag', async () => {
    const call = scriptedCall(({ path }) =>
      jsonResponse(fixture(path === '/files' ? 'upload-reply.json' : 'create-reply.json')),
    )
    const input = inputOf(groq, intent, ['{}'])

    const upload = await groq.upload?.(intent, input, call)
    const created = await groq.create(intent, upload, async () => input, call)

    const [uploaded, sent] = call.requests
    const form = uploaded?.body instanceof FormData ? uploaded.body : new FormData()
    expect([...form.keys()]).toEqual(['purpose', 'file'])
    expect(form.get('purpose')).toBe('batch')
    expect(sent).toMatchObject({ method: 'POST', path: '/batches' })
    expect(JSON.parse(typeof sent?.body === 'string' ? sent.body : '')).toEqual(fixture('create-request.json'))
    expect(created).toMatchObject({ phase: 'running', status: 'validating' })
  })

  test.each([
    ['/v1/chat/completions', { service_tier: 'flex' }],
    ['/v1/chat/completions', { service_tier: 'performance' }],
    ['/v1/audio/transcriptions', { model: 'whisper-large-v3' }],
    ['/v1/audio/translations', { url: 'https://a.test/a.mp3', response_format: 'text' }],
  ])('at %s is not %o, and says why', (endpoint, body) => {
    expect(groq.admit?.(body, { provider: 'groq', baseUrl: '', query: '', endpoint })).toMatch(/\w{3}/)
  })

  test.each([
    ['/v1/chat/completions', { service_tier: 'on_demand' }],
    ['/v1/chat/completions', { response_format: { type: 'text' } }],
    ['/v1/audio/transcriptions', { url: 'https://a.test/a.mp3', response_format: 'verbose_json' }],
  ])('at %s may be %o', (endpoint, body) => {
    expect(groq.admit?.(body, { provider: 'groq', baseUrl: '', query: '', endpoint })).toBeUndefined()
  })
})

describe('where a batch stands', () => {
  test('an empty object for a file is none', async () => {
    const state = await stateOf(fixture('retrieve-completed.json'))

    expect(state).toMatchObject({ outcome: 'completed', counts: { total: 3, completed: 3, failed: 0 } })
    expect(state?.handle).toEqual({
      id: 'batch_01jh6xa7reempvjyh6n3yst2zw',
      inputFileId: 'file_in',
      outputFileId: 'file_out',
    })
  })

  test.each([
    ['a bare array', (errors: unknown) => errors],
    ['a list', (errors: unknown) => ({ object: 'list', data: errors })],
  ])('complaints in %s do not make a completed batch a failed one', async (_, shaped) => {
    const batch = fixture('retrieve-complaining.json')

    const state = await stateOf({ ...batch, errors: shaped(batch['errors']) })

    expect(state).toMatchObject({ outcome: 'completed', handle: { complaints: [{ line: 4, code: 'invalid_method' }] } })
    expect(JSON.parse(JSON.stringify(state?.handle))).toEqual(state?.handle)
  })

  test('a failed batch names its line', async () => {
    expect(await stateOf(fixture('retrieve-failed.json'))).toMatchObject({
      outcome: 'failed',
      refused: 'invalid',
      problems: [{ line: 2 }],
    })
  })

  test('an expired batch has both files', async () => {
    expect(await stateOf(fixture('retrieve-expired.json'))).toMatchObject({
      outcome: 'expired',
      handle: { outputFileId: 'file_out', errorFileId: 'file_err' },
    })
  })

  test('the pause it asks for is kept', async () => {
    const call = scriptedCall(() => Response.json(fixture('create-reply.json'), { headers: { 'retry-after': '30' } }))

    expect(await groq.poll([{ id: 'b' }], call)).toMatchObject([{ retryAfterMs: 30_000 }])
  })
})

describe('asking about many batches', () => {
  const handles = Array.from({ length: 250 }, (_, index) => ({ id: `batch_${index}` }))
  const batch = (id: string): Record<string, unknown> => ({ ...fixture('create-reply.json'), id })

  test('takes one call for a hundred of them', async () => {
    const call = scriptedCall(({ query }) => jsonResponse({ data: [query?.['id'] ?? []].flat().map(batch) }))

    const states = await groq.poll(handles, call)

    expect(states.map(({ handle }) => handle.id)).toEqual(handles.map(({ id }) => id))
    expect(call.requests.map(({ query }) => query?.['id']?.length)).toEqual([100, 100, 50])
  })

  test('asks one by one about those that were not told', async () => {
    const call = scriptedCall(({ path }) =>
      path === '/batches' ? jsonResponse({ data: [batch('batch_1')] }) : jsonResponse(batch(path.split('/')[2] ?? '')),
    )

    const states = await groq.poll(handles.slice(0, 3), call)

    expect(states.map(({ handle }) => handle.id)).toEqual(['batch_1', 'batch_0', 'batch_2'])
  })

  test('goes on one by one where an unknown id spoils the whole call', async () => {
    const call = scriptedCall(({ path }) =>
      path === '/batches' || path === '/batches/batch_2'
        ? jsonResponse({ error: { message: 'no such batch' } }, 404)
        : jsonResponse(batch(path.split('/')[2] ?? '')),
    )

    const states = await groq.poll(handles.slice(0, 3), call)

    expect(states.map(({ handle }) => handle.id)).toEqual(['batch_0', 'batch_1'])
  })
})

describe('rows', () => {
  const files = { file_out: fixtureText('groq', 'output.jsonl'), file_err: fixtureText('groq', 'errors.jsonl') }
  const handle = { id: 'b', inputFileId: 'file_in', outputFileId: 'file_out', errorFileId: 'file_err' }
  const input = fixtureText('groq', 'input.jsonl')
  const complaint = { line: 4, code: 'invalid_method', message: 'Invalid value', param: 'method' }

  test('are read from both files, in either of OpenAI’s forms', async () => {
    const rows = await rowsOf(handle, files)

    expect(rows).toMatchObject([
      { kind: 'reply', customId: 'r2', status: 200, requestId: 'req_b' },
      { kind: 'reply', customId: 'r1', status: 200 },
      { kind: 'reply', customId: 'r3', status: 400 },
      { kind: 'unexecuted', customId: 'r5', reason: 'expired' },
    ])
    expect(groq.usage(rows[0]?.kind === 'reply' ? rows[0].json : undefined)).toEqual({
      input: 20,
      output: 5,
      cachedInput: 8,
    })
  })

  test('named in a complaint only are refused with it, by the custom id of that line', async () => {
    const rows = await rowsOf({ ...handle, complaints: [complaint] }, { ...files, file_in: input })

    const refused = rows.find((row) => row.kind === 'reply' && row.customId === 'r4')
    expect(rows).toHaveLength(5)
    expect(refused).toMatchObject({ status: 400 })
    expect(refused?.kind === 'reply' && JSON.parse(refused.body)).toEqual({
      error: { message: 'Invalid value', type: 'invalid_request_error', param: 'method', code: 'invalid_method' },
    })
  })

  test('named in a complaint that have a result keep their result', async () => {
    const rows = await rowsOf({ ...handle, complaints: [{ ...complaint, line: 1 }] }, { ...files, file_in: input })

    expect(rows.filter((row) => row.kind === 'reply' && row.customId === 'r1')).toMatchObject([{ status: 200 }])
    expect(rows).toHaveLength(4)
  })

  test('named in a complaint are left out when the input is gone', async () => {
    expect(await rowsOf({ ...handle, complaints: [complaint] }, files)).toHaveLength(4)
  })

  test('are not looked up in the input when there is no complaint', async () => {
    expect(await rowsOf(handle, { ...files, file_in: 'never read' })).toHaveLength(4)
  })
})

describe('a look for a batch', () => {
  const intent = intentFor(groq, { tag: 'abcdefabcdef', createdAt: 1_790_000_000_000 })

  test('follows the cursor', async () => {
    const call = scriptedCall(({ query }) =>
      jsonResponse(fixture(query?.['cursor'] === undefined ? 'list-first.json' : 'list-last.json')),
    )

    const found = await groq.find(intent, call)

    expect(found).toMatchObject({ kind: 'adopted', states: [{ handle: { id: 'batch_ours' } }] })
    expect(call.requests.map(({ query }) => query)).toEqual([{}, { cursor: 'cursor_eyJpZCI6' }])
  })

  test('reads a list that begins with the oldest to its end', async () => {
    const { data, ...page } = fixture('list-last.json')
    const old = { ...fixture('create-reply.json'), metadata: null, created_at: 1_700_000_000 }
    const pages = [
      { data: [old, { ...old, created_at: 1_700_000_001 }], paging: { next_cursor: 'c' } },
      { ...page, data },
    ]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await groq.find(intent, call)).toMatchObject({ kind: 'adopted' })
  })

  test('stops where a descending list is older than the intent', async () => {
    const at = (id: string, created: number) => ({
      ...fixture('create-reply.json'),
      id,
      metadata: null,
      created_at: created,
    })
    const pages = [
      { data: [at('a', 1_790_000_100), at('b', 1_790_000_000)], paging: { next_cursor: '1' } },
      { data: [at('c', 1_700_000_000)], paging: { next_cursor: '2' } },
    ]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await groq.find(intent, call)).toEqual({ kind: 'none' })
    expect(call.requests).toHaveLength(2)
  })
})
