import { batchify as original, type BatchifyOptions, type BatchScope } from '../../src/index.ts'

export * from '../../src/index.ts'

const TIMES = { batchWindowMs: 50, pollIntervalMs: 50 }

/** The real thing, in a hurry. */
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
