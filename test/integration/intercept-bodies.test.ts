import { Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { InterceptionScope } from '../../src/intercept/scope.ts'
import { type EchoServer, echoServer, type FakeBatcher, fakeBatcher } from '../support/intercept.ts'

// What a client holds that was made before offpeak was imported.
const capturedFetch = globalThis.fetch
const { openScope } = await import('../../src/intercept/scope.ts')
const undici = await import('undici')

const JSON_TEXT = JSON.stringify({ model: 'm', input: 'Grüße, 世界 🌍', size: 'x'.repeat(300) })
const STREAMING = JSON.stringify({ model: 'm', input: 'Grüße 🌍', stream: true })

let server: EchoServer
let batcher: FakeBatcher
let scope: InterceptionScope

beforeAll(async () => {
  server = await echoServer()
  batcher = fakeBatcher(`${server.origin}/v1`, { answer: (request) => ({ body: JSON.stringify(request) }) })
  scope = openScope(batcher, { kind: 'context', timeouts: 'ignore' })
})

afterAll(async () => {
  scope.close()
  await server[Symbol.asyncDispose]()
})

type Send = (text: string) => Promise<{ json(): Promise<unknown> }>

async function* generate(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
}

const url = (): string => `${server.origin}/v1/chat?tenant=7`
const post = (body: unknown, more: object = {}): RequestInit =>
  ({ method: 'POST', headers: { 'content-type': 'application/json', 'x-mark': 'yes' }, body, ...more }) as RequestInit
const encoded = (body: Uint8Array, encoding: string): RequestInit =>
  post(body, { headers: { 'content-encoding': encoding, 'x-mark': 'yes' } })

/** Ways in which a program may write a body for fetch. */
const FETCH_SHAPES: Record<string, (text: string) => [string | URL | Request, RequestInit?]> = {
  'a string': (text) => [url(), post(text)],
  'a string, to a URL object': (text) => [new URL(url()), post(text)],
  'a string, in lower-case method': (text) => [url(), post(text, { method: 'post' })],
  'a string, with Headers': (text) => [url(), post(text, { headers: new Headers({ 'X-Mark': 'yes' }) })],
  'a string, with header pairs': (text) => [url(), post(text, { headers: [['X-Mark', 'yes']] })],
  'a Uint8Array': (text) => [url(), post(new TextEncoder().encode(text))],
  'a Buffer with an offset': (text) => [url(), post(Buffer.from(`##${text}##`).subarray(2, -2))],
  'an ArrayBuffer': (text) => [url(), post(new TextEncoder().encode(text).buffer)],
  'a DataView': (text) => [url(), post(new DataView(new TextEncoder().encode(text).buffer))],
  'a Blob': (text) => [url(), post(new Blob([text], { type: 'application/json' }), { headers: { 'x-mark': 'yes' } })],
  'a ReadableStream': (text) => [url(), post(new Blob([text]).stream(), { duplex: 'half' })],
  'an async generator': (text) => [url(), post(generate(text), { duplex: 'half' })],
  'a Node stream': (text) => [url(), post(Readable.from(generate(text)), { duplex: 'half' })],
  'a Request': (text) => [new Request(url(), post(text))],
  'a Request of a stream': (text) => [new Request(url(), post(new Blob([text]).stream(), { duplex: 'half' }))],
  'a Request with an init of its own': (text) => [new Request(url(), post('{"not":"this"}')), post(text)],
  'a URL with a Request for its init': (text) => [url(), new Request(url(), post(text))],
  gzip: (text) => [url(), encoded(gzipSync(text), 'gzip')],
  deflate: (text) => [url(), encoded(deflateSync(text), 'deflate')],
  br: (text) => [url(), encoded(brotliCompressSync(text), 'br')],
  zstd: (text) => [url(), encoded(zstdCompressSync(text), 'zstd')],
  'gzip of br, in a stream': (text) => [
    url(),
    {
      ...encoded(gzipSync(brotliCompressSync(text)), 'br, gzip'),
      body: new Blob([gzipSync(brotliCompressSync(text))]).stream(),
      duplex: 'half',
    },
  ],
  'two megabytes': (text) => [url(), post(JSON.stringify({ ...JSON.parse(text), large: 'y'.repeat(2_000_000) }))],
}

const REQUEST_SHAPES: Record<string, (text: string) => object> = {
  'a string': (text) => ({ body: text }),
  'a Buffer': (text) => ({ body: Buffer.from(text) }),
  'a Node stream': (text) => ({ body: Readable.from(generate(text)) }),
  'an async generator': (text) => ({ body: generate(text) }),
  'a plain iterable': (text) => ({ body: [Buffer.from(text.slice(0, 9)), Buffer.from(text.slice(9))] }),
  gzip: (text) => ({ body: gzipSync(text), headers: { 'content-encoding': 'gzip', 'x-mark': 'yes' } }),
  'headers in turn': (text) => ({ body: text, headers: ['X-Mark', 'yes'] }),
}

const clients: Record<string, Record<string, Send>> = {
  'the global fetch': sends(FETCH_SHAPES, (shape) => (text) => fetch(...shape(text))),
  'a fetch captured before import': sends(FETCH_SHAPES, (shape) => (text) => capturedFetch(...shape(text))),
  'scope.fetch': sends(FETCH_SHAPES, (shape) => (text) => scope.fetch(...shape(text))),
  'undici.request': sends(REQUEST_SHAPES, (shape) => async (text) => {
    const { body } = await undici.request(url(), { method: 'POST', headers: { 'x-mark': 'yes' }, ...shape(text) })
    return body
  }),
}

function sends<S>(shapes: Record<string, S>, send: (shape: S) => Send): Record<string, Send> {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, send(shape)]))
}

