import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Reply } from '../../src/core/reply.ts'
import { toResponse } from '../../src/intercept/response.ts'
import { outcome } from '../support/intercept.ts'

const TEXT = JSON.stringify({ id: 'r1', text: 'Grüße, 世界 🌍', list: [1, 2, { deep: null }] })
const HEADERS = { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'req_1' }

const server = createServer((request, response) => {
  const status = Number(new URL(request.url ?? '', 'http://server').searchParams.get('status'))
  response.writeHead(status, HEADERS)
  response.end(status === 204 ? undefined : TEXT)
})
let origin: string

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function late(status = 200, url = `${origin}/?status=${status}`): Response {
  const reply: Reply = { status, headers: HEADERS, body: status === 204 ? '' : TEXT }
  return toResponse(reply, url)
}

const native = (status = 200): Promise<Response> => fetch(`${origin}/?status=${status}`)

/** What a program may do with a Response; each tells all that can be seen of it. */
const USES: Record<string, (response: Response) => unknown> = {
  'its plain facts': ({ status, ok, statusText, url, redirected, type, bodyUsed }) => [
    status,
    ok,
    statusText,
    url,
    redirected,
    type,
    bodyUsed,
  ],
  'its headers': ({ headers }) => [
    headers.get('Content-Type'),
    headers.get('x-request-id'),
    headers.get('x-none'),
    headers.has('X-Request-Id'),
    headers instanceof Headers,
  ],
  'the same headers and body each time': (response) => [
    response.headers === response.headers,
    response.body === response.body,
  ],
  'what it is': (response) => [response instanceof Response, Object.prototype.toString.call(response)],
  'text()': (response) => response.text(),
  'json()': (response) => response.json(),
  'bytes()': async (response) => Buffer.from(await response.bytes()).toString(),
  'arrayBuffer()': async (response) => {
    const buffer = await response.arrayBuffer()
    return [buffer instanceof ArrayBuffer, buffer.byteLength, Buffer.from(buffer).toString()]
  },
  'blob()': async (response) => {
    const blob = await response.blob()
    return [blob instanceof Blob, blob.size, blob.type, await blob.text()]
  },
  'formData()': (response) => response.formData(),
  'bodyUsed at once after text()': (response) => {
    void response.text()
    return response.bodyUsed
  },
  'text() twice': async (response) => [await response.text(), await response.text()],
  'json() and then text()': async (response) => [await response.json(), await response.text()],
  'text() after formData() failed': async (response) => [
    await outcome(response.formData()).then(() => 'failed'),
    await response.text(),
  ],
  'its body after text()': async (response) => {
    await response.text()
    return [response.bodyUsed, response.body?.locked, response.body instanceof ReadableStream]
  },
  'its body, held before text()': async (response) => {
    const { body } = response
    await response.text()
    return [body === response.body, body?.locked, response.bodyUsed]
  },
  'looking at its body uses nothing': async (response) => [
    response.body?.locked,
    response.bodyUsed,
    await response.text(),
  ],
  'a reader of its body': async (response) => {
    const reader = response.body?.getReader()
    const chunks: Uint8Array[] = []
    for (let next = await reader?.read(); next?.value; next = await reader?.read()) chunks.push(next.value)
    return [Buffer.concat(chunks).toString(), response.bodyUsed]
  },
  'a BYOB reader of its body': async (response) => {
    const reader = response.body?.getReader({ mode: 'byob' })
    const next = await reader?.read(new Uint8Array(4))
    return [Buffer.from(next?.value ?? []).toString(), next?.done]
  },
  'iteration over its body': async (response) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of response.body ?? []) chunks.push(chunk)
    return [Buffer.concat(chunks).toString(), response.bodyUsed]
  },
  'its body through a transform': (response) => {
    const text = response.body?.pipeThrough(new TextDecoderStream())
    return text && Array.fromAsync(text).then((parts) => parts.join(''))
  },
  'a new Response of its body': (response) => new Response(response.body).json(),
  'a new Response like it': async (response) => {
    const copy = new Response(response.body, response)
    return [copy.status, copy.headers.get('x-request-id'), await copy.text(), response.bodyUsed]
  },
  'text() while its body is locked': async (response) => {
    response.body?.getReader()
    return response.text()
  },
  'text() after its body was read in part': async (response) => {
    const reader = response.body?.getReader()
    await reader?.read()
    reader?.releaseLock()
    return [response.bodyUsed, await response.text()]
  },
  'text() after its body was cancelled': async (response) => {
    await response.body?.cancel()
    return [response.bodyUsed, await response.text()]
  },
  'a clone and itself': async (response) => {
    const clone = response.clone()
    const text = await clone.text()
    return [text, response.bodyUsed, clone.bodyUsed, await response.json()]
  },
  'the facts of a clone': (response) => {
    const { status, ok, headers, type } = response.clone()
    return [status, ok, headers.get('x-request-id'), type]
  },
  'a clone after its body was looked at': async (response) => {
    void response.body
    return [await response.clone().text(), await response.text()]
  },
  'a clone of a clone': async (response) => {
    const clone = response.clone()
    return Promise.all([clone.clone().json(), clone.json(), response.json()])
  },
  'a clone after text()': async (response) => {
    await response.text()
    return response.clone().status
  },
  'a clone while its body is locked': (response) => {
    response.body?.getReader()
    return response.clone().status
  },
}

/** Engines of different versions word their errors differently; what kind of error it is counts. */
async function seen(use: (response: Response) => unknown, response: Response): Promise<unknown> {
  const result = await outcome(Promise.resolve(response).then(use))
  return 'error' in result ? String(result.error).replace(/:.*/s, '') : result.value
}

describe.each([200, 400, 204])('with status %i a late Response does as a native one', (status) => {
  test.each(Object.entries(USES))('%s', async (_name, use) => {
    const expected = await seen(use, await native(status))

    const actual = await seen(use, late(status))

    expect(actual).toEqual(expected)
  })
})

describe('the parsed answer', () => {
  const json = { id: 'r1' }
  const reply = (): Reply => ({ status: 200, headers: HEADERS, body: '{"id":"r1"}', json })

  test('is handed out as it is, without parsing', async () => {
    expect(await toResponse(reply(), origin).json()).toBe(json)
  })

  test('belongs to its first reader: others get one of their own', async () => {
    const response = toResponse(reply(), origin)
    const clone = response.clone()

    const [first, second] = [await clone.json(), await response.json()]

    expect(first).toBe(json)
    expect(second).toEqual(json)
    expect(second).not.toBe(json)
  })

  test('is not shared by two callers of one reply', async () => {
    const shared = reply()

    const answers = await Promise.all([toResponse(shared, origin).json(), toResponse(shared, origin).json()])

    expect(answers).toEqual([json, json])
    expect(answers[0]).not.toBe(answers[1])
  })
})

test('a clone keeps the url, which native clones do as well', async () => {
  expect(late(200, 'https://api.example.com/v1').clone().url).toBe('https://api.example.com/v1')
})

test('it can be looked at in a console', () => {
  expect(inspect(late(404))).toContain('status: 404')
})
