import type { Reply } from '../core/reply.ts'
import type { CancelToken } from '../core/request.ts'
import { raisedByTimer } from './abort-cause.ts'
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

/** Of the calls that are pending, by signal. It is what holds them: nobody else need, and a collected call loses its abort. */
const watches = new Map<AbortSignal, SignalWatch>()

/** Waits for the abort of a call's signal; returns the undo. */
function watch(call: PendingCall): () => void {
  const known = watches.get(call.abort.signal)
  const watch = known ?? new SignalWatch(call)
  if (known) known.add(call)
  return () => watch.remove(call)
}

/** One listener for all calls of a signal: adding a listener takes as long as there are others. */
class SignalWatch {
  readonly #signal: AbortSignal
  /** Nearly every signal has one call, for which a set would be the dearest part. */
  #only: PendingCall | undefined
  #more: Set<PendingCall> | undefined

  constructor(call: PendingCall) {
    this.#signal = call.abort.signal
    this.#only = call
    this.#signal.addEventListener('abort', this)
    watches.set(this.#signal, this)
  }

  add(call: PendingCall): void {
    this.#more ??= new Set()
    this.#more.add(call)
  }

  remove(call: PendingCall): void {
    if (this.#only === call) this.#only = undefined
    else this.#more?.delete(call)
    if (this.#only || this.#more?.size) return
    this.#signal.removeEventListener('abort', this)
    // Another watch may have taken its place since.
    if (watches.get(this.#signal) === this) watches.delete(this.#signal)
  }

  handleEvent(): void {
    const { reason } = this.#signal
    const byTimer = raisedByTimer(reason)
    for (const call of this.#only ? [this.#only, ...(this.#more ?? [])] : (this.#more ?? [])) {
      const { cancel, timeouts } = call.abort
      if (byTimer && timeouts === 'ignore') continue
      this.remove(call)
      call.reject(reason)
      cancel.cancelled = true
      cancel.onCancel?.()
    }
  }
}
