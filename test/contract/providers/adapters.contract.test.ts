import { describe, expect, test } from 'vitest'
import type { ProviderAdapter } from '../../../src/core/adapter.ts'
import type { BatchState, JobResult } from '../../../src/core/batch.ts'
import { customId, parseCustomId } from '../../../src/core/job.ts'
import { adapters, createMatch } from '../../../src/providers/registry.ts'
import { Caller } from '../../../src/manager/caller.ts'
import { fixtureJson, httpCall, inputOf, intentFor, scriptedCall, submitTo } from '../../support/provider-call.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { openai } from './openai.ts'
import type { Subject } from './subject.ts'

const subjects: ReadonlyMap<string, Subject> = new Map([[openai.name, openai]])

test('every adapter has told the contract suite about itself', () => {
  expect([...subjects.keys()]).toEqual(adapters.map(({ name }) => name))
})

for (const adapter of adapters) {
  const subject = subjects.get(adapter.name)
  if (subject)
    describe(`the adapter for ${adapter.name}`, () => {
      contract(adapter, subject)
    })
}

function contract(adapter: ProviderAdapter, subject: Subject): void {
  describe('says which requests are its own', () => {
    const GATEWAY = 'http://gateway.test:8080/llm/v1'
    const match = createMatch([adapter], { [adapter.name]: [GATEWAY, 'http://gateway.test/bare/'] })
    const [base = ''] = adapter.bases

    test.each(adapter.bases.map((own) => [own]))('%s is one of its base URLs', (own) => {
      for (const path of Object.keys(subject.requests)) {
        expect(match({ method: 'POST', url: own + path })).toMatchObject({
          provider: adapter.name,
          baseUrl: own,
          query: '',
        })
      }
    })

    test.each(subject.others.map(([method, path]) => [method, path]))('%s %s is not batched', (method, path) => {
      expect(match({ method, url: base + path })).toBeUndefined()
    })

    test('a further base URL keeps its scheme, port, prefix and query', () => {
      expect(match({ method: 'POST', url: `${GATEWAY}${subject.path}?tenant=7&x=%2F` })).toMatchObject({
        baseUrl: GATEWAY,
        query: '?tenant=7&x=%2F',
      })
      expect(match({ method: 'POST', url: `http://gateway.test/bare${subject.path}` })).toMatchObject({
        baseUrl: 'http://gateway.test/bare',
      })
    })

    test('hosts that only look like it are not', () => {
      const { host, pathname } = new URL(base)
      const rest = pathname + subject.path
      for (const url of [
        `https://${host}.evil.com${rest}`,
        `https://${host}@evil.com${rest}`,
        `https://evil.com/${host}${rest}`,
        `https://evil${host}${rest}`,
        `https://evil.com#@${host}${rest}`,
        `https://evil.com?${host}${rest}`,
        `http://${host}${rest}`,
        `https://${host}:8443${rest}`,
        `https://user:password@${host}${rest}`,
        `https://${host}./${rest}`,
        `https://${host}/v2${subject.path}`,
        `https://${host}${subject.path}`,
        `https://${host}/x${rest}`,
        `ftp://${host}${rest}`,
        `http://gateway.test:8081/llm/v1${subject.path}`,
        `http://gateway.test:8080/llm/v10${subject.path}`,
        `http://gateway.test:8080/llm${subject.path}`,
        `not a url`,
        '',
      ]) {
        expect({ url, target: match({ method: 'POST', url }) }).toEqual({ url, target: undefined })
      }
    })

    test('a path that climbs out of the base is judged by where it ends', () => {
      expect(match({ method: 'POST', url: `${base}/x/..${subject.path}` })).toBeDefined()
      expect(match({ method: 'POST', url: `${base}/..${subject.path}` })).toBeUndefined()
    })

    test('the same question is answered the same a thousand times over', () => {
      for (let index = 0; index < 2000; index += 1) match({ method: 'POST', url: `${base}/embeddings?n=${index}` })

      expect(match({ method: 'POST', url: base + subject.path })).toMatchObject({ baseUrl: base })
      expect(match({ method: 'GET', url: base + subject.path })).toBeUndefined()
    })
  })

  describe('writes lines', () => {
    const job = 42
    const id = customId('abcdef123456', job)
    const lineOf = (body: string): string => adapter.line({ job, customId: id, endpoint: '/v1/any', body })

    test.each([
      ['pretty-printed JSON', JSON.stringify({ a: [1, { b: 2 }] }, null, 2)],
      ['Windows line ends', '{\r\n"a":\r1}'],
      ['line separators inside strings', '{"a":"x\u2028y\u2029z\u0085"}'],
      ['escapes and quotes', String.raw`{"a":"\n\"\\\u2028 \ud83d\ude00","b":"{}[],:"}`],
      ['numbers no double can hold', '{"id":12345678901234567890,"t":1.0,"u":1e400,"v":-0}'],
      ['duplicate keys', '{"a":1,"a":2}'],
      ['keys that look like ours', '{"custom_id":"x","body":{"url":"y"}}'],
    ])('that are one line each whatever the body is: %s', (_, body) => {
      const line = lineOf(body)

      // What Python, .NET and Java take for the end of a line.
      expect(line).not.toMatch(/[\n\r\v\f\u0085\u2028\u2029]/)
      const parsed = JSON.parse(line) as { custom_id: string; body: unknown } // our own line
      expect(parsed.custom_id).toBe(id)
      expect(parsed.body).toEqual(JSON.parse(body))
    })

    test('that carry the caller’s own text, not one written anew', () => {
      const body = '{"seed":12345678901234567890, "temperature":1.0,"a":1,"a":2,"\\u0061b":"\\/"}'

      expect(lineOf(body)).toContain(body)
    })

    test('whose ids fit every provider and are read back', () => {
      const longest = customId('abcdefghijkl', Number.MAX_SAFE_INTEGER)

      expect(longest).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
      expect(parseCustomId(longest)).toEqual({ tag: 'abcdefghijkl', job: Number.MAX_SAFE_INTEGER })
    })
  })

  describe('over HTTP', () => {
    for (const [path, body] of Object.entries(subject.requests)) {
      test(`carries ${path} from upload to answer`, async () => {
        await using simulator = await startTestSimulator()
        const call = httpCall(simulator.baseUrl(subject.name))
        const match = createMatch([adapter], { [adapter.name]: [simulator.baseUrl(subject.name)] })
        const target = match({ method: 'POST', url: simulator.baseUrl(subject.name) + path })
        const intent = intentFor(adapter, { endpoint: target?.endpoint ?? '', model: JSON.stringify(body['model']) })

        const created = await submitTo(adapter, call, intent, [JSON.stringify(body), JSON.stringify(body)])
        const ended = await untilEnded(adapter, created, call)
        const rows = await rowsOf(adapter, ended, call)

        expect(created.phase).toBe('running')
        expect(ended).toMatchObject({ phase: 'ended', outcome: 'completed' })
        expect(rows.map(idOf).sort()).toEqual([customId(intent.tag, 1), customId(intent.tag, 2)])
        for (const row of rows) {
          expect(row).toMatchObject({ kind: 'reply', status: 200, requestId: expect.stringMatching(/./) })
          const { body: text, json } = row.kind === 'reply' ? row : { body: 'null', json: undefined }
          expect(JSON.parse(text)).toEqual(json)
        }
      })
    }

    test('reads errors and answers, from wherever the provider put them', async () => {
      await using simulator = await startTestSimulator()
      const call = httpCall(simulator.baseUrl(subject.name))
      const intent = intentFor(adapter)
      const bodies = [subject.bodyFor('one'), subject.rejected, subject.bodyFor('three')]

      const created = await submitTo(
        adapter,
        call,
        intent,
        bodies.map((body) => JSON.stringify(body)),
      )
      const ended = await untilEnded(adapter, created, call)
      const rows = await rowsOf(adapter, ended, call)

      const statuses = new Map(rows.map((row) => [idOf(row), row.kind === 'reply' ? row.status : row.kind]))
      expect(statuses.get(customId(intent.tag, 1))).toBe(200)
      expect(statuses.get(customId(intent.tag, 2))).toBe(400)
      expect(statuses.get(customId(intent.tag, 3))).toBe(200)
      expect(ended.counts).toEqual({ total: 3, completed: 2, failed: 1 })
    })

    test('tells an expired batch, with what it has and what it has not run', async () => {
      await using simulator = await startTestSimulator({ faults: [{ kind: 'expire', afterRows: 1 }] })
      const call = httpCall(simulator.baseUrl(subject.name))

      const created = await submitTo(adapter, call, intentFor(adapter), threeBodies(subject))
      const ended = await untilEnded(adapter, created, call)
      const rows = await rowsOf(adapter, ended, call)

      expect(ended).toMatchObject({ outcome: 'expired' })
      expect(rows.map(({ kind }) => kind).sort()).toEqual(['reply', 'unexecuted', 'unexecuted'])
      expect(rows.every((row) => row.kind === 'reply' || (row.kind === 'unexecuted' && row.reason === 'expired'))).toBe(
        true,
      )
    })

    test('cancels, and tells a cancelled batch', async () => {
      await using simulator = await startTestSimulator()
      const call = httpCall(simulator.baseUrl(subject.name))
      const created = await submitTo(adapter, call, intentFor(adapter), threeBodies(subject))

      await adapter.cancel(created.handle, call)
      const ended = await untilEnded(adapter, created, call)
      const rows = await rowsOf(adapter, ended, call)

      expect(ended).toMatchObject({ outcome: 'cancelled' })
      expect(
        rows.every((row) => row.kind === 'reply' || (row.kind === 'unexecuted' && row.reason === 'cancelled')),
      ).toBe(true)
    })

    test('tells a batch that failed validation, and the line it was for', async () => {
      await using simulator = await startTestSimulator()
      const call = httpCall(simulator.baseUrl(subject.name))
      const [one = '', two = ''] = threeBodies(subject)

      const created = await submitTo(adapter, call, intentFor(adapter), [one, '{"stream":true}', two])
      const ended = await untilEnded(adapter, created, call)

      expect(ended).toMatchObject({ outcome: 'failed', refused: 'invalid', problems: [{ line: 2 }] })
      expect(await rowsOf(adapter, ended, call)).toEqual([])
    })

    test('finds its batch by the tag, over any number of pages, and no other', async () => {
      await using simulator = await startTestSimulator({ batchMs: 1e9 })
      const call = httpCall(simulator.baseUrl(subject.name))
      const wanted = intentFor(adapter, { metadata: { team: 'blue' } })
      const [body = ''] = threeBodies(subject)
      const created = await submitTo(adapter, call, wanted, [body])
      const upload = await adapter.upload?.(wanted, inputOf(adapter, wanted, [body]), call)
      await inGroups(230, async () => {
        await adapter.create(intentFor(adapter), upload, async () => inputOf(adapter, wanted, [body]), call)
      })

      const found = await adapter.find(wanted, call)
      const other = await adapter.find(intentFor(adapter), call)

      expect(found).toMatchObject({ kind: 'adopted', states: [{ handle: { id: created.handle.id } }] })
      expect(other).toEqual({ kind: 'none' })
    })

    test('does not find the batch of another account', async () => {
      await using simulator = await startTestSimulator()
      const intent = intentFor(adapter)
      await submitTo(adapter, httpCall(simulator.baseUrl(subject.name)), intent, threeBodies(subject))

      const found = await adapter.find(intent, httpCall(simulator.baseUrl(subject.name), { key: 'sk-other' }))

      expect(found).toEqual({ kind: 'none' })
    })

    test('asks about a few batches one by one, and about many in fewer calls than there are', async () => {
      await using simulator = await startTestSimulator({ batchMs: 1e9 })
      const call = httpCall(simulator.baseUrl(subject.name))
      const [body = ''] = threeBodies(subject)
      const states: BatchState[] = []
      await inGroups(30, async () => {
        states.push(await submitTo(adapter, call, intentFor(adapter), [body]))
      })
      const handles = states.map(({ handle }) => handle)
      const callsOf = (): number => simulator.ledger().calls.poll + simulator.ledger().calls.list

      const few = await adapter.poll(handles.slice(0, 3), call)
      const callsForFew = callsOf()
      const many = await adapter.poll(handles, call)

      expect(few.map(({ handle }) => handle.id).sort()).toEqual(
        handles
          .slice(0, 3)
          .map(({ id }) => id)
          .sort(),
      )
      expect(many.map(({ handle }) => handle.id).sort()).toEqual(handles.map(({ id }) => id).sort())
      expect(callsOf() - callsForFew).toBeLessThan(30)
    })

    test('leaves out a batch the provider does not know, and tells of the others', async () => {
      await using simulator = await startTestSimulator()
      const call = httpCall(simulator.baseUrl(subject.name))
      const created = await submitTo(adapter, call, intentFor(adapter), threeBodies(subject))
      const unknown = Array.from({ length: 9 }, (_, index) => ({ id: `batch_unknown_${index}` }))

      for (const strangers of [unknown.slice(0, 1), unknown]) {
        const states = await adapter.poll([created.handle, ...strangers], call)

        expect(states.map(({ handle }) => handle.id)).toEqual([created.handle.id])
      }
      await expect(adapter.poll(unknown.slice(0, 2), call)).rejects.toMatchObject({ status: 404 })
    })

    test('keeps the query of a base URL in every call', async () => {
      await using simulator = await startTestSimulator({ batchMs: 300 })
      const seen: string[] = []
      const caller = new Caller({
        fetch: (url, init) => {
          seen.push(url)
          return fetch(url, init)
        },
        now: Date.now,
        stopping: new AbortController().signal,
      })
      const headers = [['authorization', 'Bearer sk-test']] as const
      const call = caller.line({ baseUrl: simulator.baseUrl(subject.name), query: '?tenant=7&x=%2F', headers })
      const intent = intentFor(adapter)

      const created = await submitTo(adapter, call, intent, threeBodies(subject))
      await adapter.find(intent, call)
      await adapter.cancel(created.handle, call)
      const ended = await untilEnded(adapter, created, call)
      await rowsOf(adapter, ended, call)
      await adapter.release?.(ended.handle, call)

      expect(seen.length).toBeGreaterThanOrEqual(6)
      for (const url of seen) {
        expect(new URL(url).searchParams.get('tenant')).toBe('7')
        expect(new URL(url).searchParams.get('x')).toBe('/')
      }
    })

    test('removes its upload, and nothing else', async () => {
      await using simulator = await startTestSimulator()
      const call = httpCall(simulator.baseUrl(subject.name))
      const created = await submitTo(adapter, call, intentFor(adapter), threeBodies(subject))
      const ended = await untilEnded(adapter, created, call)

      await adapter.release?.(ended.handle, call)

      expect(await rowsOf(adapter, ended, call)).toHaveLength(3)
      expect(simulator.ledger().calls.delete).toBe(1)
    })
  })

  describe('reads replies leniently', () => {
    test('a create reply that cannot be read is no refusal: it leaves open what happened', async () => {
      for (const body of ['', '<html>', '{}', '[]', 'null', '{"id":""}', '{"id":7}']) {
        const call = scriptedCall(() => new Response(body))

        await expect(
          adapter.create(intentFor(adapter), { fileId: 'file-1' }, () => Promise.reject(new Error('unused')), call),
        ).rejects.toMatchObject({ name: 'NetworkError' })
        expect(call.requests).toHaveLength(1)
      }
    })

    test('a status nobody has heard of means still running', async () => {
      const created = fixtureJson(adapter.name, 'create-reply.json')
      for (const status of ['paused', 'COMPLETING', '', null, 7]) {
        const call = scriptedCall(() => new Response(JSON.stringify({ ...created, status })))

        const [state] = await adapter.poll([{ id: 'batch_B1' }], call)

        expect(state).toMatchObject({ phase: 'running' })
      }
    })

    test('its refusals are JSON objects, whatever they have to say', () => {
      const message = 'A "quoted" \\ text\nover lines \u2028 and 😀'

      const text = adapter.envelope({ status: 424, code: 'result_missing', message })

      expect(text).not.toContain('\n')
      expect(JSON.stringify(JSON.parse(text))).toContain(JSON.stringify(message))
    })

    test('usage is undefined where none is told', () => {
      for (const json of [undefined, null, 7, 'text', [], {}, { usage: null }, { usage: {} }, { usage: [] }]) {
        expect(adapter.usage(json)).toBeUndefined()
      }
    })
  })
}

function threeBodies(subject: Subject): string[] {
  return ['one', 'two', 'three'].map((prompt) => JSON.stringify(subject.bodyFor(prompt)))
}

/** So many times, a few at once. */
async function inGroups(times: number, work: () => Promise<void>): Promise<void> {
  for (let left = times; left > 0; left -= 10) {
    await Promise.all(Array.from({ length: Math.min(left, 10) }, work))
  }
}

async function untilEnded(
  adapter: ProviderAdapter,
  { handle }: BatchState,
  call: Parameters<ProviderAdapter['poll']>[1],
): Promise<BatchState> {
  for (let look = 0; look < 20; look += 1) {
    const [state] = await adapter.poll([handle], call)
    if (state?.phase === 'ended') return state
  }
  throw new Error('the batch did not end')
}

async function rowsOf(
  adapter: ProviderAdapter,
  { handle }: BatchState,
  call: Parameters<ProviderAdapter['poll']>[1],
): Promise<JobResult[]> {
  const rows: JobResult[] = []
  for await (const group of adapter.results(handle, call)) rows.push(...group)
  return rows
}

function idOf(row: JobResult): string {
  return row.kind === 'unreadable' ? '' : row.customId
}
