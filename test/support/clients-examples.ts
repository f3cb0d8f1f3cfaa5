import { registerHooks } from 'node:module'
import { batchify as original, type BatchifyOptions, type BatchScope } from '../../src/index.ts'

/*
 * Preloaded into examples, which import the package by its name: gives them its sources instead of what was last built, and
 * `batchify` in a hurry.
 */
const SOURCES: Readonly<Record<string, string>> = {
  offpeak: import.meta.url,
  'offpeak/simulator': new URL('../../src/simulator/index.ts', import.meta.url).href,
}

registerHooks({
  resolve: (specifier, context, nextResolve) => nextResolve(SOURCES[specifier] ?? specifier, context),
})

export * from '../../src/index.ts'

const TIMES = { batchWindowMs: 50, pollIntervalMs: 50 }

export function batchify<T>(fn: () => T | Promise<T>): Promise<T>
export function batchify<T>(options: BatchifyOptions, fn: () => T | Promise<T>): Promise<T>
export function batchify(options?: BatchifyOptions): BatchScope
export function batchify<T>(
  first: BatchifyOptions | (() => T | Promise<T>) = {},
  second?: () => T | Promise<T>,
): Promise<T> | BatchScope {
  if (typeof first === 'function') return original(TIMES, first)
  return second === undefined ? original({ ...TIMES, ...first }) : original({ ...TIMES, ...first }, second)
}
