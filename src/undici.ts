import type { Dispatcher } from 'undici'
import type { Dispatch } from './intercept/dispatcher-net.ts'
import { INTERCEPTION, type Intercepting } from './intercept/scope.ts'

/**
 * Batches the calls of a program that brings its own dispatcher: `new Agent().compose(batchInterceptor(batch))`. Everything
 * that can be batched goes into this scope, whatever the context; everything else goes on to the dispatcher.
 */
export function batchInterceptor(scope: Intercepting): Dispatcher.DispatcherComposeInterceptor {
  // Ours tells the handler's form call by call, so it takes what any version of undici hands it.
  return (dispatch) => scope[INTERCEPTION].dispatch(dispatch as Dispatch) as Dispatcher['dispatch']
}
