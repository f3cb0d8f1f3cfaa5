import { createXai } from '@ai-sdk/xai'
import { generateText } from 'ai'
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import type { FinishedRows } from '../../../src/core/adapter.ts'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import type { JsonObject } from '../../../src/core/request.ts'
import { xai } from '../../../src/providers/xai.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
  type ScriptedCall,
} from '../../support/provider-call.ts'

const fixture = (name: string): Record<string, unknown> => fixtureJson('xai', name)

async function stateOf(batch: Record<string, unknown>, handle: JsonObject = {}): Promise<BatchState | undefined> {
  const [state] = await xai.poll(
    [{ id: 'batch_1', ...handle }],
    scriptedCall(() => jsonResponse(batch)),
  )
  return state
}

async function rowsOf(call: ScriptedCall): Promise<readonly JobResult[]> {
  const rows: JobResult[] = []
  for await (const group of xai.results({ id: 'batch_1' }, call)) rows.push(...group)
  return rows
}

const rowsIn = (page: unknown): Promise<readonly JobResult[]> => rowsOf(scriptedCall(() => jsonResponse(page)))

/** What a responses row comes to whose answer is this chat completion. */
async function responseOf(chat: unknown): Promise<JobResult | undefined> {
  const [row] = await rowsIn({
    results: [{ batch_request_id: 'r1-r', batch_result: { response: { chat_get_completion: chat } } }],
  })
  return row
}

describe('what xAI is sent', () => {
  const intent = intentFor(xai, { tag: 'abcdefabcdef', metadata: { team: 'blue' } })

  test('is lines whose custom id says which are for responses', () => {
    for (const line of fixtureText('xai', 'input.jsonl').trimEnd().split('\n')) {
      const { custom_id: id, url, body } = JSON.parse(line) as { custom_id: string; url: string; body: unknown } // ours
      const customId = id.replace(/-r$/, '')
      expect(xai.line({ job: 1, customId, endpoint: url, body: JSON.stringify(body) })).toBe(line)
    }
  })

  test('is a file after its fields, and a create that names our tag', async () => {
    const call = scriptedCall(({ path }) =>
      jsonResponse(fixture(path === '/files' ? 'upload-reply.json' : 'create-reply.json')),
    )
    const input = inputOf(xai, intent, ['{}', '{}'])

    const upload = await xai.upload?.(intent, input, call)
    const created = await xai.create(intent, upload, async () => input, call)

    const [uploaded, sent] = call.requests
    const form = uploaded?.body instanceof FormData ? uploaded.body : new FormData()
    expect([...form.keys()]).toEqual(['expires_after', 'file'])
    expect(JSON.parse(typeof sent?.body === 'string' ? sent.body : '')).toEqual({
      name: 'offpeak:abcdefabcdef',
      input_file_id: 'file_X',
    })
    expect(created).toMatchObject({ phase: 'running', handle: { id: 'batch_1', inputFileId: 'file_X', jobs: 2 } })
  })

  const target = (endpoint: string) => ({ provider: 'xai', baseUrl: '', query: '', endpoint })

  test.each([
    ['/v1/responses', { background: true }],
    ['/v1/responses', { tools: [{ type: 'function', name: 'f' }, { type: 'web_search' }] }],
    ['/v1/responses', { tools: [{ type: 'x_search' }] }],
    ['/v1/responses', { previous_response_id: 'resp_1' }],
    ['/v1/responses', { store: true }],
    ['/v1/responses', { include: ['reasoning.encrypted_content'] }],
    ['/v1/responses', { service_tier: 'priority' }],
    ['/v1/chat/completions', { deferred: true }],
    ['/v1/images/generations', { prompt: 'a cat' }],
  ])('at %s is not %o, and says why', (endpoint, body) => {
    expect(xai.admit?.(body, target(endpoint))).toMatch(/\w{3}/)
  })

  test.each([
    ['/v1/responses', { tools: [{ type: 'function', name: 'f' }], store: false, previous_response_id: null }],
    ['/v1/responses', { text: { format: { type: 'json_schema' } }, include: [] }],
    ['/v1/chat/completions', { tools: [{ type: 'live_search' }], service_tier: 'default' }],
    ['/v1/images/edits', { response_format: 'b64_json' }],
  ])('at %s may be %o', (endpoint, body) => {
    expect(xai.admit?.(body, target(endpoint))).toBeUndefined()
  })
})

