import type { Reply } from '../core/reply.ts'
import type { CancelToken } from '../core/request.ts'
import { raisedByTimer } from './abort-cause.ts'
import { registry } from './registry.ts'
import { toResponse } from './response.ts'

/** Resolves with the late Response, or rejects as soon as the signal is aborted by anybody but a timer it may ignore. */
export function awaitReply(
  replying: Promise<Reply>,
  call: { readonly url: string; readonly input: unknown },
  abort: { readonly signal: AbortSignal; readonly cancel: CancelToken; readonly timeouts: 'ignore' | 'honor' },
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const pending = new PendingCall(abort, call.input, reject)
    replying.then(
      (reply) => {
        pending.end()
        resolve(toResponse(reply, call.url))
      },
      (error: unknown) => {
        pending.end()
        reject(error)
      },
    )
  })
}

/** Listens by itself (an object costs less than a closure), and holds what an abort has to reach: the `Request` above all. */
class PendingCall {
  readonly #abort: Parameters<typeof awaitReply>[2]
  readonly input: unknown
  readonly #reject: (reason: unknown) => void

  constructor(abort: Parameters<typeof awaitReply>[2], input: unknown, reject: (reason: unknown) => void) {
    this.#abort = abort
    this.input = input
    this.#reject = reject
    registry.pending.add(this)
    abort.signal.addEventListener('abort', this)
  }

  handleEvent(): void {
    const { signal, cancel, timeouts } = this.#abort
    if (timeouts === 'ignore' && raisedByTimer(signal.reason)) return
    this.end()
    this.#reject(signal.reason)
    cancel.cancelled = true
    cancel.onCancel?.()
  }

  end(): void {
    registry.pending.delete(this)
    this.#abort.signal.removeEventListener('abort', this)
  }
}
