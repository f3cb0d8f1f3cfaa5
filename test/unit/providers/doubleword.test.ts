import { describe, expect, test } from 'vitest'
import type { FinishedRows } from '../../../src/core/adapter.ts'
import type { BatchHandle, BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import type { JsonObject } from '../../../src/core/request.ts'
import { doubleword } from '../../../src/providers/doubleword.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
} from '../../support/provider-call.ts'

const fixture = (name: string): Record<string, unknown> => fixtureJson('doubleword', name)
const handle: BatchHandle = { id: 'b', outputFileId: 'out', errorFileId: 'err' }

async function stateOf(name: string): Promise<BatchState | undefined> {
  const [state] = await doubleword.poll(
    [{ id: 'b' }],
    scriptedCall(() => jsonResponse(fixture(`retrieve-${name}.json`))),
  )
  return state
}

/** Result files as the server gives them: lines from `skip` on. `whole` lines are there in all. */
function filesWith(lines: Readonly<Record<string, readonly string[]>>, perCall = Number.POSITIVE_INFINITY) {
  return scriptedCall(({ path, query }) => {
    const all = lines[path.split('/')[2] ?? ''] ?? []
    const skip = Number(query?.['skip'] ?? 0)
    const given = all.slice(skip, skip + perCall)
    const isIncomplete = skip + given.length < all.length
    const headers = { 'x-incomplete': String(isIncomplete), 'x-last-line': String(skip + given.length) }
    return new Response(given.map((line) => `${line}\n`).join(''), { headers })
  })
}

const linesOf = (name: string): string[] => fixtureText('doubleword', name).trimEnd().split('\n')
const answer = (customId: string): string => linesOf('output.jsonl')[0]?.replace('"r2"', `"${customId}"`) ?? ''

async function rowsOf(call: ReturnType<typeof scriptedCall>): Promise<readonly JobResult[]> {
  const rows: JobResult[] = []
  for await (const group of doubleword.results(handle, call)) rows.push(...group)
  return rows
}

describe('what Doubleword is sent', () => {
  const intent = intentFor(doubleword, { tag: 'abcdefabcdef', metadata: { team: 'blue' } })

  test('is lines that each name their endpoint', () => {
    for (const line of linesOf('input.jsonl')) {
      const { custom_id: customId, url, body } = JSON.parse(line) as { custom_id: string; url: string; body: unknown } // ours
      expect(doubleword.line({ job: 1, customId, endpoint: url, body: JSON.stringify(body) })).toBe(line)
    }
  })

  test('is an upload and a create with our tag', async () => {
    const call = scriptedCall(({ path }) =>
      jsonResponse(fixture(path === '/files' ? 'upload-reply.json' : 'create-reply.json'), 201),
    )
    const input = inputOf(doubleword, intent, ['{}'])

    const upload = await doubleword.upload?.(intent, input, call)
    const created = await doubleword.create({ ...intent, window: '1h' }, upload, async () => input, call)

    const sent = call.requests[1]?.body
    expect(JSON.parse(typeof sent === 'string' ? sent : '')).toMatchObject({
      completion_window: '1h',
      metadata: { team: 'blue', offpeak_intent: 'abcdefabcdef' },
    })
    expect(created).toMatchObject({ phase: 'running', handle: { outputFileId: 'out', errorFileId: 'err' } })
    expect('partial' in created).toBe(false)
  })
})

describe('a refusal', () => {
  const refused = (status: number, body: string) =>
    doubleword.refusal?.(new ProviderError(status, undefined, body, undefined, `POST /files: HTTP ${status}`))

  test('in plain text names its row', () => {
    expect(refused(400, fixtureText('doubleword', 'upload-refused.txt'))).toEqual({
      rows: [expect.objectContaining({ line: 3, message: expect.stringContaining('no/such-model') })],
    })
    expect(refused(403, fixtureText('doubleword', 'upload-refused.txt'))).toMatchObject({ rows: [{ line: 3 }] })
  })

  async function refusalOf(models: readonly string[], text: string, status = 403): Promise<unknown> {
    const call = scriptedCall(() => new Response(text, { status }))
    const input = inputOf(
      doubleword,
      intentFor(doubleword),
      models.map((model) => JSON.stringify({ model, messages: [] })),
    )
    const error: unknown = await doubleword
      .upload?.(intentFor(doubleword), input, call)
      .catch((caught: unknown) => caught)
    return error instanceof ProviderError ? doubleword.refusal?.(error) : error
  }

  test('of a model names every row that asks for it, not only the first', async () => {
    const refusal = await refusalOf(['yes', 'no', 'yes', 'no'], "Line 2: Model 'no' is not available to user.")

    expect(refusal).toMatchObject({ rows: [{ line: 2 }, { line: 4 }] })
  })

  test('of the model of every row leaves nothing to look for', async () => {
    expect(await refusalOf(['no', 'no'], "Line 1: Model 'no' is not available to user.")).toBe('invalid')
  })

  test('of anything else about a row with a model is about that row alone', async () => {
    expect(await refusalOf(['a', 'a'], 'Line 1: too many tokens for the model', 400)).toMatchObject({
      rows: [{ line: 1 }],
    })
    expect(await refusalOf(['a', 'a'], "Model 'a' is not available to you")).toEqual({ rows: [] })
  })

  test.each([
    [400, 'Missing field', { rows: [] }],
    [403, "Model 'x' is not available to you", { rows: [] }],
    [403, 'Insufficient permissions to Create files', undefined],
    [400, 'File size exceeds maximum: 2 > 1', 'too-large'],
    [503, 'Line 2: the image could not be fetched now', undefined],
    [429, 'Line 2: too large a queue', undefined],
    [402, 'Your balance is negative', undefined],
    [429, '{"error":"capacity","message":"Line up later","retry_after_seconds":60}', undefined],
  ])('of status %d, "%s", is %o', (status, body, expected) => {
    expect(refused(status, body)).toEqual(expected)
  })
})

