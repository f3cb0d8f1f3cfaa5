import { describe, expect, test } from 'vitest'
import type { Reply } from '../../../src/core/reply.ts'
import { answerDispatch, type DispatchHandler } from '../../../src/intercept/dispatcher-answer.ts'

const CHUNK = 64 * 1024
const reply: Reply = {
  status: 201,
  headers: { 'content-type': 'application/json', 'x-a': 'é' },
  body: 'x'.repeat(2 * CHUNK + 1),
}

interface Probe {
  readonly handler: DispatchHandler
  /** What it was called with, in order. */
  readonly calls: string[]
  readonly resume: () => void
  readonly abort: (reason?: unknown) => void
}

/** A handler of undici up to 7 that takes one chunk at a time. */
function legacyProbe(): Probe {
  const calls: string[] = []
  let resume = (): void => {}
  let abort: (reason?: unknown) => void = () => {}
  const handler: DispatchHandler = {
    onConnect(given) {
      abort = given
      calls.push('connect')
    },
    onHeaders(status, raw, given, statusText) {
      resume = given
      calls.push(`head ${status} ${statusText} ${raw.map((part) => part.toString('latin1')).join(' ')}`)
      return false
    },
    onData(chunk) {
      calls.push(`data ${chunk.length}`)
      return false
    },
    onComplete: () => void calls.push('end'),
    onError: (error) => void calls.push(String(error)),
  }
  return { handler, calls, resume: () => resume(), abort: (reason) => abort(reason) }
}

/** The same for a handler of undici 7 and later. */
function modernProbe(): Probe {
  const calls: string[] = []
  let steer: Parameters<NonNullable<DispatchHandler['onRequestStart']>>[0] | undefined
  const handler: DispatchHandler = {
    onRequestStart(controller) {
      steer = controller
      calls.push('connect')
    },
    onResponseStart(controller, status, headers, statusText) {
      controller.pause()
      calls.push(`head ${status} ${statusText} ${Object.entries(headers).flat().join(' ')}`)
    },
    onResponseData(controller, chunk) {
      controller.pause()
      calls.push(`data ${chunk.length}`)
    },
    onResponseEnd: () => void calls.push('end'),
    onResponseError: (_controller, error) => void calls.push(String(error)),
  }
  return { handler, calls, resume: () => steer?.resume(), abort: (reason) => steer?.abort(reason) }
}

const terms = (): Parameters<typeof answerDispatch>[2] => ({
  cancel: { cancelled: false },
  timeouts: 'ignore',
  key: 'k',
})
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe.each([
  ['up to undici 7', legacyProbe],
  ['since undici 7', modernProbe],
])('a handler of the form used %s', (_form, probe) => {
  test('is called when it may abort, long before there is an answer', async () => {
    const { handler, calls } = probe()

    answerDispatch(handler, new Promise(() => {}), terms())

    expect(calls).toEqual(['connect'])
  })

  test('gets its next chunk when it asks for it, and its end after the last', async () => {
    const { handler, calls, resume } = probe()
    answerDispatch(handler, Promise.resolve(reply), terms())

    const lengths: number[] = []
    for (let step = 0; step < 5; step += 1) {
      await settled()
      lengths.push(calls.length)
      resume()
    }

    expect(lengths).toEqual([2, 3, 4, 5, 6])
    expect(calls).toEqual([
      'connect',
      'head 201 Created content-type application/json x-a é',
      `data ${CHUNK}`,
      `data ${CHUNK}`,
      'data 1',
      'end',
    ])
  })

  test('is failed once when it aborts, and its request cancelled', async () => {
    const { handler, calls, abort, resume } = probe()
    const { promise, resolve } = Promise.withResolvers<Reply>()
    const given = terms()
    answerDispatch(handler, promise, given)

    abort(new Error('enough'))
    abort(new Error('more than enough'))
    resolve(reply)
    await settled()
    resume()
    await settled()

    expect(calls).toEqual(['connect', 'Error: enough'])
    expect(given.cancel.cancelled).toBe(true)
  })

  test('is failed when it aborts halfway through the answer', async () => {
    const { handler, calls, abort } = probe()
    answerDispatch(handler, Promise.resolve(reply), terms())
    await settled()

    abort()
    await settled()

    expect(calls.slice(2)).toEqual([expect.stringMatching(/^AbortError/)])
  })

  test('is failed when the reply never comes to be', async () => {
    const { handler, calls } = probe()

    answerDispatch(handler, Promise.reject(new Error('engine broke')), terms())
    await settled()

    expect(calls).toEqual(['connect', 'Error: engine broke'])
  })

  test('is failed with the error it throws itself', async () => {
    const { handler, calls, resume } = probe()
    const thrower = (): never => {
      throw new Error('cannot parse')
    }
    answerDispatch({ ...handler, onData: thrower, onResponseData: thrower }, Promise.resolve(reply), terms())

    await settled()
    resume()
    await settled()

    expect(calls.at(-1)).toBe('Error: cannot parse')
  })
})
