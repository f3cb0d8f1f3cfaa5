import type { OpenScope } from './registry.ts'

export type Dispatch = (options: object, handler: object) => boolean

export function wrapDispatchers(): void {}

export function dispatchInto(_scope: OpenScope, options: object, handler: object, next: Dispatch): boolean {
  return next(options, handler)
}