describe('where a batch stands', () => {
  test('rows that have finished can be read while it runs', async () => {
    expect(await stateOf('in_progress')).toMatchObject({ phase: 'running', partial: true })
  })

  test.each(['completed', 'cancelled'])('%s has ended', async (name) => {
    expect(await stateOf(name)).toMatchObject({ phase: 'ended', outcome: name })
  })

  test('failed with rows that ran has ended with their failures', async () => {
    const state = await stateOf('failed-rows')

    expect(state).toMatchObject({ phase: 'ended', outcome: 'completed', status: 'failed', counts: { failed: 3 } })
    expect(state && 'problems' in state).toBe(false)
  })

  test('failed before any row ran is a refusal', async () => {
    expect(await stateOf('failed-population')).toMatchObject({
      outcome: 'failed',
      refused: 'invalid',
      problems: [{ message: 'Validation error: the file has no request templates' }],
    })
  })
})

describe('rows', () => {
  test('are the answers of every endpoint', async () => {
    const rows = await rowsOf(filesWith({ out: linesOf('output.jsonl') }))

    expect(rows).toMatchObject([
      { customId: 'r2', status: 200 },
      { customId: 'r1', status: 200 },
      { customId: 'r3', status: 200 },
    ])
    expect(rows.map((row) => (row.kind === 'reply' ? doubleword.usage(row.json) : undefined))).toMatchObject([
      { input: 2, output: 0 },
      { input: 12, output: 3 },
      { input: 16, output: 4, cachedInput: 6 },
    ])
  })

  test('that failed have the status and the body of the server behind it', async () => {
    const rows = await rowsOf(filesWith({ err: linesOf('errors.jsonl') }))

    expect(rows.map((row) => (row.kind === 'reply' ? row.status : row.kind))).toEqual([
      400,
      429,
      504,
      502,
      502,
      400,
      'unexecuted',
      500,
      500,
    ])
    const messages = rows.map((row) => (row.kind === 'reply' ? JSON.parse(row.body) : row) as { error?: unknown })
    expect(messages[0]?.error).toMatchObject({ message: 'bad role', param: 'messages' })
    expect(messages[1]?.error).toMatchObject({ message: 'slow down', code: 'RetriableHttpStatus' })
    expect(messages[3]?.error).toMatchObject({ message: 'connection reset' })
    expect(messages[7]?.error).toMatchObject({ message: 'the loop failed' })
    expect(messages[8]?.error).toMatchObject({ message: 'in plain words' })
    expect(rows[6]).toMatchObject({ reason: 'cancelled', code: 'BatchTerminated' })
  })

  test('are read on for as long as the server says there are more', async () => {
    const call = filesWith({ out: ['a', 'b', 'c', 'd', 'e'].map(answer) }, 2)

    const rows = await rowsOf(call)

    expect(rows.map((row) => row.kind === 'reply' && row.customId)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(call.requests.map(({ query }) => query?.['skip'])).toEqual([undefined, '2', '4', undefined])
  })

  test('come to an end with a server that says so for ever', async () => {
    const call = scriptedCall(
      ({ query }) =>
        new Response(query?.['skip'] === undefined ? `${answer('a')}\n` : '', { headers: { 'x-incomplete': 'true' } }),
    )

    expect(await rowsOf(call)).toHaveLength(2)
    expect(call.requests).toHaveLength(4)
  })
})

describe('rows of a batch that still runs', () => {
  async function look(
    since: JsonObject | undefined,
    call: ReturnType<typeof scriptedCall>,
  ): Promise<readonly FinishedRows[]> {
    const found: FinishedRows[] = []
    for await (const group of doubleword.finished?.(handle, since, call) ?? []) found.push(group)
    return found
  }

  test('are read from where the last look ended, each file for itself', async () => {
    const [first] = linesOf('errors.jsonl')

    const before = await look(undefined, filesWith({ out: [answer('a'), answer('b')], err: [first ?? ''] }))
    const since = before.at(-1)?.since
    const call = filesWith({ out: ['a', 'b', 'c'].map(answer), err: [first ?? ''] })
    const after = await look(since, call)

    expect(before.flatMap(({ rows }) => rows)).toHaveLength(3)
    expect(since).toEqual({ out: 2, err: 1 })
    expect(call.requests.map(({ query }) => query?.['skip'])).toEqual(['2', '1'])
    expect(after).toMatchObject([{ rows: [{ customId: 'c' }], since: { out: 3, err: 1 } }])
  })

  test('are asked for once a look, although the server says that more are to come', async () => {
    const call = scriptedCall(() => new Response(`${answer('a')}\n`, { headers: { 'x-incomplete': 'true' } }))

    await look(undefined, call)

    expect(call.requests).toHaveLength(2)
  })
})

describe('a look for a batch', () => {
  test('searches for the tag, and takes only what carries it', async () => {
    const intent = intentFor(doubleword, { tag: 'abcdefabcdef', createdAt: 1_790_000_000_000 })
    const other = { ...fixture('create-reply.json'), id: 'other', metadata: { note: 'abcdefabcdef' } }
    const call = scriptedCall(() => jsonResponse({ data: [other, fixture('create-reply.json')], has_more: false }))

    const found = await doubleword.find(intent, call)

    expect(found.kind === 'adopted' && found.states.map(({ handle: { id } }) => id)).toEqual([
      fixture('create-reply.json')['id'],
    ])
    expect(call.requests[0]?.query).toMatchObject({ search: 'abcdefabcdef' })
  })
})
