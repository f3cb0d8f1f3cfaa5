import type { HeaderPair, RequestHead, Target } from '../core/request.ts'
import { type Bytes, type Captured, captureBody } from './capture.ts'
import { isDisturbed, isDrainable } from './drain.ts'
import { bodyHeaders, decoded, headerPairs } from './headers.ts'
import { awaitReply } from './pending-call.ts'
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
import { toResponse } from './response.ts'
import { signalOf } from './signal-shield.ts'

export type Fetch = typeof fetch
type FetchCall = Parameters<Fetch>

/** A fetch that batches what belongs to a scope and hands the rest to `below`, as it came. */
export function fetchShim(below: Fetch): Fetch {
  return function fetch(...call) {
    if (nothingOpen()) return below(...call)
    const scope = activeScope()
    if (scope === 'bypass') return below(...call)
    if (scope !== undefined) return fetchInto(scope, call, below)
    return fetchOutside(call, below)
  }
}

/** Tells the open scopes of a call in none of them. */
function fetchOutside(call: FetchCall, below: Fetch): Promise<Response> {
  // A dispatcher of its own may carry an interceptor of ours: it is asked next.
  const isElsewhere = call[1] && 'dispatcher' in call[1] && call[1].dispatcher
  const head = isElsewhere ? undefined : headOf(call)
  const stray = head && reportStray(head)
  if (!stray) return below(...call)
  return stray.reply ? Promise.resolve(toResponse(stray.reply, head.url)) : bypass(() => below(...call))
}

/** Batches one call into a scope if it can be; otherwise `next` gets it. */
export function fetchInto(scope: OpenScope, call: FetchCall, next: Fetch): Promise<Response> {
  const head = headOf(call)
  const target = head && matchIn(scope, head)
  if (!target) return next(...call)

  const [input, init] = call
  const request = isRequest(input) ? input : undefined
  // From here on the call has been looked at: no net of ours may look again.
  const letThrough = (drained?: Bytes): Promise<Response> =>
    bypass(() => (drained ? next(input, withBody(init, drained)) : next(...call)))

  const signal = init?.signal === undefined ? request && signalOf(request) : (init.signal ?? undefined)
  const headers = headerPairs(init?.headers ?? request?.headers)
  const body = init?.body ?? (request?.body ? request : undefined)
  // Whatever the native call refuses or gives up by itself, it does so in its own words.
  if (!headers || !isLive(signal) || !isReadable(body, init)) return letThrough()

  const how = bodyHeaders(headers)
  const sent = how.encoding === undefined ? headers : decoded(headers)
  const found: Found = { scope, head, target, headers: sent, signal, input, letThrough }
  const captured = captureBody(body, how, signal)
  return captured instanceof Promise ? settleLater(found, captured) : settle(found, captured)
}

/** A matched call, read as far as its body. */
interface Found {
  readonly scope: OpenScope
  readonly head: RequestHead
  readonly target: Target
  /** Those of the body as it was read. */
  readonly headers: readonly HeaderPair[]
  readonly signal: AbortSignal | undefined
  readonly input: unknown
  letThrough(drained?: Bytes): Promise<Response>
}

function settle(found: Found, captured: Captured): Promise<Response> {
  const { scope, target } = found
  if (captured.kind === 'unfit' || scope.closed) {
    const { reason, detail } = captured.kind === 'unfit' ? captured : CLOSED
    const reply = report(scope, target, reason, detail)
    return reply ? Promise.resolve(toResponse(reply, found.head.url)) : found.letThrough(captured.drained)
  }
  try {
    return submit(found, captured) ?? found.letThrough(captured.drained)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** While its body is being read a call is no different from a native one: any abort ends it, and a broken body fails it. */
function settleLater(found: Found, capturing: Promise<Captured>): Promise<Response> {
  const { signal } = found
  registry.pending.add(found)
  return new Promise<Captured>((resolve, reject) => {
    const onAbort = (): void => end(() => reject(signal?.reason))
    const end = (how: () => void): void => {
      registry.pending.delete(found)
      signal?.removeEventListener('abort', onAbort)
      how()
    }
    signal?.addEventListener('abort', onAbort)
    capturing.then(
      (captured) => end(() => resolve(captured)),
      (cause: unknown) => end(() => reject(new TypeError('fetch failed', { cause }))),
    )
  }).then((captured) => settle(found, captured))
}

function submit(found: Found, captured: Captured & { kind: 'json' }): Promise<Response> | undefined {
  const { scope, head, target, headers, signal } = found
  const { method, url } = head
  const { text: body, json } = captured
  if (!signal) {
    const replying = scope.batcher.submit({ method, url, target, headers, body, json })
    return replying?.then((reply) => toResponse(reply, url))
  }
  const cancel = { cancelled: false }
  const replying = scope.batcher.submit({ method, url, target, headers, body, json, cancel })
  return replying && awaitReply(replying, { url, input: found.input }, { signal, cancel, timeouts: scope.timeouts })
}

/** undefined: nothing we know how to read. */
function headOf([input, init]: FetchCall): RequestHead | undefined {
  const url =
    typeof input === 'string' ? input : input instanceof URL ? input.href : isRequest(input) ? input.url : undefined
  // An init that is no object is for the native call to refuse.
  if (url === undefined || (init !== undefined && typeof init !== 'object')) return undefined
  const method: unknown = init?.method ?? (isRequest(input) ? input.method : 'GET')
  return typeof method === 'string' ? { method: method.toUpperCase(), url } : undefined
}

function isRequest(input: unknown): input is Request {
  return input instanceof Request
}

function isLive(signal: AbortSignal | undefined): boolean {
  return signal === undefined || (signal instanceof AbortSignal && !signal.aborted)
}

/** Whether the native call would take this body: not one that is in use, nor a stream without `duplex`. */
function isReadable(body: unknown, init: { readonly duplex?: unknown } | undefined): boolean {
  if (!isDrainable(body)) return true
  const stream = body instanceof Request ? body.body : body
  if (stream instanceof ReadableStream && (stream.locked || isDisturbed(stream))) return false
  return body instanceof Request || init?.duplex !== undefined
}

/** Members of a `RequestInit`; one may be an object whose members are inherited, such as a `Request`. */
const MEMBERS = [
  'method',
  'headers',
  'referrer',
  'referrerPolicy',
  'mode',
  'credentials',
  'cache',
  'redirect',
  'integrity',
  'keepalive',
  'signal',
  'window',
  'dispatcher',
  'priority',
] as const

/** The same call with a body that was drained already. It needs no `duplex` any more. */
function withBody(init: RequestInit | undefined, body: Bytes): RequestInit {
  const copy: Record<string, unknown> = { ...init }
  for (const member of MEMBERS) {
    // Members that are not in the type of this version are still members.
    const value = (init as Record<string, unknown> | undefined)?.[member]
    if (value !== undefined) copy[member] = value
  }
  delete copy['duplex']
  return { ...copy, body }
}