describe.each(Object.entries(clients))('%s', (_client, shapes) => {
  test.each(Object.entries(shapes))('a body written as %s is captured as its own text', async (_shape, send) => {
    const before = server.received.length

    const response = await scope.run(() => send(JSON_TEXT))
    const request = (await response.json()) as {
      method: string
      url: string
      headers: string[][]
      body: string
      json: object
    }

    expect(request.json).toMatchObject(JSON.parse(JSON_TEXT))
    expect(JSON.parse(request.body)).toEqual(request.json)
    expect(request.method).toBe('POST')
    expect(request.url).toBe(url())
    expect(request.headers).toContainEqual(['x-mark', 'yes'])
    expect(request.headers.map(([name]) => name)).not.toContain('content-encoding')
    expect(server.received.length).toBe(before)
  })

  test.each(Object.entries(shapes))(
    'a body written as %s that asks for a stream arrives as it was sent',
    async (_shape, send) => {
      await send(STREAMING)
      const outside = server.received.at(-1)
      batcher.passed.length = 0

      const response = await scope.run(() => send(STREAMING))
      const inside = server.received.at(-1)

      expect(await response.json()).toEqual({ from: 'server' })
      expect(inside).not.toBe(outside)
      expect(inside?.body.equals(outside?.body ?? Buffer.alloc(0))).toBe(true)
      expect(withoutLength(inside?.headers)).toEqual(withoutLength(outside?.headers))
      expect(batcher.passed).toEqual([{ reason: 'streaming', detail: 'it asks for a stream' }])
    },
  )
})

/** A drained stream is sent with its length instead of in chunks: all that may differ. */
function withoutLength(headers: object | undefined): object {
  const { 'content-length': _length, 'transfer-encoding': _coding, ...rest } = headers as Record<string, unknown>
  return rest
}

