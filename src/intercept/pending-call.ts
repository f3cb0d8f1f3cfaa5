import type { Reply } from '../core/reply.ts'
import type { CancelToken } from '../core/request.ts'
import { raisedByTimer } from './abort-cause.ts'
import { registry } from './registry.ts'
import { toResponse } from './response.ts'

/** What may end a call before its reply is there. */
interface Abort {
  readonly signal: AbortSignal
  readonly cancel: CancelToken
  readonly timeouts: 'ignore' | 'honor'
}

/** Resolves with the late Response, or rejects as soon as the signal is aborted by anybody but a timer it may ignore. */
export function awaitReply(
  replying: Promise<Reply>,
  call: { readonly url: string; readonly input: unknown },
  abort: Abort,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const pending: PendingCall = { abort, input: call.input, reject }
    const end = watch(pending)
    replying.then(
      (reply) => {
        end()
        resolve(toResponse(reply, call.url))
      },
      (error: unknown) => {
        end()
        reject(error)
      },
    )
  })
}

/** Holds what an abort has to reach: the `Request` above all. */
interface PendingCall {
  readonly abort: Abort
  readonly input: unknown
  readonly reject: (reason: unknown) => void
}

const watches = new WeakMap<AbortSignal, SignalWatch>()

/** Waits for the abort of a call's signal; returns the undo. */
function watch(call: PendingCall): () => void {
  const { signal } = call.abort
  let watch = watches.get(signal)
  if (!watch) watches.set(signal, (watch = new SignalWatch(signal)))
  watch.add(call)
  return () => watch.remove(call)
}

/** One listener for all calls of a signal: adding a listener takes as long as there are others. */
class SignalWatch {
  readonly #signal: AbortSignal
  readonly #calls = new Set<PendingCall>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  add(call: PendingCall): void {
    if (this.#calls.size === 0) this.#signal.addEventListener('abort', this)
    this.#calls.add(call)
    registry.pending.add(call)
  }

  remove(call: PendingCall): void {
    registry.pending.delete(call)
    this.#calls.delete(call)
    if (this.#calls.size === 0) this.#signal.removeEventListener('abort', this)
  }

  handleEvent(): void {
    const { reason } = this.#signal
    const byTimer = raisedByTimer(reason)
    for (const call of this.#calls) {
      const { cancel, timeouts } = call.abort
      if (byTimer && timeouts === 'ignore') continue
      this.remove(call)
      call.reject(reason)
      cancel.cancelled = true
      cancel.onCancel?.()
    }
  }
}
