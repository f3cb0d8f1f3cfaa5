import type { ZodType } from 'zod'
import type { Call } from '../../core/adapter.ts'
import type { BatchHandle, BatchState } from '../../core/batch.ts'
import { ProviderError } from '../../core/errors.ts'
import { readReply } from './replies.ts'

/** One call each. A batch that cannot be asked about takes nothing from those that can: only if none can, that is an error. */
export async function pollEach(
  handles: readonly BatchHandle[],
  ask: (handle: BatchHandle) => Promise<BatchState>,
  known: readonly BatchState[] = [],
): Promise<readonly BatchState[]> {
  const answers = await Promise.allSettled(handles.map(ask))
  const states = [...known, ...answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))]
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (states.length === 0 && failed) throw failed.reason
  return states
}

/** Where a batch stands by `GET` of its path, with the pause the reply asks for. */
export async function askFor<Batch>(
  path: string,
  call: Call,
  schema: ZodType<Batch>,
  toState: (batch: Batch) => BatchState,
): Promise<BatchState> {
  const response = await call.send({ method: 'GET', path })
  const seconds = Number(response.headers.get('retry-after') || Number.NaN)
  const state = toState(await readReply(response, schema))
  return seconds > 0 ? { ...state, retryAfterMs: seconds * 1000 } : state
}

/** From this many batches on, reading the list costs fewer calls than asking one by one. */
const LIST_FROM = 8

/** Few batches are asked about one by one; many are looked for in the list, and the rest of them asked about. */
export async function pollFromList(
  handles: readonly BatchHandle[],
  pages: { readonly read: () => AsyncIterable<readonly BatchState[]>; readonly size: number },
  ask: (handle: BatchHandle) => Promise<BatchState>,
): Promise<readonly BatchState[]> {
  if (handles.length < LIST_FROM) return await pollEach(handles, ask)
  const wanted = new Set(handles.map(({ id }) => id))
  const states: BatchState[] = []
  // Pages are turned until as many calls are spent as the list could still save.
  let pagesLeft = Math.max(Math.ceil(handles.length / pages.size) + 2, Math.floor(handles.length / LIST_FROM))
  try {
    for await (const listed of pages.read()) {
      for (const state of listed) if (wanted.delete(state.handle.id)) states.push(state)
      pagesLeft -= 1
      if (wanted.size === 0 || pagesLeft === 0) break
    }
  } catch (error) {
    if (!isNotOffered(error)) throw error
  }
  const rest = handles.filter(({ id }) => wanted.has(id))
  return await pollEach(rest, ask, states)
}

/** Some gateways, and some keys, have batches but no list of them. */
export function isNotOffered(error: unknown): boolean {
  return error instanceof ProviderError && [400, 403, 404, 405].includes(error.status)
}