describe.each([
  ['the global fetch', (init: RequestInit) => fetch(url(), init)],
  ['a fetch captured before import', (init: RequestInit) => capturedFetch(url(), init)],
])('what %s cannot batch goes through as it came, and is told', (_client, send) => {
  const form = new FormData()
  form.set('file', new Blob(['contents']), 'a.txt')
  const cases: [string, () => RequestInit, string, string][] = [
    ['multipart', () => ({ method: 'POST', body: form }), 'not-json', 'its body is multipart'],
    ['a form', () => ({ method: 'POST', body: new URLSearchParams('a=1') }), 'not-json', ''],
    ['text that is not JSON', () => ({ method: 'POST', body: 'hello' }), 'not-json', 'its body is not JSON'],
    [
      'JSON that is no object',
      () => ({ method: 'POST', body: '[1]' }),
      'not-json',
      'the JSON of its body is not an object',
    ],
    [
      'invalid UTF-8',
      () => ({ method: 'POST', body: Buffer.from('7b2261223a22ff227d', 'hex') }),
      'not-json',
      'its body is not UTF-8',
    ],
    ['no body', () => ({ method: 'POST' }), 'not-json', 'it has no body'],
    [
      'a false encoding',
      () => encoded(Buffer.from('{"a":1}'), 'gzip'),
      'unreadable-body',
      'its body cannot be decoded as gzip',
    ],
    [
      'an unknown encoding',
      () => encoded(Buffer.from('{"a":1}'), 'rot13'),
      'unreadable-body',
      'its body cannot be decoded as rot13',
    ],
  ]

  test.each(cases)('%s', async (_name, init, reason, detail) => {
    await send(init())
    const outside = server.received.at(-1)
    batcher.passed.length = 0

    const response = await scope.run(() => send(init()))
    const inside = server.received.at(-1)

    expect(await response.json()).toEqual({ from: 'server' })
    expect(inside).not.toBe(outside)
    expect(sameBody(inside?.body)).toBe(sameBody(outside?.body))
    expect(batcher.passed).toEqual([{ reason, detail: expect.stringContaining(detail) as string }])
  })
})

/** Boundaries of multipart bodies are random. */
function sameBody(body: Buffer | undefined): string | undefined {
  return body?.toString('latin1').replaceAll(/formdata-undici-\d+/g, 'boundary')
}

test('a body of another kind than the scope admits is drained once and still arrives', async () => {
  const strict = fakeBatcher(`${server.origin}/v1`, { admits: false })
  const refusing = openScope(strict, { kind: 'context', timeouts: 'ignore' })

  const response = await refusing.run(() => fetch(url(), post(generate(JSON_TEXT), { duplex: 'half' })))
  refusing.close()

  expect(await response.json()).toEqual({ from: 'server' })
  expect(server.received.at(-1)?.body.toString()).toBe(JSON_TEXT)
  expect(strict.passed).toEqual([])
})

test('a body that breaks off while it is read fails the call as it would natively', async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('{"a":')
    throw new Error('disk gone')
  }

  const failed = scope.run(() => fetch(url(), post(broken(), { duplex: 'half' })))

  await expect(failed).rejects.toMatchObject({
    name: 'TypeError',
    message: 'fetch failed',
    cause: { message: 'disk gone' },
  })
})

describe('a call that is wrong in itself is refused in the words of the native call', () => {
  const used = async (): Promise<Request> => {
    const request = new Request(url(), post('{"a":1}'))
    await request.text()
    return request
  }
  const locked = (): ReadableStream => {
    const stream = new Blob(['{"a":1}']).stream()
    stream.getReader()
    return stream
  }
  const cases: [string, () => Promise<Parameters<typeof fetch>>][] = [
    ['a used Request', async () => [await used()]],
    ['a locked stream', async () => [url(), post(locked(), { duplex: 'half' })]],
    ['a stream without duplex', async () => [url(), post(new Blob(['{"a":1}']).stream())]],
    [
      'a header that is no Latin-1',
      async () => [url(), post('{"a":1}', { headers: { authorization: 'Bearer sk-…' } })],
    ],
    ['a header with a line break', async () => [url(), post('{"a":1}', { headers: { 'x-a': 'b\nc: d' } })]],
    ['a header name with a space', async () => [url(), post('{"a":1}', { headers: [['a b', 'c']] })]],
    ['a signal that is none', async () => [url(), post('{"a":1}', { signal: {} })]],
    ['an init that is none', async () => [url(), 'POST' as unknown as RequestInit]],
  ]

  test.each(cases)('%s', async (_name, call) => {
    const native = await capturedFetch(...(await call())).then(String, String)

    const inScope = await scope.run(async () => fetch(...(await call()))).then(String, String)

    expect(inScope).toBe(native)
    expect(native).toMatch(/^TypeError/)
  })
})

test('the Request of a batched call counts as used', async () => {
  const request = new Request(url(), post(JSON_TEXT))

  await scope.run(() => fetch(request))

  expect(request.bodyUsed).toBe(true)
})

test('bytes changed after the call do not change what is batched', async () => {
  const bytes = gzipSync(JSON_TEXT)

  const sent = scope.run(() => fetch(url(), encoded(bytes, 'gzip')))
  bytes.fill(0)

  expect(await (await sent).json()).toMatchObject({ json: JSON.parse(JSON_TEXT) })
})
