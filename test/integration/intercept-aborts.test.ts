import { getEventListeners } from 'node:events'
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { InterceptionScope } from '../../src/intercept/scope.ts'
import { type EchoServer, echoServer, type FakeBatcher, fakeBatcher, outcome } from '../support/intercept.ts'

const capturedFetch = globalThis.fetch
const { openScope } = await import('../../src/intercept/scope.ts')
const undici = await import('undici')

let server: EchoServer
let scope: InterceptionScope
let batcher: FakeBatcher

beforeAll(async () => {
  server = await echoServer()
})

afterEach(() => scope.close())

afterAll(() => server[Symbol.asyncDispose]())

function open(timeouts: 'ignore' | 'honor' = 'ignore'): void {
  batcher = fakeBatcher(`${server.origin}/v1`)
  scope = openScope(batcher, { kind: 'context', timeouts })
}

type Send = (init: { signal?: AbortSignal; body?: string }, path?: string) => Promise<{ json(): Promise<unknown> }>

const url = (path = '/chat'): string => `${server.origin}/v1${path}`
const post = { method: 'POST', body: '{"model":"m"}' }

const clients: [string, Send][] = [
  ['the global fetch', (init, path) => fetch(url(path), { ...post, ...init })],
  ['the global fetch of a Request', (init, path) => fetch(new Request(url(path), { ...post, ...init }))],
  ['scope.fetch', (init, path) => scope.fetch(url(path), { ...post, ...init })],
  ['a fetch captured before import', (init, path) => capturedFetch(url(path), { ...post, ...init })],
  ['a captured fetch of a Request', (init, path) => capturedFetch(new Request(url(path), { ...post, ...init }))],
  [
    'undici.request',
    (init, path) => undici.request(url(path), { ...post, method: 'POST', ...init }).then(({ body }) => body),
  ],
]

/** Ways of an abort that is a limit on latency: raised by a timer itself. Each resolves when it has been raised. */
const TIMERS: Record<string, (controller: AbortController) => Promise<void>> = {
  setTimeout: (controller) =>
    new Promise((resolve) => {
      setTimeout(() => {
        controller.abort()
        resolve()
      }, 1)
    }),
  setInterval: (controller) =>
    new Promise((resolve) => {
      const timer = setInterval(() => {
        clearInterval(timer)
        controller.abort()
        resolve()
      }, 1)
    }),
}

/** Ways of an abort that is somebody's decision. */
const DECISIONS: Record<string, (controller: AbortController) => Promise<void>> = {
  'at once': async (controller) => controller.abort(),
  'after awaiting a timer': async (controller) => {
    await sleep(1)
    controller.abort()
  },
  'in setImmediate': (controller) =>
    new Promise((resolve) => {
      setImmediate(() => {
        controller.abort()
        resolve()
      })
    }),
  'in a microtask started by a timer': (controller) =>
    new Promise((resolve) => {
      setTimeout(() => {
        queueMicrotask(() => {
          controller.abort()
          resolve()
        })
      }, 1)
    }),
  'when a response arrives': async (controller) => {
    await capturedFetch(`${server.origin}/elsewhere`)
    controller.abort()
  },
}

