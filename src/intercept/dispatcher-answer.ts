import { STATUS_CODES } from 'node:http'
import type { Reply } from '../core/reply.ts'
import type { CancelToken } from '../core/request.ts'
import { raisedByTimer } from './abort-cause.ts'
import { registry } from './registry.ts'
import { holdCall } from './signal-shield.ts'

/**
 * What undici calls back, in either of its forms: up to version 7 `onConnect` … `onComplete`, from 7 on `onRequestStart` …
 * `onResponseEnd`. Which of the two a call uses is up to the call, not to the dispatcher.
 */
export interface DispatchHandler {
  onConnect?(abort: (reason?: unknown) => void, context: object): void
  onResponseStarted?(): void
  onHeaders?(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean | void
  onData?(chunk: Buffer): boolean | void
  onComplete?(trailers: string[]): void
  onError?(error: unknown): void

  onRequestStart?(controller: DispatchController, context: object): void
  onResponseStart?(controller: DispatchController, status: number, headers: object, statusText: string): void
  onResponseData?(controller: DispatchController, chunk: Buffer): void
  onResponseEnd?(controller: DispatchController, trailers: object): void
  onResponseError?(controller: DispatchController, error: unknown): void
}

/** What the newer form of handlers steers its response with, and where we keep the state of either form. */
interface DispatchController {
  rawHeaders: Buffer[]
  rawTrailers: Buffer[]
  aborted: boolean
  reason: unknown
  paused: boolean
  readonly pause: () => void
  readonly resume: () => void
  readonly abort: (reason?: unknown) => void
}

interface Terms {
  readonly cancel: CancelToken
  readonly timeouts: 'ignore' | 'honor'
  /** Tells the signal shield that this call is ours. */
  readonly key: string
}

/** Holds a dispatched call until its reply is there, and then plays the server that gave it. */
export function answerDispatch(handler: DispatchHandler, replying: Promise<Reply>, terms: Terms): void {
  const held = new HeldDispatch(handler, terms)
  held.start()
  replying.then(
    (reply) => held.answer(reply),
    (error: unknown) => held.fail(error),
  )
}

/** Fails a call that never got as far as being held. */
export function failDispatch(handler: DispatchHandler, error: unknown): void {
  new Driver(handler).fail(error)
}

/** Speaks either form of handler. */
class Driver {
  readonly #handler: DispatchHandler
  readonly #modern: boolean
  readonly #controller: DispatchController
  #onResume: (() => void) | undefined

  constructor(handler: DispatchHandler, abort: (reason?: unknown) => void = () => {}) {
    this.#handler = handler
    this.#modern = typeof handler.onRequestStart === 'function'
    this.#controller = {
      rawHeaders: [],
      rawTrailers: [],
      aborted: false,
      reason: null,
      paused: false,
      pause: () => {
        this.#controller.paused = true
      },
      resume: () => {
        this.#controller.paused = false
        this.#onResume?.()
      },
      abort,
    }
  }

  start(): void {
    if (this.#modern) this.#handler.onRequestStart?.(this.#controller, {})
    else this.#handler.onConnect?.(this.#controller.abort, {})
  }

  /** An end without an answer. Wakes whoever waits for a paused reader, so that nothing waits for ever. */
  fail(error: unknown): void {
    this.#controller.aborted = true
    this.#controller.reason = error
    this.#controller.resume()
    if (this.#modern) this.#handler.onResponseError?.(this.#controller, error)
    else this.#handler.onError?.(error)
  }

  head(status: number, headers: Reply['headers']): void {
    const statusText = STATUS_CODES[status] ?? ''
    const raw = Object.entries(headers).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value, 'latin1')])
    if (this.#modern) {
      this.#controller.rawHeaders = raw
      this.#handler.onResponseStart?.(this.#controller, status, { ...headers }, statusText)
      return
    }
    this.#handler.onResponseStarted?.()
    this.#heed(this.#handler.onHeaders?.(status, raw, this.#controller.resume, statusText))
  }

  data(chunk: Buffer): void {
    if (this.#modern) this.#handler.onResponseData?.(this.#controller, chunk)
    else this.#heed(this.#handler.onData?.(chunk))
  }

  end(): void {
    if (this.#modern) this.#handler.onResponseEnd?.(this.#controller, {})
    else this.#handler.onComplete?.([])
  }

  /** Resolves when the reader takes more. */
  async flowing(): Promise<void> {
    while (this.#controller.paused) {
      await new Promise<void>((resolve) => {
        this.#onResume = resolve
      })
    }
  }

  #heed(more: boolean | void): void {
    if (more === false) this.#controller.pause()
  }
}

/** As much as a socket would give at once. */
const CHUNK = 64 * 1024

class HeldDispatch {
  readonly #driver: Driver
  readonly #terms: Terms
  readonly #release: () => void
  #state: 'starting' | 'waiting' | 'answering' | 'over' = 'starting'

  constructor(handler: DispatchHandler, terms: Terms) {
    this.#driver = new Driver(handler, (reason) => this.#abort(reason))
    this.#terms = terms
    this.#release = holdCall(terms.key)
    registry.pending.add(this)
  }

  /** At once, so that the call can be aborted while it waits. A call that was aborted before says so in here. */
  start(): void {
    try {
      this.#driver.start()
      if (this.#state === 'starting') this.#state = 'waiting'
    } catch (error) {
      this.#abort(error)
    }
  }

  async answer({ status, headers, body }: Reply): Promise<void> {
    if (this.#isOver()) return
    this.#state = 'answering'
    try {
      this.#driver.head(status, headers)
      const bytes = Buffer.from(body)
      for (let sent = 0; sent < bytes.length; sent += CHUNK) {
        await this.#driver.flowing()
        if (this.#isOver()) return
        this.#driver.data(bytes.subarray(sent, sent + CHUNK))
      }
      await this.#driver.flowing()
      if (this.#isOver()) return
      this.#end()
      this.#driver.end()
    } catch (error) {
      this.fail(error)
    }
  }

  fail(error: unknown): void {
    if (this.#isOver()) return
    this.#end()
    this.#driver.fail(error)
  }

  #abort(reason: unknown): void {
    const why = reason ?? new DOMException('The operation was aborted.', 'AbortError')
    if (this.#state === 'waiting' && this.#terms.timeouts === 'ignore' && raisedByTimer(why)) return
    if (this.#isOver()) return
    const { cancel } = this.#terms
    this.fail(why)
    cancel.cancelled = true
    cancel.onCancel?.()
  }

  #isOver(): boolean {
    return this.#state === 'over'
  }

  #end(): void {
    this.#state = 'over'
    this.#release()
    registry.pending.delete(this)
  }
}