describe('where a batch stands', () => {
  test.each([
    ['create-reply', { phase: 'running', status: 'validating', counts: undefined, partial: false }],
    ['retrieve-running', { phase: 'running', partial: true, counts: { total: 3, completed: 1, failed: 0 } }],
    ['retrieve-completed', { outcome: 'completed', counts: { total: 3, completed: 2, failed: 1 } }],
    ['retrieve-cancelled', { outcome: 'cancelled', counts: { total: 3, completed: 1, failed: 2 } }],
    ['retrieve-rejected', { outcome: 'failed', refused: 'everything' }],
  ])('follows from its counters: %s', async (name, expected) => {
    expect(await stateOf(fixture(`${name}.json`))).toMatchObject(expected)
  })

  test('a batch that xAI has cancelled because of a line names it', async () => {
    const batch = { ...fixture('retrieve-rejected.json'), cancel_by_xai_message: 'validation failed: line 2: no model' }

    expect(await stateOf(batch)).toMatchObject({ outcome: 'failed', refused: 'invalid', problems: [{ line: 2 }] })
  })

  test('a batch whose file is still being read in has not ended, though nothing is pending', async () => {
    expect(await stateOf(fixture('retrieve-completed.json'), { jobs: 4 })).toMatchObject({ phase: 'running' })
    expect(await stateOf(fixture('retrieve-completed.json'), { jobs: 3 })).toMatchObject({
      phase: 'ended',
      handle: { jobs: 3 },
    })
  })

  test.each([[{ state: null }], [{ state: 'x' }], [{ state: {} }], [{ state: { num_requests: null } }]])(
    'without counters (%o) it is running',
    async (odd) => {
      expect(await stateOf({ ...fixture('retrieve-completed.json'), ...odd })).toMatchObject({ phase: 'running' })
    },
  )
})

describe('rows', () => {
  test('are answers and errors in every form, each for the job it was asked for', async () => {
    const rows = await rowsIn(fixture('results.json'))

    expect(rows.map((row) => (row.kind === 'reply' ? [row.customId, row.status] : [row.kind]))).toEqual([
      ['r1', 200],
      ['r2', 200],
      ['r3', 200],
      ['r4', 400],
      ['r5', 429],
      ['r6', 500],
      ['r7', 500],
      ['unexecuted'],
      ['r9', 200],
      ['unreadable'],
    ])
    expect(rows[3]?.kind === 'reply' && JSON.parse(rows[3].body)).toEqual({
      code: 'Client specified an invalid argument',
      error: 'Invalid argument',
    })
    expect(rows[4]?.kind === 'reply' && rows[4].json).toEqual({
      code: 'Some resource has been exhausted',
      error: 'Too many requests',
    })
    expect(rows[7]).toMatchObject({ customId: 'r8', reason: 'cancelled' })
  })

  test('keep the provider’s own text', async () => {
    const body = '{"id":"c", "n":12345678901234567890,"t":1.0,"choices":[{"message":{"content":"]},{ \\" ä"}}]}'
    const row = `{"batch_request_id":"a","batch_result":{"response":{"chat_get_completion":${body}}}}`
    const page = `{"results": [ ${row} ,\n${row.replace('"a"', '"b"')}] ,"pagination_token":null}`

    const rows = await rowsOf(scriptedCall(() => new Response(page)))

    expect(rows).toMatchObject([
      { customId: 'a', body },
      { customId: 'b', body },
    ])
  })

  const page = (ids: readonly string[], next: string | null) => ({
    results: ids.map((id) => ({
      batch_request_id: id,
      batch_result: { response: { chat_get_completion: { id, choices: [] } } },
    })),
    pagination_token: next,
  })

  test('are read page by page, behind an empty one too, until there is no token', async () => {
    const pages = [page(['a', 'b'], '2'), page([], '3'), page(['c'], null)]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    const rows = await rowsOf(call)

    expect(rows.length).toBe(3)
    expect(call.requests.map(({ query }) => query)).toEqual([
      { limit: '100' },
      { limit: '100', pagination_token: '2' },
      { limit: '100', pagination_token: '3' },
    ])
  })

  test('come to an end with a token that stays the same', async () => {
    const call = scriptedCall(() => jsonResponse(call.requests.length === 1 ? page(['a'], '2') : page([], '2')))

    expect((await rowsOf(call)).length).toBe(1)
    expect(call.requests).toHaveLength(2)
  })

  test('that are not JSON are an error of the way there', async () => {
    for (const body of ['', '{"results":[', '{"rows":[]}']) {
      await expect(rowsOf(scriptedCall(() => new Response(body)))).rejects.toMatchObject({ name: 'NetworkError' })
    }
  })

  test('that have finished are read on from the page that was the last', async () => {
    const look = async (since: JsonObject | undefined, call: ScriptedCall): Promise<readonly FinishedRows[]> => {
      const found: FinishedRows[] = []
      for await (const group of xai.finished?.({ id: 'batch_1' }, since, call) ?? []) found.push(group)
      return found
    }
    const idsOf = (found: readonly FinishedRows[]) =>
      found.flatMap(({ rows }) => rows.map((row) => (row.kind === 'unreadable' ? '' : row.customId)))
    const early = [page(['a', 'b'], '2'), page(['c'], null)]
    const first = scriptedCall(() => jsonResponse(early[first.requests.length - 1]))

    const before = await look(undefined, first)
    const late = [page(['c', 'd'], '3'), page([], null)]
    const second = scriptedCall(() => jsonResponse(late[second.requests.length - 1]))
    const after = await look(before.at(-1)?.since, second)

    expect(idsOf(before)).toEqual(['a', 'b', 'c'])
    expect(idsOf(after)).toEqual(['d'])
    expect(second.requests[0]?.query).toEqual({ limit: '100', pagination_token: '2' })
  })
})

