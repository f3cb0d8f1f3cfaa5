import type { BatchifyOptions } from './config.ts'
import { DeferredExit, OffpeakError } from './core/errors.ts'
import { type BatchScope, createScope } from './create.ts'
import { INTERCEPTION } from './intercept/scope.ts'

/**
 * Runs `fn`; every call it makes to a provider rides that provider's Batch API. Resolves with what `fn` returned once every call is
 * answered. When `fn` throws, what was not yet submitted is dropped and its error is thrown on.
 * Rejects with `CostLimitError` when `maxCostUsd` kept calls from being sent, whatever `fn` made of it.
 * Throws `OffpeakError` on unknown options or a store that cannot be used.
 */
export function batchify<T>(fn: () => T | Promise<T>): Promise<T>
export function batchify<T>(options: BatchifyOptions, fn: () => T | Promise<T>): Promise<T>
/**
 * Everything from here to the end of the block is batched: `await using batch = batchify()`. Await your calls inside the block:
 * what is still open at its end is refused, because leaving it may also mean that it failed.
 */
export function batchify(options?: BatchifyOptions): BatchScope
export function batchify<T>(
  first: BatchifyOptions | (() => T | Promise<T>) = {},
  second?: () => T | Promise<T>,
): Promise<T> | BatchScope {
  if (typeof first === 'function') return runBatched({}, first)
  if (second !== undefined) return runBatched(first, second)
  const scope = createScope(checkedObject(first))
  scope[INTERCEPTION].enter()
  return scope
}

async function runBatched<T>(options: BatchifyOptions, fn: () => T | Promise<T>): Promise<T> {
  if (typeof fn !== 'function') {
    throw new OffpeakError('invalid-options', 'offpeak: batchify(options, fn) takes a function as its second argument')
  }
  const scope = createScope(checkedObject(options))
  if (options.scope === 'process') scope[INTERCEPTION].enter()
  let result: T
  try {
    // A deferral ends the wait whatever the program makes of the replies it gets.
    result = await Promise.race([scope.run(fn), scope.deferred])
  } catch (error) {
    // What was refused for its cost may be all that went wrong: that is told first, once what runs is done.
    if (!(error instanceof DeferredExit) && scope.costLimit()) await scope.finish(error)
    // What the program threw is what it wants to hear of, not what went wrong on the way out.
    await scope.abandon(error).catch(() => undefined)
    throw error
  }
  await scope.finish()
  return result
}

function checkedObject(options: BatchifyOptions): BatchifyOptions {
  if (typeof options === 'object' && options !== null) return options
  throw new OffpeakError('invalid-options', `offpeak: batchify() takes options or a function, not ${String(options)}`)
}
