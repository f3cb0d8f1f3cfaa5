import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Reply } from '../../src/core/reply.ts'
import type { CapturedRequest, PassReason, RequestHead, Target } from '../../src/core/request.ts'
import type { Batcher } from '../../src/intercept/batcher.ts'

/** What a real server was sent. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface EchoServer extends AsyncDisposable {
  readonly origin: string
  readonly received: Received[]
  /** The next request, once all of it is there. */
  arrival(): Promise<Received>
}

/** A server that keeps what it is sent and answers `{"from":"server"}`; under `/silent` it never answers. */
export async function echoServer(): Promise<EchoServer> {
  const received: Received[] = []
  let arrived = Promise.withResolvers<Received>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const one = { method, url, headers, body: Buffer.concat(chunks) }
      received.push(one)
      arrived.resolve(one)
      arrived = Promise.withResolvers()
      if (url.endsWith('/silent')) return
      response.setHeader('content-type', 'application/json')
      response.end('{"from":"server"}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    received,
    arrival: () => arrived.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A request the fake batcher was handed, and the means to end it. */
export interface Submission {
  readonly request: CapturedRequest
  answer(reply?: Partial<Reply>): void
  fail(error: unknown): void
}

export interface FakeBatcher extends Batcher {
  readonly submissions: Submission[]
  readonly passed: { readonly reason: PassReason; readonly detail: string }[]
  readonly asked: RequestHead[]
  /** The n-th submission, from 0, as soon as it is there. */
  submission(index?: number): Promise<Submission>
}

/** A batcher that takes every POST below a prefix and answers on command, or at once with what `answer` makes of it. */
export function fakeBatcher(
  prefix: string,
  behaviour: { readonly answer?: (request: CapturedRequest) => Partial<Reply>; readonly admits?: boolean } = {},
): FakeBatcher {
  const submissions: Submission[] = []
  const passed: FakeBatcher['passed'] = []
  const asked: RequestHead[] = []
  const awaited = new Map<number, (submission: Submission) => void>()
  return {
    submissions,
    passed,
    asked,
    match(head): Target | undefined {
      asked.push(head)
      if (head.method !== 'POST' || !head.url.startsWith(prefix)) return undefined
      return { provider: 'fake', baseUrl: prefix, query: '', endpoint: head.url.slice(prefix.length) }
    },
    submit(request) {
      if (behaviour.admits === false) return undefined
      if (behaviour.answer) return Promise.resolve(replyWith(behaviour.answer(request)))
      const { promise, resolve, reject } = Promise.withResolvers<Reply>()
      const submission: Submission = { request, answer: (reply = {}) => resolve(replyWith(reply)), fail: reject }
      submissions.push(submission)
      awaited.get(submissions.length - 1)?.(submission)
      return promise
    },
    passedThrough: (_target, reason, detail) => void passed.push({ reason, detail }),
    async submission(index = submissions.length) {
      const there = submissions[index]
      return there ?? new Promise((resolve) => awaited.set(index, resolve))
    },
  }
}

function replyWith(reply: Partial<Reply>): Reply {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: '{"from":"batch"}', ...reply }
}

/** What a promise came to, for tests that look at both ends. */
export async function outcome<T>(promise: Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await promise }
  } catch (error) {
    return { error }
  }
}
