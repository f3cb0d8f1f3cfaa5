import { stringify } from 'node:querystring'
import type { Reply } from '../core/reply.ts'
import type { HeaderPair, RequestHead, Target } from '../core/request.ts'
import { type Bytes, type Captured, captureBody } from './capture.ts'
import { answerDispatch, type DispatchHandler, failDispatch } from './dispatcher-answer.ts'
import { bodyHeaders, decoded, headerPairs } from './headers.ts'
import {
  activeScope,
  bypass,
  CLOSED,
  matchIn,
  nothingOpen,
  type OpenScope,
  registry,
  report,
  reportStray,
} from './registry.ts'
import { callKey, noteUnshielded } from './signal-shield.ts'

/** What a call looks like to an undici dispatcher, of any major version. */
export interface DispatchOptions {
  readonly origin?: string | URL | null | undefined
  readonly path: string
  readonly method: string
  readonly query?: Readonly<Record<string, unknown>> | null | undefined
  readonly headers?: unknown
  readonly body?: unknown
}

export type Dispatch = (options: DispatchOptions, handler: DispatchHandler) => boolean

interface AnyDispatcher {
  dispatch: Dispatch
}

/** Where undici keeps its global dispatcher: up to 7 in the first, from 8 on in the second, and Node has either or both. */
const SLOTS = [Symbol.for('undici.globalDispatcher.1'), Symbol.for('undici.globalDispatcher.2')]

/**
 * Hangs a net in front of whatever dispatches for native fetches that were captured before our shim, and for undici's own
 * calls. At each opening of a scope, as programs set dispatchers when they like.
 */
export function wrapDispatchers(): void {
  // Makes Node load its undici, and with it the dispatcher.
  void new Headers()
  // `globalThis` has no type for undici's symbols.
  const slots = globalThis as { [slot: symbol]: unknown }
  for (const slot of SLOTS) {
    const dispatcher = slots[slot]
    if (isDispatcher(dispatcher) && !registry.nets.has(dispatcher)) slots[slot] = netOver(dispatcher)
  }
}

function isDispatcher(value: unknown): value is AnyDispatcher {
  return typeof value === 'object' && value !== null && 'dispatch' in value && typeof value.dispatch === 'function'
}

/** A proxy, so that whatever else is asked of the dispatcher is answered by itself. */
function netOver(dispatcher: AnyDispatcher): AnyDispatcher {
  const dispatch = netDispatch((options, handler) => dispatcher.dispatch(options, handler))
  const net = new Proxy(dispatcher, {
    get(target, key) {
      if (key === 'dispatch') return dispatch
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      // What is composed on top of the net stays on top of it; anything else may need its private fields.
      return value.bind(key === 'compose' ? net : target)
    },
  })
  registry.nets.add(net)
  return net
}

function netDispatch(next: Dispatch): Dispatch {
  return (options, handler) => {
    if (nothingOpen()) return next(options, handler)
    const scope = activeScope()
    if (scope === 'bypass') return next(options, handler)
    if (scope !== undefined) return dispatchInto(scope, options, handler, next)
    const head = headOf(options)
    const stray = head && reportStray(head)
    if (!stray) return next(options, handler)
    return stray.reply ? refuseDispatch(handler, stray.reply, head) : bypass(() => next(options, handler))
  }
}

/** Batches one dispatch into a scope if it can be; otherwise `next` gets it. */
export function dispatchInto(
  scope: OpenScope,
  options: DispatchOptions,
  handler: DispatchHandler,
  next: Dispatch,
): boolean {
  const head = headOf(options)
  const target = head && matchIn(scope, head)
  if (!target) return next(options, handler)

  const letThrough = (drained?: Bytes): boolean =>
    bypass(() => next(drained ? { ...options, body: drained } : options, handler))
  const headers = headerPairs(options.headers)
  if (!headers) return letThrough()

  const found: Found = { scope, head, target, headers, handler, letThrough }
  const captured = captureBody(readable(options.body), bodyHeaders(headers), undefined)
  if (!(captured instanceof Promise)) return settle(found, captured)
  registry.pending.add(found)
  captured
    .then((read) => settle(found, read))
    .catch((error: unknown) => failDispatch(handler, error))
    .finally(() => registry.pending.delete(found))
  return true
}

/** A matched dispatch, read as far as its body. */
interface Found {
  readonly scope: OpenScope
  readonly head: RequestHead
  readonly target: Target
  readonly headers: readonly HeaderPair[]
  readonly handler: DispatchHandler
  letThrough(drained?: Bytes): boolean
}

function settle(found: Found, captured: Captured): boolean {
  const { scope, target, handler } = found
  if (captured.kind === 'unfit' || scope.closed) {
    const { reason, detail } = captured.kind === 'unfit' ? captured : CLOSED
    const reply = report(scope, target, reason, detail)
    return reply ? refuseDispatch(handler, reply, found.head) : found.letThrough(captured.drained)
  }
  const { method, url } = found.head
  const { text: body, json } = captured
  const cancel = { cancelled: false }
  const replying = scope.batcher.submit({ method, url, target, headers: decoded(found.headers), body, json, cancel })
  if (!replying) return found.letThrough(captured.drained)

  // Only fetches send this header; requests tell us of an abort and leave it to us.
  const isFetch = found.headers.some(([name]) => name === 'sec-fetch-mode')
  if (isFetch && scope.timeouts === 'ignore') noteUnshielded()
  answerDispatch(handler, replying, { cancel, timeouts: scope.timeouts, key: callKey(url, body) })
  return true
}

/** Plays the provider that refuses a call. */
function refuseDispatch(handler: DispatchHandler, reply: Reply, { url }: RequestHead): boolean {
  answerDispatch(handler, Promise.resolve(reply), {
    cancel: { cancelled: false },
    timeouts: 'honor',
    key: callKey(url, ''),
  })
  return true
}

function headOf({ origin, path, method, query }: DispatchOptions): RequestHead | undefined {
  if (!origin || typeof path !== 'string' || typeof method !== 'string') return undefined
  const base = typeof origin === 'string' ? origin.replace(/\/$/, '') : origin.origin
  const search = query ? stringify(query as Parameters<typeof stringify>[0]) : ''
  return { method: method.toUpperCase(), url: base + path + (search && `?${search}`) }
}

/** undici also writes the items of a plain iterable one after the other. */
function readable(body: unknown): unknown {
  const isPlain =
    typeof body === 'object' && body !== null && Symbol.iterator in body && !(Symbol.asyncIterator in body)
  const isKnown = body instanceof FormData || body instanceof URLSearchParams || ArrayBuffer.isView(body)
  return isPlain && !isKnown ? eachOf(body as Iterable<unknown>) : body
}

async function* eachOf(items: Iterable<unknown>): AsyncGenerator {
  yield* items
}
