import type { Batcher } from './batcher.ts'
import { type Dispatch, dispatchInto, wrapDispatchers } from './dispatcher-net.ts'
import { type Fetch, fetchInto } from './fetch-shim.ts'
import { install } from './install.ts'
import { activeScope, bypass, type Frame, openFrame, type OpenScope, registry } from './registry.ts'
import { raiseShield } from './signal-shield.ts'

export type { Batcher } from './batcher.ts'
export { bypass } from './registry.ts'

export interface InterceptionOptions {
  /** Which calls belong to the scope: those of an asynchronous context, or all of the process. */
  readonly kind: 'context' | 'process'
  /** What a timer's abort may do to a batched call. */
  readonly timeouts: 'ignore' | 'honor'
}

/** The part of a program in which calls are batched. */
export interface InterceptionScope {
  /** Calls made by `fn`, and by whatever it starts, belong to the scope. */
  run<T>(fn: () => T): T
  /** Makes the rest of the caller's context belong to the scope (or, of kind `process`, the process). */
  enter(): void
  /** Undoes `enter`. Works only from the synchronous part of a disposal. */
  leave(): void
  /** From here on nothing is batched into the scope, whatever context still carries it. */
  close(): void
  /** Batches into this scope whatever the context. */
  readonly fetch: typeof fetch
  /** The same for undici: a dispatch that batches into this scope and hands the rest to `next`. */
  dispatch(next: Dispatch): Dispatch
}

/** Where a public scope keeps its interception, for entries such as `offpeak/undici`. Shared by all copies of the package. */
export const INTERCEPTION: unique symbol = Symbol.for('offpeak.interception.v1')

export interface Intercepting {
  readonly [INTERCEPTION]: InterceptionScope
}

export function openScope(batcher: Batcher, options: InterceptionOptions): InterceptionScope {
  install()
  wrapDispatchers()
  raiseShield()
  const scope: OpenScope = { batcher, timeouts: options.timeouts, closed: false }
  registry.open.push(scope)
  return options.kind === 'process' ? processScope(scope) : contextScope(scope)
}

function contextScope(scope: OpenScope): InterceptionScope {
  const { context } = registry
  let entered: Frame | undefined

  function leave(): void {
    if (!entered) return
    // Elsewhere than where it was entered there is nothing to restore: the closed scope is stepped over instead.
    if (context.getStore() === entered) context.enterWith(entered.outer)
    entered = undefined
  }

  return {
    ...common(scope, leave),
    enter() {
      if (entered || scope.closed) return
      entered = frameOf(scope, false)
      context.enterWith(entered)
    },
    leave,
  }
}

function processScope(scope: OpenScope): InterceptionScope {
  const { everywhere } = registry
  const leave = (): void => remove(everywhere, scope)
  return {
    ...common(scope, leave),
    enter() {
      if (!scope.closed && !everywhere.includes(scope)) everywhere.push(scope)
    },
    leave,
  }
}

function common(scope: OpenScope, leave: () => void): Pick<InterceptionScope, 'run' | 'close' | 'fetch' | 'dispatch'> {
  return {
    run: (fn) => registry.context.run(frameOf(scope, true), fn),
    close() {
      leave()
      scope.closed = true
      remove(registry.open, scope)
    },
    fetch: fetchOf(scope),
    dispatch: (next) => (options, handler) => {
      if (activeScope() === 'bypass') return next(options, handler)
      return dispatchInto(scope, options, handler, next)
    },
  }
}

function frameOf(scope: OpenScope, exact: boolean): Frame {
  return { scope, exact, outer: openFrame(registry.context.getStore()) }
}

function fetchOf(scope: OpenScope): Fetch {
  // The fetch of the moment, so that mocks and instrumentation apply; from inside the bypass, so that it may even be this one.
  const next: Fetch = (...call) => bypass(() => globalThis.fetch(...call))
  return (...call) => (activeScope() === 'bypass' ? registry.below(...call) : fetchInto(scope, call, next))
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item)
  if (index !== -1) list.splice(index, 1)
}
