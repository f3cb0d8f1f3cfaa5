import { describe, expect, test } from 'vitest'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import { together } from '../../../src/providers/together.ts'
import {
  fixtureJson,
  fixtureText,
  inputOf,
  intentFor,
  jsonResponse,
  scriptedCall,
} from '../../support/provider-call.ts'

const fixture = (name: string): Record<string, unknown> => fixtureJson('together', name)

async function stateOf(job: Record<string, unknown>): Promise<BatchState | undefined> {
  const [state] = await together.poll(
    [{ id: 'b-7' }],
    scriptedCall(() => jsonResponse(job)),
  )
  return state
}

describe('what Together is sent', () => {
  test.each([
    [0, '/v1/chat/completions'],
    [1, '/v1/audio/transcriptions'],
    [1, '/v1/audio/translations'],
  ])('is line %d of its documentation for %s', (index, endpoint) => {
    const line = fixtureText('together', 'input.jsonl').split('\n')[index] ?? ''
    const { custom_id: customId, body } = JSON.parse(line) as { custom_id: string; body: unknown } // a row of ours

    expect(together.line({ job: 1, customId, endpoint, body: JSON.stringify(body) })).toBe(line)
  })

  test('is an upload of three fields, and a create that names it', async () => {
    const intent = intentFor(together, { tag: 'abcdefabcdef', metadata: { team: 'blue' } })
    const call = scriptedCall(({ path }) =>
      jsonResponse(fixture(path === '/files/upload' ? 'upload-reply.json' : 'create-reply.json'), 201),
    )
    const input = inputOf(together, intent, ['{}'])

    const upload = await together.upload?.(intent, input, call)
    const created = await together.create(intent, upload, async () => input, call)

    const [uploaded, sent] = call.requests
    const form = uploaded?.body instanceof FormData ? uploaded.body : new FormData()
    expect([...form.keys()]).toEqual(['purpose', 'file_name', 'file'])
    expect(form.get('purpose')).toBe('batch-api')
    expect(form.get('file_name')).toBe('offpeak-abcdefabcdef.jsonl')
    expect(form.get('file')).toMatchObject({ name: 'offpeak-abcdefabcdef.jsonl' })
    expect(JSON.parse(typeof sent?.body === 'string' ? sent.body : '')).toEqual({
      input_file_id: 'file-T1',
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
    expect(created).toMatchObject({ phase: 'running', status: 'validating', handle: { id: 'b-7' } })
  })

  test.each([
    [{ model: 'whisper' }],
    [{ file: 'data:audio/wav;base64,AAAA' }],
    [{ file: 'https://a.test/a.wav', response_format: 'srt' }],
  ])('is not %o, and says why', (body) => {
    const target = { provider: 'together', baseUrl: '', query: '', endpoint: '/v1/audio/transcriptions' }

    expect(together.admit?.(body, target)).toMatch(/\w{3}/)
    expect(together.admit?.(body, { ...target, endpoint: '/v1/chat/completions' })).toBeUndefined()
  })
})

describe('where a batch stands', () => {
  test.each([
    ['completed', { outcome: 'completed', handle: { outputFileId: 'file-O1', errorFileId: 'file-E1' } }],
    ['expired', { outcome: 'expired', handle: { outputFileId: 'file-O1' } }],
    ['cancelled', { outcome: 'cancelled', status: 'cancelled' }],
  ])('%s has ended', async (name, expected) => {
    expect(await stateOf(fixture(`retrieve-${name}.json`))).toMatchObject({ phase: 'ended', ...expected })
  })

  test.each(['VALIDATING', 'IN_PROGRESS', 'CANCELING', 'CANCELLING', 'in_progress'])(
    '%s is running',
    async (status) => {
      expect(await stateOf({ ...fixture('retrieve-completed.json'), status })).toMatchObject({ phase: 'running' })
    },
  )

  test.each(['CANCELLED', 'CANCELED', 'cancelled'])('%s is cancelled', async (status) => {
    expect(await stateOf({ ...fixture('retrieve-completed.json'), status })).toMatchObject({ outcome: 'cancelled' })
  })

  test('failed names the line its sentence names', async () => {
    expect(await stateOf(fixture('retrieve-failed.json'))).toMatchObject({
      outcome: 'failed',
      refused: 'invalid',
      problems: [{ line: 2, message: 'Invalid JSON on line 2 of the input file' }],
    })
  })

  test.each([{ progress: 40 }, { output_file_id: 'file-O1' }])(
    'failed on its way (%o) has ended with the rows there are: the others may have been paid for',
    async (change) => {
      expect(await stateOf({ ...fixture('retrieve-failed.json'), ...change })).toMatchObject({ outcome: 'completed' })
    },
  )

  test.each([
    ['error reading input file', 'invalid'],
    [null, 'invalid'],
    ['Model meta-llama/X is not supported for batch', 'everything'],
    ['Enqueued tokens of this model exceed the limit', 'capacity'],
    ['Rate limit exceeded', 'capacity'],
    ['Line 7: too many tokens', 'invalid'],
  ])('failed with "%s" is %s', async (error, refused) => {
    expect(await stateOf({ ...fixture('retrieve-failed.json'), error })).toMatchObject({ outcome: 'failed', refused })
  })
})

describe('rows', () => {
  test('are answers, and errors with the status the live endpoint would have used', async () => {
    const call = scriptedCall(
      ({ path }) => new Response(fixtureText('together', path.includes('O1') ? 'output.jsonl' : 'errors.jsonl')),
    )
    const rows: JobResult[] = []
    for await (const group of together.results({ id: 'b', outputFileId: 'O1', errorFileId: 'E1' }, call)) {
      rows.push(...group)
    }

    const told = rows.map((row) => (row.kind === 'reply' ? row.status : row.kind === 'unexecuted' ? row.reason : '?'))
    expect(told).toEqual([200, 400, 504, 500, 500, 'expired', 429, 422])
    expect(rows[1]?.kind === 'reply' && JSON.parse(rows[1].body)).toEqual({
      error: {
        message: 'The model is not available',
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_model',
      },
    })
    expect(together.usage(rows[0]?.kind === 'reply' ? rows[0].json : undefined)).toEqual({ input: 12, output: 3 })
  })

  test.each(['{"custom_id":"r1"', '{"custom_id":"r1"}', '{"error":{"message":"x"}}', '[]'])(
    'like %s are unreadable',
    async (line) => {
      const rows: JobResult[] = []
      for await (const group of together.results(
        { id: 'b', outputFileId: 'O1' },
        scriptedCall(() => new Response(line)),
      )) {
        rows.push(...group)
      }

      expect(rows).toEqual([{ kind: 'unreadable' }])
    },
  )
})

describe('a look for a batch', () => {
  const call = () =>
    scriptedCall(({ path }) => jsonResponse(fixture(path === '/files' ? 'files-reply.json' : 'list-reply.json')))

  test('finds it by its input file, and an earlier one by the name of its own, the most advanced first', async () => {
    const intent = intentFor(together, { tag: 'abcdefabcdef', upload: { fileId: 'file-T1' } })

    const found = await together.find(intent, call())

    expect(found.kind === 'adopted' && found.states.map(({ handle }) => handle.id)).toEqual(['b-3', 'b-1'])
  })

  test('finds it by the id of its file alone, when the list of files does not know it', async () => {
    const intent = intentFor(together, { tag: 'zzzzzzzzzzzz', upload: { fileId: 'file-other' } })

    expect(await together.find(intent, call())).toMatchObject({ states: [{ handle: { id: 'b-2' } }] })
  })

  test('finds nothing of an intent whose file no batch was made from', async () => {
    const intent = intentFor(together, { tag: 'zzzzzzzzzzzz', upload: { fileId: 'file-none' } })

    expect(await together.find(intent, call())).toEqual({ kind: 'none' })
  })

  test('finds it by the id of its file where files are not listed', async () => {
    const intent = intentFor(together, { upload: { fileId: 'file-T1' } })
    const noFiles = scriptedCall(({ path }) =>
      path === '/files' ? jsonResponse({ error: 'no' }, 404) : jsonResponse(fixture('list-reply.json')),
    )

    expect(await together.find(intent, noFiles)).toMatchObject({ states: [{ handle: { id: 'b-3' } }] })
  })

  test('fails rather than finding nothing when a list cannot be read', async () => {
    const intent = intentFor(together)

    await expect(
      together.find(
        intent,
        scriptedCall(() => jsonResponse({ batches: [] })),
      ),
    ).rejects.toMatchObject({ name: 'NetworkError' })
  })
})

describe('a refusal', () => {
  const refused = (status: number, message: string) =>
    together.refusal?.(new ProviderError(status, undefined, '', undefined, message))

  test('names the row its words name', () => {
    expect(refused(400, 'Line 3: body is required')).toMatchObject({ rows: [{ line: 3 }] })
    expect(refused(422, 'Line 3: body is required')).toMatchObject({ rows: [{ line: 3 }] })
  })

  test('is left to its status otherwise', () => {
    expect(refused(400, 'endpoint is required')).toBeUndefined()
    expect(refused(401, 'Line 3')).toBeUndefined()
  })
})