describe('an answer to a call of responses', () => {
  const chat = fixture('chat-for-responses.json')
  const bodyOf = async (value: unknown): Promise<string> => {
    const row = await responseOf(value)
    return row?.kind === 'reply' ? row.body : ''
  }
  const fetchOf = (body: string) => async () => new Response(body, { headers: { 'content-type': 'application/json' } })

  test('is read by OpenAI’s SDK: text, tool call and tokens', async () => {
    const client = new OpenAI({ apiKey: 'k', baseURL: 'https://api.x.ai/v1', fetch: fetchOf(await bodyOf(chat)) })

    const response = await client.responses.create({ model: 'grok-4.3', input: 'hello' })

    expect(response.output_text).toBe('Let me see.')
    expect(response.status).toBe('completed')
    expect(response.output.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call'])
    expect(response.output[2]).toMatchObject({ call_id: 'call_1', name: 'weather', arguments: '{"city":"Bern"}' })
    expect(response.usage).toMatchObject({
      input_tokens: 20,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 10,
      output_tokens_details: { reasoning_tokens: 7 },
      total_tokens: 30,
    })
  })

  test('is read by the AI SDK', async () => {
    const provider = createXai({ apiKey: 'k', fetch: fetchOf(await bodyOf(chat)) })

    const result = await generateText({ model: provider.responses('grok-4.3'), prompt: 'hello' })

    expect(result.text).toBe('Let me see.')
    expect(result.reasoningText).toBe('They ask for the weather.')
    expect(result.finishReason).toBe('tool-calls')
    expect(result.toolCalls).toMatchObject([{ toolCallId: 'call_1', toolName: 'weather' }])
    expect(result.usage).toMatchObject({ inputTokens: 20, outputTokens: 10, totalTokens: 30 })
  })

  const choice = (message: object, finish: string) => ({
    ...chat,
    choices: [{ index: 0, message, finish_reason: finish }],
  })

  test.each([
    ['length', { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }],
    ['content_filter', { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }],
    ['stop', { status: 'completed', incomplete_details: null }],
    ['whatever', { status: 'completed', incomplete_details: null }],
  ])('that ended with %s says so', async (finish, expected) => {
    expect(JSON.parse(await bodyOf(choice({ role: 'assistant', content: 'x' }, finish)))).toMatchObject(expected)
  })

  test('that is a refusal is one', async () => {
    const response = JSON.parse(await bodyOf(choice({ role: 'assistant', content: null, refusal: 'No.' }, 'stop')))

    expect(response).toMatchObject({ output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'No.' }] }] })
  })

  test('that is empty is an empty message', async () => {
    const response = JSON.parse(await bodyOf(choice({ role: 'assistant', content: '' }, 'stop')))

    expect(response).toMatchObject({ output: [{ type: 'message', content: [] }] })
  })

  test('that names its sources cites them', async () => {
    const response = JSON.parse(await bodyOf({ ...chat, citations: ['https://a.test/'] }))

    expect(response.output[1].content[0].annotations).toMatchObject([{ type: 'url_citation', url: 'https://a.test/' }])
  })

  test('that comes as a response already is left as it is', async () => {
    const response = { id: 'resp_1', object: 'response', output: [] }

    expect(await bodyOf(response)).toBe(JSON.stringify(response))
  })

  test.each([
    [
      { code: '14', error: 'down' },
      { kind: 'reply', status: 503 },
    ],
    [{ error: 'down' }, { kind: 'reply', status: 500 }],
    [{ choices: [] }, { kind: 'unreadable' }],
    [{ choices: [{ message: 7 }] }, { kind: 'unreadable' }],
  ])('that is none (%o) is no answer', async (value, expected) => {
    expect(await responseOf(value)).toMatchObject(expected)
  })

  test('counts the same tokens as the chat completion it was made of', async () => {
    const expected = { input: 20, output: 10, cachedInput: 4, reasoning: 7 }

    expect(xai.usage(chat)).toEqual(expected)
    expect(xai.usage(JSON.parse(await bodyOf(chat)))).toEqual(expected)
  })
})

