import { AsyncLocalStorage } from 'node:async_hooks'
import type { Reply } from '../core/reply.ts'
import type { PassReason, RequestHead, Target } from '../core/request.ts'
import type { Batcher } from './batcher.ts'

/** A scope as the patches see it. */
export interface OpenScope {
  readonly batcher: Batcher
  /** What a timer's abort may do to a batched call. */
  readonly timeouts: 'ignore' | 'honor'
  closed: boolean
}

/** One entry into a scope: what the asynchronous context carries. */
export interface Frame {
  readonly scope: OpenScope
  /** Entered by a callback, so that whatever runs in it belongs to the scope. The block form leaks into its caller. */
  readonly exact: boolean
  /** Where lookups go on once this scope is closed. */
  readonly outer: Frame | undefined
}

/** In the context of our own calls, and of calls that have been looked at already. */
type Bypass = 'bypass'

/** Everything that has to be one per process, even with two copies of this package in it. Its shape is what `v1` stands for. */
interface Registry {
  readonly context: AsyncLocalStorage<Frame | Bypass | undefined>
  /** Open scopes, oldest first. */
  readonly open: OpenScope[]
  /** Those that take every call of the process, oldest first. */
  readonly everywhere: OpenScope[]
  /** Functions of ours that have stood in for `globalThis.fetch`. */
  readonly shims: WeakSet<object>
  /** What the latest of them stands in front of. */
  below: typeof fetch
  /** Dispatchers of ours that stand in for undici's. */
  readonly nets: WeakSet<object>
  /** Calls whose answer is still to come. Held here because nothing else need hold them, and a collected call loses its abort. */
  readonly pending: Set<object>
  /** How many calls the dispatcher net holds, by what they say. */
  readonly held: Map<string, number>
  /** Present once `Request.prototype.signal` is shielded: the getter it had, and whether any fetch has come by the new one. */
  shield: { readonly read: (request: Request) => AbortSignal; worked: boolean } | undefined
}

const SLOT = Symbol.for('offpeak.registry.v1')

function shared(): Registry {
  // `globalThis` has no type for a symbol of ours; nobody else writes under it.
  const slots = globalThis as { [SLOT]?: Registry }
  return (slots[SLOT] ??= {
    context: new AsyncLocalStorage(),
    open: [],
    everywhere: [],
    shims: new WeakSet(),
    below: globalThis.fetch,
    nets: new WeakSet(),
    pending: new Set(),
    held: new Map(),
    shield: undefined,
  })
}

export const registry: Registry = shared()

/** Runs our own traffic, and what has been looked at already: no patch of ours touches it. */
export function bypass<T>(fn: () => T): T {
  return registry.context.run('bypass', fn)
}

/** Whether there is nothing to look for: no scope is open, and this context has never been in one. */
export function nothingOpen(): boolean {
  return registry.open.length === 0 && registry.context.getStore() === undefined
}

/** The scope this context's calls belong to. */
export function activeScope(): OpenScope | Bypass | undefined {
  const here = registry.context.getStore()
  return here === 'bypass' ? here : (openFrame(here)?.scope ?? registry.everywhere.at(-1))
}

/** The innermost frame whose scope is open. Frames are stacked on nothing else, so that leaked contexts do not pile up. */
export function openFrame(frame: Frame | Bypass | undefined): Frame | undefined {
  let found = frame === 'bypass' ? undefined : frame
  while (found?.scope.closed) found = found.outer
  return found
}

/** Asks a scope about a request. */
export function matchIn(scope: OpenScope, head: RequestHead): Target | undefined {
  try {
    return scope.batcher.match(head)
  } catch {
    // Nothing is lost: a URL we choke on is not one we know, and our fault must not break the host's traffic.
    return undefined
  }
}

/** Why a call is not batched whose scope has closed while its body was read. */
export const CLOSED = { reason: 'scope-closed', detail: 'the scope had closed' } as const

/** Tells a scope about a matched call that cannot be batched. It goes out at full price, unless there is a reply for its caller. */
export function report(scope: OpenScope, target: Target, reason: PassReason, detail: string): Reply | undefined {
  try {
    const reply = scope.batcher.instead?.(target, reason, detail)
    if (!reply) scope.batcher.passedThrough(target, reason, detail)
    return reply
  } catch {
    // A warning is lost, the call must not be.
    return undefined
  }
}

/** Outside calls ask no more open scopes than this: a server may have thousands open. */
const ASKED = 8

/** A call that has been reported, and what its caller gets so that it does not go out. */
export interface Stray {
  readonly reply: Reply | undefined
}

/**
 * A call outside any scope which some scope would have batched is reported to it: nothing goes out at full price unseen.
 * undefined: it was not.
 */
export function reportStray(head: RequestHead): Stray | undefined {
  const here = registry.context.getStore()
  if (here !== undefined && here !== 'bypass' && here.exact) {
    const target = matchIn(here.scope, head)
    if (target) {
      return { reply: report(here.scope, target, 'scope-closed', 'sent after the scope it was started in had closed') }
    }
  }
  for (const scope of registry.open.slice(-ASKED)) {
    const target = matchIn(scope, head)
    if (target) {
      return { reply: report(scope, target, 'outside-scope', 'sent outside the scope while it was open') }
    }
  }
  return undefined
}