describe.each(clients)('%s', (_client, send) => {
  test.each(Object.entries(TIMERS))('waits on when its signal is aborted by %s', async (_way, raise) => {
    open()
    const controller = new AbortController()

    const call = scope.run(() => send({ signal: controller.signal }))
    const submission = await batcher.submission(0)
    await raise(controller)
    await immediate()
    submission.answer()
    const answer = await (await call).json()

    expect(controller.signal.aborted).toBe(true)
    expect(answer).toEqual({ from: 'batch' })
    expect(submission.request.cancel).toEqual({ cancelled: false })
  })

  test.each(['alone', 'among others'])('waits on when AbortSignal.timeout aborts it, %s', async (how) => {
    open()
    const timeout = AbortSignal.timeout(5)
    const signal = how === 'alone' ? timeout : AbortSignal.any([new AbortController().signal, timeout])

    const call = scope.run(() => send({ signal }))
    const submission = await batcher.submission(0)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    await immediate()
    submission.answer()

    expect(await (await call).json()).toEqual({ from: 'batch' })
  })

  test.each(Object.entries(DECISIONS))('rejects at once when its signal is aborted %s', async (_way, raise) => {
    open()
    const controller = new AbortController()

    const call = outcome(scope.run(() => send({ signal: controller.signal })))
    const submission = await batcher.submission(0)
    let cancels = 0
    Object.assign(submission.request.cancel ?? {}, { onCancel: () => (cancels += 1) })
    await raise(controller)

    expect(await call).toMatchObject({ error: { name: 'AbortError' } })
    expect(submission.request.cancel?.cancelled).toBe(true)
    expect(cancels).toBe(1)
  })

  test('rejects with the reason its signal was given', async () => {
    open()
    const controller = new AbortController()
    const reason = new Error('changed my mind')

    const call = outcome(scope.run(() => send({ signal: controller.signal })))
    await batcher.submission(0)
    controller.abort(reason)

    expect(await call).toEqual({ error: reason })
  })

  test('rejects when its signal is aborted by a timer that is to be honoured', async () => {
    open('honor')
    const controller = new AbortController()

    const call = outcome(scope.run(() => send({ signal: controller.signal })))
    const submission = await batcher.submission(0)
    await TIMERS['setTimeout']?.(controller)

    expect(await call).toMatchObject({ error: { name: 'AbortError' } })
    expect(submission.request.cancel?.cancelled).toBe(true)
  })

  test('is never submitted when its signal was aborted before, even by a timer', async () => {
    open()
    const controller = new AbortController()
    await TIMERS['setTimeout']?.(controller)
    const before = server.received.length

    const inTimer = new Promise<unknown>((resolve) => {
      setTimeout(() => resolve(outcome(scope.run(() => send({ signal: controller.signal })))), 1)
    })

    expect(await inTimer).toMatchObject({ error: { name: 'AbortError' } })
    expect(batcher.submissions.filter(({ request }) => request.cancel?.cancelled !== true)).toEqual([])
    expect(server.received.length).toBe(before)
  })

  test('passes the failure of its submission on', async () => {
    open()

    const call = outcome(scope.run(() => send({ signal: new AbortController().signal })))
    const submission = await batcher.submission(0)
    submission.fail(new Error('engine broke'))
    const { error } = (await call) as { error: Error }

    // A native fetch wraps what its dispatcher fails with.
    expect([error.message, (error.cause as Error | undefined)?.message]).toContain('engine broke')
  })

  test('ends by a timer when it goes through because it streams', async () => {
    open()
    const controller = new AbortController()
    const arrival = server.arrival()

    const call = outcome(scope.run(() => send({ signal: controller.signal, body: '{"stream":true}' }, '/silent')))
    await arrival
    await TIMERS['setTimeout']?.(controller)

    expect(await call).toMatchObject({ error: { name: 'AbortError' } })
  })
})

test.each(['at once', 'by a timer'])(
  'a clone of a Request follows its signal, aborted %s, as it does outside a scope',
  async (how) => {
    open()
    const follows = async (): Promise<boolean> => {
      const controller = new AbortController()
      const request = new Request(url(), { ...post, signal: controller.signal })
      const clone = request.clone()
      await (how === 'at once' ? controller.abort() : TIMERS['setTimeout']?.(controller))
      await immediate()
      return request.bodyUsed || clone.signal.aborted
    }

    const native = await follows()

    expect(await scope.run(follows)).toBe(native)
  },
)

test('calls that share a signal share one listener, which does not outlive them', async () => {
  open()
  const controller = new AbortController()
  const warnings: string[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', onWarning)

  const calls = Array.from({ length: 100 }, () => scope.run(() => fetch(url(), { ...post, signal: controller.signal })))
  const meanwhile = getEventListeners(controller.signal, 'abort').length
  for (const submission of batcher.submissions) submission.answer()
  await Promise.all(calls)
  await immediate()
  process.off('warning', onWarning)

  expect(meanwhile).toBe(1)
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  expect(warnings).toEqual([])
})

test('calls that share a signal all end when it is aborted, but for those that are answered', async () => {
  open()
  const controller = new AbortController()

  const calls = Array.from({ length: 5 }, () =>
    outcome(scope.run(() => fetch(url(), { ...post, signal: controller.signal }))),
  )
  batcher.submissions[2]?.answer()
  await calls[2]
  controller.abort()
  const results = await Promise.all(calls)

  expect(results.map((result) => 'value' in result)).toEqual([false, false, true, false, false])
  expect(batcher.submissions.map(({ request }) => request.cancel?.cancelled)).toEqual([true, true, false, true, true])
})