describe('a look for a batch', () => {
  const intent = intentFor(xai, { tag: 'abcdefabcdef', createdAt: Date.parse('2026-09-22T03:00:00Z') })

  test('finds it by its name', async () => {
    const call = scriptedCall(() => jsonResponse(fixture('list-reply.json')))

    expect(await xai.find({ ...intent, upload: { fileId: 'file_X', jobs: 3 } }, call)).toMatchObject({
      kind: 'adopted',
      states: [{ handle: { id: 'batch_1', jobs: 3 } }],
    })
  })

  test('goes on behind an empty page: a batch that is overlooked is paid for twice', async () => {
    const pages = [{ batches: [], pagination_token: '2' }, fixture('list-reply.json')]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await xai.find(intent, call)).toMatchObject({ kind: 'adopted', states: [{ handle: { id: 'batch_1' } }] })
  })

  test('comes to an end where pages say for ever that there are more', async () => {
    const call = scriptedCall(() => jsonResponse({ batches: [], pagination_token: String(call.requests.length) }))

    expect(await xai.find(intent, call)).toEqual({ kind: 'none' })
    expect(call.requests).toHaveLength(10)
  })

  test('does not take the day before for too old: its zone is unknown', async () => {
    const batch = (id: string, day: string, name = 'other') => ({
      ...fixture('create-reply.json'),
      batch_id: id,
      create_time: day,
      name,
    })
    const pages = [
      { batches: [batch('a', '2026-09-22'), batch('b', '2026-09-21')], pagination_token: '2' },
      { batches: [batch('c', '2026-09-21')], pagination_token: '3' },
      { batches: [batch('d', '2026-09-21', 'offpeak:abcdefabcdef')], pagination_token: '4' },
      { batches: [batch('e', '2026-09-19')], pagination_token: '5' },
      { batches: [batch('f', '2026-09-19')], pagination_token: null },
    ]
    const call = scriptedCall(() => jsonResponse(pages[call.requests.length - 1]))

    expect(await xai.find(intent, call)).toMatchObject({ states: [{ handle: { id: 'd' } }] })
    expect(call.requests).toHaveLength(4)
  })
})

test('a wrong key is about the account, although it is a 400', () => {
  const refused = (message: string) => xai.refusal?.(new ProviderError(400, undefined, '', undefined, message))

  expect(refused('Incorrect API key provided: k***y.')).toBe('account')
  expect(refused('input_file_id is required')).toBeUndefined()
})

test.each([403, 429])(
  'a team that has no credits left is about the account, also as a %i: no waiting helps',
  (status) => {
    const message = 'Your team x has either used all available credits or reached its monthly spending limit.'

    expect(xai.refusal?.(new ProviderError(status, undefined, '', undefined, message))).toBe('account')
    expect(xai.refusal?.(new ProviderError(status, undefined, '', undefined, 'Too many requests'))).toBeUndefined()
  },
)

test('a refusal that names a line is about that row', () => {
  const error = new ProviderError(400, undefined, '', undefined, 'Line 3: body is missing')

  expect(xai.refusal?.(error)).toMatchObject({ rows: [{ line: 3 }] })
})
