import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type * as UndiciTypes from 'undici'
import type { Intercepting, InterceptionScope } from '../../src/intercept/scope.ts'
import { type EchoServer, echoServer, type FakeBatcher, fakeBatcher } from '../support/intercept.ts'

const capturedFetch = globalThis.fetch
const { bypass, INTERCEPTION, openScope } = await import('../../src/intercept/scope.ts')
const { batchInterceptor } = await import('../../src/undici.ts')
const undici = await import('undici')

/** More than any buffer on the way, so that back-pressure has to work. */
const LARGE = JSON.stringify({ from: 'batch', text: '世'.repeat(1_000_000) })

let server: EchoServer
let batcher: FakeBatcher
let scope: InterceptionScope

beforeAll(async () => {
  server = await echoServer()
})

beforeEach(() => {
  batcher = fakeBatcher(`${server.origin}/v1`, {
    answer: () => ({
      status: 429,
      headers: { 'content-type': 'application/json', 'x-should-retry': 'false' },
      body: LARGE,
    }),
  })
  scope = openScope(batcher, { kind: 'context', timeouts: 'ignore' })
})

afterEach(() => scope.close())

afterAll(() => server[Symbol.asyncDispose]())

const url = (): string => `${server.origin}/v1/chat`
const post = { method: 'POST', body: '{"model":"m"}' } as const

describe('an answer arrives whole, with its status and headers,', () => {
  test.each([
    ['at a fetch captured before import', () => capturedFetch(url(), post)],
    ["at undici's own fetch", () => undici.fetch(url(), post)],
  ])('%s', async (_client, send) => {
    const response = await scope.run(() => send())

    expect(response.status).toBe(429)
    expect(response.url).toBe(url())
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(await response.text()).toBe(LARGE)
  })

  test('at undici.request, however slowly it is read', async () => {
    const { statusCode, headers, body } = await scope.run(() => undici.request(url(), post))
    let text = ''
    for await (const chunk of body.setEncoding('utf8')) {
      text += String(chunk)
      await new Promise((resolve) => setImmediate(resolve))
    }

    expect(statusCode).toBe(429)
    expect(headers['x-should-retry']).toBe('false')
    expect(text).toBe(LARGE)
  })

  test('at undici.stream', async () => {
    const chunks: Buffer[] = []
    const sink = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        setImmediate(done)
      },
    })

    await scope.run(() => undici.stream(url(), post, () => sink))

    expect(Buffer.concat(chunks).toString()).toBe(LARGE)
  })
})

describe('an agent composed with the interceptor of a scope', () => {
  let agent: InstanceType<typeof undici.Agent>
  let dispatcher: UndiciTypes.Dispatcher

  beforeEach(() => {
    agent = new undici.Agent()
    // A symbol that was imported dynamically is not unique to the compiler.
    const batch = { [INTERCEPTION]: scope } as unknown as Intercepting
    dispatcher = agent.compose(batchInterceptor(batch))
  })

  afterEach(() => agent.close())

  const status = (answer: Promise<{ statusCode: number }>): Promise<number> =>
    answer.then(({ statusCode }) => statusCode)

  test('batches into it in any context', async () => {
    const statuses = [
      await status(undici.request(url(), { ...post, dispatcher })),
      await scope.run(() => status(undici.request(url(), { ...post, dispatcher }))),
      (await undici.fetch(url(), { ...post, dispatcher })).status,
    ]

    expect(statuses).toEqual([429, 429, 429])
    expect(batcher.passed).toEqual([])
  })

  test('batches what the global fetch hands it, unreported', async () => {
    // The types of Node's own undici and of the package do not know each other.
    const init = { ...post, dispatcher } as unknown as RequestInit

    const response = await fetch(url(), init)

    expect(response.status).toBe(429)
    expect(batcher.passed).toEqual([])
  })

  test('sends on what is not ours, what cannot be batched, and our own traffic', async () => {
    const statuses = [
      await status(undici.request(`${server.origin}/other`, { ...post, dispatcher })),
      await status(undici.request(url(), { ...post, body: '{"stream":true}', dispatcher })),
      await bypass(() => status(undici.request(url(), { ...post, dispatcher }))),
    ]

    expect(statuses).toEqual([200, 200, 200])
    expect(batcher.passed.map(({ reason }) => reason)).toEqual(['streaming'])
  })
})

test('a body that breaks off while it is read fails an undici.request as it would natively', async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('{"a":')
    throw new Error('disk gone')
  }

  const failed = scope.run(() => undici.request(url(), { method: 'POST', body: broken() as never }))

  await expect(failed).rejects.toThrow('disk gone')
})
