import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')

/** What nobody holds is gone after this, as it may be at any moment of a long wait: an abort that only such a thing would pass on is lost. */
export async function collectGarbage(): Promise<void> {
  if (typeof collect !== 'function') throw new Error('this engine does not let go of its garbage collector')
  // What was made in this turn is held by it.
  await turn()
  collect()
}
