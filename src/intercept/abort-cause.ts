import { executionAsyncResource } from 'node:async_hooks'

const timer = setTimeout(() => {}, 0)
const Timer = timer.constructor
clearTimeout(timer)

/**
 * Whether an abort was raised by a timer itself: a limit on latency, not somebody's decision. To be asked inside the abort
 * listener, which runs synchronously: nothing but a timer's own callback runs with the timer as its asynchronous resource.
 */
export function raisedByTimer(reason: unknown): boolean {
  return (reason instanceof Error && reason.name === 'TimeoutError') || executionAsyncResource() instanceof Timer
}
