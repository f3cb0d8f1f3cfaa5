import { describe, expect, test } from 'vitest'
import type { Call, ProviderAdapter } from '../../../src/core/adapter.ts'
import type { BatchState, Intent, JobResult } from '../../../src/core/batch.ts'
import { ProviderError } from '../../../src/core/errors.ts'
import { customId, parseCustomId } from '../../../src/core/job.ts'
import { adapters, createMatch } from '../../../src/providers/registry.ts'
import { Caller } from '../../../src/manager/caller.ts'
import type { Simulator } from '../../../src/simulator/index.ts'
import { fixtureJson, inputOf, intentFor, scriptedCall, submitTo } from '../../support/provider-call.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { anthropic } from './anthropic.ts'
import { doubleword } from './doubleword.ts'
import { gemini } from './gemini.ts'
import { groq } from './groq.ts'
import { mistral } from './mistral.ts'
import { openai } from './openai.ts'
import { together } from './together.ts'
import { xai } from './xai.ts'
import type { Invalid, Subject } from './subject.ts'

const subjects: ReadonlyMap<string, Subject> = new Map(
  [openai, anthropic, gemini, groq, mistral, together, doubleword, xai].map((subject) => [subject.name, subject]),
)

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

  describe('says of itself', () => {
    test('what the README tells of a provider', () => {
      const { title, endpoints, discount, recoveredBy, passesThrough } = adapter.facts

      expect(endpoints.length).toBeGreaterThan(0)
      expect(new Set(endpoints).size).toBe(endpoints.length)
      for (const text of [title, discount, recoveredBy, ...endpoints, ...passesThrough]) expect(text).toMatch(/\S/)
      expect(adapter.limits.windows.length).toBeGreaterThan(0)
    })

    test('which header a key from the environment goes in, and that there is none without a key', () => {
      const { headers, env } = adapter.credentials
      const fromEnvironment = (given: Record<string, string>) => adapter.credentials.fromEnvironment?.(given)

      const made = fromEnvironment({ [env]: ' sk-from-env ' }) ?? []

      const keyed = made.filter(([, value]) => value.includes('sk-from-env')).map(([name]) => name)
      expect(keyed).toHaveLength(1)
      expect(headers).toEqual(expect.arrayContaining(keyed))
      for (const [, value] of made) expect(value).toBe(value.trim())
      for (const none of [{}, { [env]: '' }, { [env]: ' ' }]) expect(fromEnvironment(none)).toBeUndefined()
    })
  })

  describe('writes lines', () => {
    const readLine = subject.readLine ?? readOpenaiLine
    const job = 42
    const id = customId('abcdef123456', job)
    const endpoint = adapter.match({ method: 'POST', url: '' }, subject.path)?.endpoint ?? ''
    const lineOf = (body: string): string => adapter.line({ job, customId: id, endpoint, body })

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
      const read = readLine(JSON.parse(line))
      expect(read.customId).toBe(id)
      expect(read.body).toEqual(JSON.parse(body))
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
    const { expired = { outcome: 'expired', rest: 'told' }, cancelled = { outcome: 'cancelled', rest: 'told' } } =
      subject
    const { counts, requestIds, invalid = REFUSED_LATER, found = 'adopted' } = subject
    const unknownBatch = subject.unknownBatch ?? ((n) => `batch_unknown_${n}`)

    /** An intent for the subject's usual endpoint, or another. */
    function intentAt(path: string, change: Partial<Intent> = {}): Intent {
      const target = adapter.match({ method: 'POST', url: '' }, path)
      const { model } = subject.requests[path] ?? {}
      return intentFor(adapter, {
        endpoint: target?.endpoint ?? '',
        model: target?.model ?? (typeof model === 'string' ? model : ''),
        ...change,
      })
    }

    function submit(intent: Intent, bodies: readonly string[], call: Call): Promise<BatchState> {
      return submitTo(adapter, call, { ...intent, jobs: bodies.length }, bodies)
    }

    for (const [path, body] of Object.entries(subject.requests)) {
      test(`carries ${path} from upload to answer`, async () => {
        await using simulator = await startTestSimulator()
        const call = callTo(simulator, adapter, subject)
        const intent = intentAt(path)

        const created = await submit(intent, [JSON.stringify(body), JSON.stringify(body)], call)
        const ended = await untilEnded(adapter, created, call)
        const rows = await rowsOf(adapter, ended, call)

        expect(created.phase).toBe('running')
        expect(ended).toMatchObject({ phase: 'ended', outcome: 'completed' })
        expect(rows.map(idOf).sort()).toEqual([customId(intent.tag, 1), customId(intent.tag, 2)])
        for (const row of rows) {
          expect(row).toMatchObject({ kind: 'reply', status: 200 })
          const { body: text, json, requestId } = row.kind === 'reply' ? row : NO_REPLY
          expect(JSON.parse(text)).toEqual(json)
          expect(requestId === undefined || requestId === '').toBe(requestIds === false)
        }
      })
    }

    test('reads errors and answers, from wherever the provider put them', async () => {
      await using simulator = await startTestSimulator()
      const call = callTo(simulator, adapter, subject)
      const intent = intentAt(subject.path)
      const bodies = [subject.bodyFor('one'), subject.rejected, subject.bodyFor('three')]

      const created = await submit(
        intent,
        bodies.map((body) => JSON.stringify(body)),
        call,
      )
      const ended = await untilEnded(adapter, created, call)
      const rows = await rowsOf(adapter, ended, call)

      const statuses = new Map(rows.map((row) => [idOf(row), row.kind === 'reply' ? row.status : row.kind]))
      expect(statuses.get(customId(intent.tag, 1))).toBe(200)
      expect(statuses.get(customId(intent.tag, 2))).toBe(400)
      expect(statuses.get(customId(intent.tag, 3))).toBe(200)
      expect(ended.counts).toEqual(counts === false ? undefined : { total: 3, completed: 2, failed: 1 })
    })

    test('says of an error in its row what the live endpoint would have said', async () => {
      await using simulator = await startTestSimulator()
      const call = callTo(simulator, adapter, subject)
      const intent = intentAt(subject.path)

      const created = await submit(intent, [JSON.stringify(subject.rejected)], call)
      const ended = await untilEnded(adapter, created, call)
      const [row] = await rowsOf(adapter, ended, call)

      const text = row?.kind === 'reply' ? row.body : ''
      const shape = JSON.parse(adapter.envelope({ status: 400, code: 'code', message: 'message' })) as object // our own
      expect(Object.keys(JSON.parse(text) as object)).toEqual(expect.arrayContaining(Object.keys(shape)))
    })

    if (expired !== 'never') {
      test('tells an expired batch, with what it has and what it has not run', async () => {
        await using simulator = await startTestSimulator({ faults: [{ kind: 'expire', afterRows: 1 }] })
        const call = callTo(simulator, adapter, subject)

        const created = await submit(intentAt(subject.path), threeBodies(subject), call)
        const ended = await untilEnded(adapter, created, call)
        const rows = await rowsOf(adapter, ended, call)

        const rest = expired.rest === 'told' ? ['unexecuted:expired', 'unexecuted:expired'] : []
        expect(ended).toMatchObject({ outcome: expired.outcome })
        expect(rows.map(kindOf).sort()).toEqual(expired.rest === 'all-missing' ? [] : ['reply:200', ...rest])
      })
    }

    test('cancels, and tells a cancelled batch', async () => {
      await using simulator = await startTestSimulator()
      const call = callTo(simulator, adapter, subject)
      const created = await submit(intentAt(subject.path), threeBodies(subject), call)

      await adapter.cancel(created.handle, call)
      const ended = await untilEnded(adapter, created, call)
      const rows = await rowsOf(adapter, ended, call)

      expect(ended).toMatchObject({ outcome: cancelled.outcome })
      const told = cancelled.rest === 'told' ? 3 : rows.filter(({ kind }) => kind === 'reply').length
      expect(rows).toHaveLength(told)
      for (const row of rows) expect(['reply:200', 'unexecuted:cancelled']).toContain(kindOf(row))
    })

    if (invalid.by === 'upload' || invalid.by === 'create') {
      test('tells which row its refusal is about', async () => {
        await using simulator = await startTestSimulator()
        const [one = '', two = ''] = threeBodies(subject)

        const submitting = submit(intentAt(subject.path), [one, invalid.body, two], callTo(simulator, adapter, subject))

        const error: unknown = await submitting.then(String, (reason: unknown) => reason)
        expect(error).toBeInstanceOf(ProviderError)
        const refusal = error instanceof ProviderError ? adapter.refusal?.(error) : undefined
        const rows = typeof refusal === 'object' ? refusal.rows : undefined
        expect(rows?.map(({ line }) => line)).toEqual(invalid.line === undefined ? [] : [invalid.line])
        expect(simulator.ledger().batches.created).toBe(0)
      })
    }

    if (invalid.by === 'batch') {
      test('tells a batch that failed validation, and the line it was for where the provider says', async () => {
        await using simulator = await startTestSimulator()
        const call = callTo(simulator, adapter, subject)
        const [one = '', two = ''] = threeBodies(subject)

        const created = await submit(intentAt(subject.path), [one, invalid.body, two], call)
        const ended = await untilEnded(adapter, created, call)

        expect(ended).toMatchObject({ outcome: 'failed', refused: 'invalid', problems: [{ line: invalid.line }] })
        expect(await rowsOf(adapter, ended, call)).toEqual([])
      })
    }

    if (invalid.by === 'row') {
      test('answers a row that no validation lets through, and the others', async () => {
        await using simulator = await startTestSimulator()
        const call = callTo(simulator, adapter, subject)
        const [one = '', two = ''] = threeBodies(subject)
        const intent = intentAt(subject.path)

        const created = await submit(intent, [one, invalid.body, two], call)
        const ended = await untilEnded(adapter, created, call)
        const rows = await rowsOf(adapter, ended, call)

        const told = new Map(rows.map((row) => [idOf(row), kindOf(row)]))
        expect(ended).toMatchObject({ outcome: 'completed' })
        expect([1, 2, 3].map((job) => told.get(customId(intent.tag, job)))).toEqual([
          'reply:200',
          'reply:400',
          'reply:200',
        ])
      })
    }

    test.each([
      ['corrupt-row', ['reply:200', 'reply:200', 'unreadable']],
      ['missing-row', ['reply:200', 'reply:200']],
      ['duplicate-row', ['reply:200', 'reply:200', 'reply:200', 'reply:200']],
      ['unknown-row', ['reply:200', 'reply:200', 'reply:200']],
    ] as const)('reads on past a %s', async (kind, expected) => {
      await using simulator = await startTestSimulator()
      const call = callTo(simulator, adapter, subject)
      const intent = intentAt(subject.path)

      const created = await submit(intent, threeBodies(subject), call)
      const ended = await untilEnded(adapter, created, call)
      simulator.fault({ kind, times: 1 })
      const rows = await rowsOf(adapter, ended, call)

      const strangers = rows.filter((row) => row.kind !== 'unreadable' && parseCustomId(idOf(row))?.tag !== intent.tag)
      const ours = rows.filter((row) => !strangers.includes(row))
      expect(ours.map(kindOf).sort()).toEqual(expected)
      expect(strangers).toHaveLength(kind === 'unknown-row' ? 1 : 0)
      expect(new Set(ours.map(idOf)).size).toBe(kind === 'missing-row' ? 2 : 3)
    })

    test('tells more rows than fit one page', async () => {
      await using simulator = await startTestSimulator()
      const call = callTo(simulator, adapter, subject)
      const bodies = Array.from({ length: 1200 }, (_, index) => JSON.stringify(subject.bodyFor(`prompt ${index}`)))
      const intent = intentAt(subject.path)

      const created = await submit(intent, bodies, call)
      const ended = await untilEnded(adapter, created, call)
      const rows = await rowsOf(adapter, ended, call)

      expect(new Set(rows.map(idOf)).size).toBe(1200)
      expect(new Set(rows.map(kindOf))).toEqual(new Set(['reply:200']))
    })

    test('finds its batch, over any number of pages, and no other', async () => {
      await using simulator = await startTestSimulator({ batchMs: 1e9 })
      const call = callTo(simulator, adapter, subject)
      const wanted = intentAt(subject.path, { metadata: { team: 'blue' }, jobs: 2 })
      const [body = ''] = threeBodies(subject)
      const { intent, state: created } = await submitTraced(adapter, wanted, [body, body], call)
      // The others share one upload: it is not the wanted one's.
      const decoy = intentAt(subject.path)
      const input = inputOf(adapter, decoy, [body])
      const upload = await adapter.upload?.(decoy, input, call)
      await inGroups(MORE_THAN_A_PAGE, async () => {
        await adapter.create(intentAt(subject.path, { jobs: 1 }), upload, async () => input, call)
      })

      const ours = await adapter.find(intent, call)
      const other = await adapter.find(intentAt(subject.path, { jobs: 3 }), call)

      expect(ours.kind).toBe(found)
      expect(ours.kind === 'none' ? [] : ours.states.map(({ handle }) => handle.id)).toEqual([created.handle.id])
      expect(other).toEqual({ kind: 'none' })
    })

    test('does not find the batch of another account', async () => {
      await using simulator = await startTestSimulator()
      const bodies = threeBodies(subject)
      const wanted = intentAt(subject.path, { jobs: bodies.length })
      const { intent } = await submitTraced(adapter, wanted, bodies, callTo(simulator, adapter, subject))

      expect(await adapter.find(intent, callTo(simulator, adapter, subject, { key: 'sk-other' }))).toEqual({
        kind: 'none',
      })
    })

    if (adapter.list) {
      test('lists the batches that carry a tag of ours, the newest first', async () => {
        await using simulator = await startTestSimulator({ time: 'virtual', autoAdvance: true, batchMs: 3000 })
        const call = callTo(simulator, adapter, subject)
        const [body = ''] = threeBodies(subject)
        const older = intentAt(subject.path)
        const newer = intentAt(subject.path)
        const states = [await submit(older, [body], call)]
        simulator.advance(2 * 24 * 60 * 60_000)
        states.push(await submit(newer, [body], call))

        const listed = []
        for await (const batch of adapter.list?.(call) ?? []) listed.push(batch)

        expect(listed.map(({ tag }) => tag)).toEqual([newer.tag, older.tag])
        expect(listed.map(({ state }) => state.handle.id)).toEqual(states.toReversed().map(({ handle }) => handle.id))
        expect(listed[0]?.createdAt).toBeGreaterThan(listed[1]?.createdAt ?? Number.POSITIVE_INFINITY)
      })
    }

    if (adapter.finished) {
      test('hands out rows of a batch that still runs, each look going on where the last one ended', async () => {
        await using simulator = await startTestSimulator({ batchMs: 40_000, autoAdvance: false })
        const call = callTo(simulator, adapter, subject)
        const bodies = Array.from({ length: 20 }, (_, index) => JSON.stringify(subject.bodyFor(`prompt ${index}`)))
        const intent = intentAt(subject.path)
        let [state] = [await submit(intent, bodies, call)]
        const early = new Map<string, string>()
        const seen: number[] = []
        let since: Parameters<NonNullable<typeof adapter.finished>>[1]

        for (let look = 0; look < 40 && state.phase === 'running'; look += 1) {
          simulator.advance(2000)
          state = (await adapter.poll([state.handle], call))[0] ?? state
          if (state.phase !== 'running' || state.partial !== true) continue
          let count = 0
          for await (const found of adapter.finished?.(state.handle, since, call) ?? []) {
            since = JSON.parse(JSON.stringify(found.since)) as typeof since // survives a restart
            count += found.rows.length
            for (const row of found.rows) early.set(idOf(row), kindOf(row))
          }
          seen.push(count)
        }
        const rows = await rowsOf(adapter, state, call)

        expect(state).toMatchObject({ phase: 'ended', outcome: 'completed' })
        expect(new Set(rows.map(idOf)).size).toBe(20)
        expect(early.size).toBeGreaterThan(4)
        expect(new Set(early.values())).toEqual(new Set(['reply:200']))
        // No look begins from the first row again.
        expect(seen.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(early.size + seen.length)
      })
    }

    test('asks about a few batches one by one, and about many in fewer calls than there are', async () => {
      await using simulator = await startTestSimulator({ batchMs: 1e9 })
      const call = callTo(simulator, adapter, subject)
      const [body = ''] = threeBodies(subject)
      const states: BatchState[] = []
      await inGroups(30, async () => {
        states.push(await submit(intentAt(subject.path), [body], call))
      })
      const handles = states.map(({ handle }) => handle)
      const callsOf = (): number => simulator.ledger().calls.poll + simulator.ledger().calls.list

      const callsBefore = callsOf()
      const few = await adapter.poll(handles.slice(0, 3), call)
      const callsForFew = callsOf() - callsBefore
      const many = await adapter.poll(handles, call)

      expect(few.map(({ handle }) => handle.id).sort()).toEqual(
        handles
          .slice(0, 3)
          .map(({ id }) => id)
          .sort(),
      )
      expect(many.map(({ handle }) => handle.id).sort()).toEqual(handles.map(({ id }) => id).sort())
      expect(callsForFew).toBeLessThanOrEqual(3)
      expect(callsOf() - callsBefore - callsForFew).toBeLessThan(subject.pollsOneByOne ? 31 : 30)
    })

    test('leaves out a batch the provider does not know, and tells of the others', async () => {
      await using simulator = await startTestSimulator()
      const call = callTo(simulator, adapter, subject)
      const created = await submit(intentAt(subject.path), threeBodies(subject), call)
      const unknown = Array.from({ length: 9 }, (_, index) => ({ id: unknownBatch(index) }))

      for (const strangers of [unknown.slice(0, 1), unknown]) {
        const states = await adapter.poll([created.handle, ...strangers], call)

        expect(states.map(({ handle }) => handle.id)).toEqual([created.handle.id])
      }
      await expect(adapter.poll(unknown.slice(0, 2), call)).rejects.toMatchObject({ status: 404 })
    })

    test('keeps the query of a base URL in every call', async () => {
      await using simulator = await startTestSimulator({ batchMs: 300 })
      const seen: string[] = []
      const call = callTo(simulator, adapter, subject, { query: '?tenant=7&x=%2F', seen })

      const wanted = intentAt(subject.path, { jobs: 3 })
      const { intent, state: created } = await submitTraced(adapter, wanted, threeBodies(subject), call)
      await adapter.find(intent, call)
      await adapter.cancel(created.handle, call)
      const ended = await untilEnded(adapter, created, call)
      await rowsOf(adapter, ended, call)
      await adapter.release?.(ended.handle, call)

      expect(seen.length).toBeGreaterThanOrEqual(4)
      for (const url of seen) {
        expect(new URL(url).searchParams.get('tenant')).toBe('7')
        expect(new URL(url).searchParams.get('x')).toBe('/')
      }
    })

    if (adapter.release) {
      test('removes its upload, and nothing else', async () => {
        await using simulator = await startTestSimulator()
        const call = callTo(simulator, adapter, subject)
        const path = subject.uploadPath ?? subject.path
        const body = JSON.stringify(subject.uploadPath === undefined ? subject.bodyFor('one') : subject.requests[path])
        const created = await submit(intentAt(path), [body, body, body], call)
        const ended = await untilEnded(adapter, created, call)

        await adapter.release?.(ended.handle, call)

        expect(await rowsOf(adapter, ended, call)).toHaveLength(3)
        expect(simulator.ledger().calls.delete).toBe(1)
      })
    }
  })

  describe('reads replies leniently', () => {
    test('a create reply that cannot be read is no refusal: it leaves open what happened', async () => {
      for (const body of ['', '<html>', '{}', '[]', 'null', '{"id":""}', '{"id":7}']) {
        const call = scriptedCall(() => new Response(body))
        const intent = intentFor(adapter)
        const input = inputOf(adapter, intent, ['{}'])

        await expect(
          adapter.create(intent, subject.upload ?? { fileId: 'file-1' }, async () => input, call),
        ).rejects.toMatchObject({ name: 'NetworkError' })
        expect(call.requests).toHaveLength(1)
      }
    })

    const stateReply =
      'stateReply' in subject
        ? subject.stateReply
        : (status: unknown) => ({ ...fixtureJson(adapter.name, 'create-reply.json'), status })

    if (stateReply) {
      test('a status nobody has heard of means still running', async () => {
        for (const status of ['paused', 'COMPLETING', '', null, 7]) {
          const call = scriptedCall(() => new Response(JSON.stringify(stateReply(status))))

          const [state] = await adapter.poll([{ id: 'batch_B1' }], call)

          expect(state).toMatchObject({ phase: 'running' })
        }
      })
    }

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

/** A row that passes upload and create, and fails the batch. */
const REFUSED_LATER: Invalid = { body: '{"stream":true}', by: 'batch', line: 2 }

/** Batches a list takes several pages for. */
const MORE_THAN_A_PAGE = 120

const NO_REPLY = { body: 'null', json: undefined, requestId: undefined }

function readOpenaiLine(line: unknown): { customId: unknown; body: unknown } {
  const { custom_id: id, body } = line as { custom_id: unknown; body: unknown } // our own line
  return { customId: id, body }
}

interface CallOptions {
  readonly key?: string
  readonly query?: string
  /** Takes down every URL. */
  readonly seen?: string[]
}

/** A call over real HTTP to the base URL that an SDK's own request would lead to. */
function callTo(simulator: Simulator, adapter: ProviderAdapter, subject: Subject, options: CallOptions = {}): Call {
  const { key = 'sk-test', query = '', seen = [] } = options
  const configured = simulator.baseUrl(subject.name)
  const match = createMatch([adapter], { [adapter.name]: [configured] })
  const target = match({ method: 'POST', url: configured + (adapter.prefixes?.[0] ?? '') + subject.path })
  if (!target) throw new Error(`${configured} is no base URL of ${adapter.name}`)
  const caller = new Caller({
    fetch: (url, init) => {
      seen.push(url)
      return fetch(url, init)
    },
    now: Date.now,
    stopping: new AbortController().signal,
  })
  const headers = subject.keyHeaders?.(key) ?? [['authorization', `Bearer ${key}`] as const]
  return caller.line({ baseUrl: target.baseUrl, query, headers })
}

/** Submits, and gives the intent as the store would hold it before the create: that is all a look-up has. */
async function submitTraced(
  adapter: ProviderAdapter,
  wanted: Intent,
  bodies: readonly string[],
  call: Call,
): Promise<{ readonly intent: Intent; readonly state: BatchState }> {
  const input = inputOf(adapter, wanted, bodies)
  const upload = await adapter.upload?.(wanted, input, call)
  const intent = { ...wanted, upload, jobs: bodies.length }
  return { intent, state: await adapter.create(intent, upload, async () => input, call) }
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

async function untilEnded(adapter: ProviderAdapter, created: BatchState, call: Call): Promise<BatchState> {
  let { handle } = created
  for (let look = 0; look < 20; look += 1) {
    const [state] = await adapter.poll([handle], call)
    if (state?.phase === 'ended') return state
    if (state) handle = state.handle
  }
  throw new Error('the batch did not end')
}

async function rowsOf(adapter: ProviderAdapter, { handle }: BatchState, call: Call): Promise<JobResult[]> {
  const rows: JobResult[] = []
  for await (const group of adapter.results(handle, call)) rows.push(...group)
  return rows
}

function idOf(row: JobResult): string {
  return row.kind === 'unreadable' ? '' : row.customId
}

/** `reply:200`, `unexecuted:expired`, `unreadable`. */
function kindOf(row: JobResult): string {
  if (row.kind === 'reply') return `reply:${row.status}`
  return row.kind === 'unexecuted' ? `unexecuted:${row.reason}` : row.kind
}
