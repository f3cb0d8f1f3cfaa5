import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { NetworkError, ProviderError } from '../../../src/core/errors.ts'
import { Caller, readEnvelope, reasonOf } from '../../../src/manager/caller.ts'
import { outcome } from '../../support/intercept.ts'

interface TestServer extends AsyncDisposable {
  readonly origin: string
  readonly requests: IncomingMessage[]
}

async function serverThat(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // TCP
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const NOW = Date.UTC(2026, 0, 1)

function callTo(origin: string, { stopping = new AbortController().signal, query = '' } = {}) {
  const caller = new Caller({ fetch, now: () => NOW, stopping })
  return caller.line({
    baseUrl: `${origin}/v1`,
    query,
    headers: [
      ['authorization', 'Bearer sk-secret'],
      ['openai-organization', 'org-secret'],
    ],
  })
}

function redirectTo(location: string, status = 302): (request: IncomingMessage, response: ServerResponse) => void {
  return (_, response) => response.writeHead(status, { location }).end()
}

describe('a redirect', () => {
  test('of a download to another origin shows it no header of the caller’s, not even after further redirects there', async () => {
    await using storage = await serverThat((request, response) => {
      if (request.url === '/file') response.writeHead(302, { location: '/moved' }).end()
      else response.end('content')
    })
    await using provider = await serverThat(redirectTo(`${storage.origin}/file`))

    const response = await callTo(provider.origin).send({ method: 'GET', path: '/files/1/content' })

    expect(await response.text()).toBe('content')
    expect(provider.requests[0]?.headers['authorization']).toBe('Bearer sk-secret')
    expect(storage.requests.map(({ url }) => url)).toEqual(['/file', '/moved'])
    for (const { headers } of storage.requests) {
      expect(headers['authorization']).toBeUndefined()
      expect(headers['openai-organization']).toBeUndefined()
    }
  })

  test('that leads away and back does not bring the key back', async () => {
    const origins = { provider: '' }
    await using elsewhere = await serverThat((_, response) =>
      response.writeHead(302, { location: `${origins.provider}/open` }).end(),
    )
    await using provider = await serverThat((request, response) => {
      if (request.url === '/open') response.end('content')
      else response.writeHead(302, { location: elsewhere.origin }).end()
    })
    origins.provider = provider.origin

    await callTo(provider.origin).send({ method: 'GET', path: '/files/1/content' })

    expect(provider.requests.map(({ headers }) => headers['authorization'])).toEqual(['Bearer sk-secret', undefined])
  })

  test('within the origin is followed as whoever called', async () => {
    await using provider = await serverThat((request, response) => {
      if (request.url === '/v1/new') response.end('{}')
      else response.writeHead(307, { location: '/v1/new' }).end()
    })

    await callTo(provider.origin).send({ method: 'GET', path: '/batches/1' })

    expect(provider.requests[1]?.headers['authorization']).toBe('Bearer sk-secret')
  })

  test.each([301, 302, 303, 307, 308])(
    'of a POST (%i) is a refusal: nothing is sent twice, or elsewhere',
    async (status) => {
      await using elsewhere = await serverThat((_, response) => response.end('{}'))
      await using provider = await serverThat(redirectTo(elsewhere.origin, status))

      const sent = await outcome(callTo(provider.origin).send({ method: 'POST', path: '/batches', body: '{}' }))

      expect(sent).toMatchObject({ error: { name: 'ProviderError', status } })
      expect(provider.requests).toHaveLength(1)
      expect(elsewhere.requests).toHaveLength(0)
    },
  )

  test('that never ends, does', async () => {
    await using provider = await serverThat(redirectTo('/v1/again'))

    const sent = await outcome(callTo(provider.origin).send({ method: 'GET', path: '/batches' }))

    expect(sent).toMatchObject({ error: { name: 'ProviderError', status: 302 } })
    expect(provider.requests).toHaveLength(6)
  })
})

describe('Retry-After', () => {
  test.each([
    [{ 'retry-after': '30' }, 30_000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after': new Date(NOW + 90_000).toUTCString() }, 90_000],
    [{ 'retry-after': new Date(NOW - 90_000).toUTCString() }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': 'Infinity' }, 3_600_000],
    [{ 'retry-after': '999999999' }, 3_600_000],
    [{ 'retry-after-ms': '250', 'retry-after': '30' }, 250],
    [{ 'retry-after-ms': 'x', 'retry-after': '30' }, 30_000],
    [{ 'retry-after-ms': '', 'retry-after': '30' }, 30_000],
    [{}, undefined],
  ])('%o is %s ms', async (headers, expected) => {
    await using provider = await serverThat((_, response) => response.writeHead(429, headers).end())

    const sent = await outcome(callTo(provider.origin).send({ method: 'GET', path: '/batches' }))

    expect(sent).toMatchObject({ error: { retryAfterMs: expected } })
  })
})

describe('a call', () => {
  test('is made once, whatever becomes of it', async () => {
    for (const status of [400, 408, 429, 500, 503]) {
      await using provider = await serverThat((_, response) => response.writeHead(status).end())

      const sent = await outcome(callTo(provider.origin).send({ method: 'POST', path: '/batches', body: '{}' }))

      expect(sent).toMatchObject({ error: { name: 'ProviderError', status } })
      expect(provider.requests).toHaveLength(1)
    }
  })

  test('without an answer is a NetworkError that says why, and shows no key', async () => {
    await using provider = await serverThat((request) => request.socket.resetAndDestroy())

    const sent = await outcome(callTo(provider.origin).send({ method: 'GET', path: '/batches' }))

    const error = 'error' in sent ? sent.error : undefined
    expect(error).toBeInstanceOf(NetworkError)
    expect(String(error)).toMatch(/GET \/batches: .+/)
    expect(String(error)).not.toContain('sk-secret')
  })

  test('that bills leaves once, with its write-ahead in the same turn', async () => {
    await using provider = await serverThat((_, response) => response.end('{}'))
    const written: string[] = []
    const call = callTo(provider.origin).once(() => void written.push('written'))

    const first = await outcome(call.send({ method: 'POST', path: '/batches', body: '{}' }))
    const second = await outcome(call.send({ method: 'POST', path: '/batches', body: '{}' }))

    expect(first).toHaveProperty('value')
    expect(second).toHaveProperty('error')
    expect(written).toEqual(['written'])
    expect(provider.requests).toHaveLength(1)
  })

  test('that bills does not leave when its write-ahead fails', async () => {
    await using provider = await serverThat((_, response) => response.end('{}'))
    const call = callTo(provider.origin).once(() => {
      throw new Error('not ours any more')
    })

    const sent = await outcome(call.send({ method: 'POST', path: '/batches', body: '{}' }))

    expect(sent).toMatchObject({ error: { message: 'not ours any more' } })
    expect(provider.requests).toHaveLength(0)
  })

  test('to one origin is one of eight at once at most', async () => {
    const waiting: ServerResponse[] = []
    let most = 0
    await using provider = await serverThat((_, response) => {
      waiting.push(response)
      most = Math.max(most, waiting.length)
      setImmediate(() => {
        waiting.splice(waiting.indexOf(response), 1)
        response.end('{}')
      })
    })
    const call = callTo(provider.origin)

    await Promise.all(
      Array.from({ length: 60 }, async () => (await call.send({ method: 'GET', path: '/batches' })).text()),
    )

    expect(provider.requests).toHaveLength(60)
    expect(most).toBeLessThanOrEqual(8)
  })

  test('is cut short when the scope stops, unless it bills: that one has to be heard', async () => {
    const stopping = new AbortController()
    const answered: ServerResponse[] = []
    await using provider = await serverThat((_, response) => {
      answered.push(response)
      if (answered.length < 2) return
      stopping.abort()
      for (const each of answered) each.end('{}')
    })
    const call = callTo(provider.origin, { stopping: stopping.signal })

    const poll = outcome(call.send({ method: 'GET', path: '/batches/1' }))
    const create = outcome(call.once(() => {}).send({ method: 'POST', path: '/batches', body: '{}' }))

    expect(await poll).toMatchObject({ error: { name: 'NetworkError' } })
    expect(await create).toHaveProperty('value')
  })
})

describe('an absolute URL that a reply has named', () => {
  test('on the base URL’s own origin gets what every call of ours carries', async () => {
    await using provider = await serverThat((_, response) => response.end('{}'))
    const call = callTo(provider.origin, { query: '?tenant=7' })

    await call.send({ method: 'GET', path: `${provider.origin}/elsewhere/results?part=2` })

    expect(provider.requests[0]?.url).toBe('/elsewhere/results?part=2&tenant=7')
    expect(provider.requests[0]?.headers['authorization']).toBe('Bearer sk-secret')
  })

  test('anywhere else gets neither the caller’s headers nor its query', async () => {
    await using storage = await serverThat((_, response) => response.end('{}'))
    await using provider = await serverThat((_, response) => response.end('{}'))
    const call = callTo(provider.origin, { query: '?key=secret' })

    await call.send({
      method: 'POST',
      path: `${storage.origin}/upload?signature=s`,
      headers: { 'x-part': '1' },
      body: 'x',
    })

    const [request] = storage.requests
    expect(request?.url).toBe('/upload?signature=s')
    expect(request?.headers['x-part']).toBe('1')
    expect(request?.headers['authorization']).toBeUndefined()
    expect(request?.headers['openai-organization']).toBeUndefined()
  })

  test('keeps its query, which may be a signature, out of what is said of its failure', async () => {
    await using storage = await serverThat((_, response) => response.writeHead(503).end())

    const failure = await outcome(
      callTo('http://127.0.0.1:9').send({ method: 'GET', path: `${storage.origin}/results?signature=s` }),
    )

    expect(failure).toMatchObject({ error: { status: 503, message: 'GET /results: HTTP 503' } })
  })
})

test('a parameter with several values is given several times', async () => {
  await using provider = await serverThat((_, response) => response.end('{}'))

  await callTo(provider.origin).send({ method: 'GET', path: '/batches', query: { id: ['a', 'b'], limit: '2' } })

  expect(provider.requests[0]?.url).toBe('/v1/batches?id=a&id=b&limit=2')
})

test.each([
  ['Line 3: no model', 'Line 3: no model'],
  ['<html>gone</html>', 'GET /batches: HTTP 400'],
  ['', 'GET /batches: HTTP 400'],
  ['x'.repeat(5000), 'GET /batches: HTTP 400'],
])('a refusal in plain text is told in its own words, and no page is: %.20s', async (body, message) => {
  await using provider = await serverThat((_, response) => response.writeHead(400).end(body))

  const failure = await outcome(callTo(provider.origin).send({ method: 'GET', path: '/batches' }))

  expect(failure).toMatchObject({ error: { message } })
})

describe('an error envelope', () => {
  test.each([
    ['{"error":{"code":"a","type":"b","message":"c"}}', { code: 'a', message: 'c' }],
    ['{"error":{"code":null,"type":"b","message":"c"}}', { code: 'b', message: 'c' }],
    ['{"error":{"code":400,"message":"c"}}', { code: undefined, message: 'c' }],
    ['{"error":"c"}', { code: undefined, message: 'c' }],
    ['{"error":null}', { code: undefined, message: undefined }],
    ['{"error":"c","code":"a"}', { code: 'a', message: 'c' }],
    ['{"error":{"code":400,"message":"c","status":"b"}}', { code: 'b', message: 'c' }],
    [
      '{"error":{"code":400,"message":"c","status":"b","details":[{"@type":"x"},{"reason":"a"}]}}',
      { code: 'a', message: 'c' },
    ],
    ['{"error":{"type":"b","message":"c","details":{"error_code":"a"}}}', { code: 'a', message: 'c' }],
    ['{"error":{"type":"b","message":"c","details":null}}', { code: 'b', message: 'c' }],
    ['{"object":"error","message":"c","type":"b","code":null}', { code: 'b', message: 'c' }],
    ['{"message":"c"}', { code: undefined, message: 'c' }],
    ['<html>', { code: undefined, message: undefined }],
    ['', { code: undefined, message: undefined }],
    ['[]', { code: undefined, message: undefined }],
    ['null', { code: undefined, message: undefined }],
  ])('%s is read', (body, expected) => {
    expect(readEnvelope(body)).toEqual(expected)
  })

  test('parsed before is read as well', () => {
    expect(readEnvelope({ error: { code: 'a' } })).toEqual({ code: 'a', message: undefined })
  })
})

test('the reason of a failure is its innermost cause', () => {
  const inner = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

  expect(reasonOf(new TypeError('fetch failed', { cause: inner }))).toBe('connect ECONNREFUSED')
  expect(reasonOf(new Error('', { cause: Object.assign(new Error(), { code: 'EPIPE' }) }))).toBe('EPIPE')
  expect(reasonOf('text')).toBe('unknown failure')
  expect(reasonOf(new ProviderError(500, undefined, '', undefined, 'said so'))).toBe('said so')
})
