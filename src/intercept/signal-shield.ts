import { hash } from 'node:crypto'
import { raisedByTimer } from './abort-cause.ts'
import { captureBody } from './capture.ts'
import { bodyHeaders } from './headers.ts'
import { activeScope, bypass, matchIn, nothingOpen, registry } from './registry.ts'

/**
 * A native fetch that was captured before our shim gives up by itself when its signal aborts, whatever the dispatcher net
 * below thinks of it. But it reads that signal through `Request.prototype.signal`: for a call that a scope may batch we
 * answer with a signal of our own, which follows the real one except where a timer has ended a call the net is holding.
 */
export function raiseShield(): void {
  if (registry.shield) return
  const signal = Object.getOwnPropertyDescriptor(Request.prototype, 'signal')
  const clone = Object.getOwnPropertyDescriptor(Request.prototype, 'clone')
  if (!signal?.get || !signal.configurable || typeof clone?.value !== 'function' || !clone.configurable) {
    warn()
    return
  }
  const shield = { read: (request: Request): AbortSignal => signal.get?.call(request), worked: false }
  registry.shield = shield
  Object.defineProperty(Request.prototype, 'signal', { ...signal, get: shieldedGetter(shield) })
  // undici ties a clone to what this getter returns, and finds it again by the real signal only.
  const original: (this: Request) => Request = clone.value
  Object.defineProperty(Request.prototype, 'clone', {
    ...clone,
    value(this: Request) {
      return bypass(() => original.call(this))
    },
  })
}

/** The signal a request really has, past the shield. */
export function signalOf(request: Request): AbortSignal {
  return registry.shield ? registry.shield.read(request) : request.signal
}

/** One call among those that wait. Equal calls share it: they wait for equal answers. */
export function callKey(url: string, body: string): string {
  return hash('sha1', `${url}\n${body}`, 'base64')
}

/** Notes that the net holds a call, which is what timers do not reach; returns the undo. */
export function holdCall(key: string): () => void {
  const { held } = registry
  held.set(key, (held.get(key) ?? 0) + 1)
  return () => {
    const left = (held.get(key) ?? 1) - 1
    if (left === 0) held.delete(key)
    else held.set(key, left)
  }
}

/** Called when the net holds a fetch: if no fetch has ever asked the shield for its signal, timers go past it. */
export function noteUnshielded(): void {
  if (registry.shield && !registry.shield.worked) warn()
}

let warned = false

function warn(): void {
  if (warned) return
  warned = true
  process.emitWarning(
    'A fetch is batched that offpeak cannot shield from its own timeout: should it have one, that ends it. ' +
      'Import offpeak before the client is created, or hand the client `fetch: batch.fetch`.',
    { type: 'OffpeakWarning', code: 'OFFPEAK_TIMEOUTS' },
  )
}

function shieldedGetter(shield: NonNullable<typeof registry.shield>): (this: Request) => AbortSignal {
  const shielded = new WeakMap<Request, AbortSignal>()
  return function signal(this: Request): AbortSignal {
    const real = shield.read(this)
    if (nothingOpen()) return real
    const scope = activeScope()
    if (scope === undefined || scope === 'bypass' || scope.timeouts === 'honor') return real
    const known = shielded.get(this)
    if (known) return known
    if (!matchIn(scope, { method: this.method, url: this.url })) return real
    const own = follow(this, real)
    shielded.set(this, own)
    shield.worked = true
    return own
  }
}

function follow(request: Request, real: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const pass = (): void => controller.abort(real.reason)
  if (real.aborted) {
    pass()
    return controller.signal
  }
  const onAbort = (): void => {
    if (!raisedByTimer(real.reason)) return pass()
    isHeld(request).then((held) => held || pass(), pass)
  }
  real.addEventListener('abort', onAbort, { once: true })
  return controller.signal
}

/** Whether the net holds this very call. The request and its dispatch have nothing in common but what they say. */
async function isHeld(request: Request): Promise<boolean> {
  const pairs = [...request.headers]
  const body = bypass(() => request.clone())
  const captured = await captureBody(body, bodyHeaders(pairs), undefined)
  const url = request.url.replace(/#.*$/s, '')
  return captured.kind === 'json' && registry.held.has(callKey(url, captured.text))
}
