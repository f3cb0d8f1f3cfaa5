import type { BatchState } from '../../core/batch.ts'
import { ProviderError } from '../../core/errors.ts'
import { reasonOf } from '../../manager/caller.ts'
import type { StoredBatch } from '../../store/read-batches.ts'
import { callFor, keyFor, type Keys } from './key.ts'

/** What a provider says of a batch, or why it could not be asked. */
export type Asked =
  | { readonly batch: StoredBatch; readonly kind: 'told'; readonly state: BatchState }
  | { readonly batch: StoredBatch; readonly kind: 'not-told'; readonly reason: string }

export type Cancelled =
  | { readonly batch: StoredBatch; readonly kind: 'asked' }
  | { readonly batch: StoredBatch; readonly kind: 'not-asked'; readonly reason: string }

/** Asks the providers where batches stand, those of one account together. In the order of the batches. */
export async function askAbout(
  batches: readonly StoredBatch[],
  keys: Keys,
  stopping: AbortSignal,
): Promise<readonly Asked[]> {
  const accounts = Map.groupBy(batches, ({ intent }) => intent.account)
  const answers = await Promise.all([...accounts.values()].map((all) => askOneAccount(all, keys, stopping)))
  const byBatch = new Map(answers.flat().map((asked) => [asked.batch, asked]))
  return batches.flatMap((batch) => byBatch.get(batch) ?? [])
}

async function askOneAccount(
  batches: readonly StoredBatch[],
  keys: Keys,
  stopping: AbortSignal,
): Promise<readonly Asked[]> {
  const [first] = batches
  if (!first) return []
  const key = keyFor(first.intent, keys)
  const told = new Map<string, BatchState>()
  const handles = batches.flatMap(({ intent }) => intent.handle ?? [])
  if (key.kind === 'same' && handles.length > 1) {
    const { adapter, headers } = key
    // Whoever is not told of here is asked about alone, which tells why.
    const states = await adapter.poll(handles, callFor(first.intent, headers, adapter, stopping)).catch(() => [])
    for (const state of states) told.set(state.handle.id, state)
  }
  return await Promise.all(
    batches.map(async (batch): Promise<Asked> => {
      const { handle } = batch.intent
      if (!handle) return { batch, kind: 'not-told', reason: whyNoBatch(batch) }
      if (key.kind === 'another') return { batch, kind: 'not-told', reason: key.reason }
      const known = told.get(handle.id)
      if (known) return { batch, kind: 'told', state: known }
      const { adapter, headers } = key
      try {
        const [state] = await adapter.poll([handle], callFor(batch.intent, headers, adapter, stopping))
        return state ? { batch, kind: 'told', state } : { batch, kind: 'not-told', reason: NOT_SEEN }
      } catch (error) {
        return { batch, kind: 'not-told', reason: refusalText(error, batch) }
      }
    }),
  )
}

/** Asks its provider to cancel a batch. What it has run by then is billed, and its answers are kept by whoever collects them. */
export async function askToCancel(batch: StoredBatch, keys: Keys, stopping: AbortSignal): Promise<Cancelled> {
  const { intent, state } = batch
  if (state !== 'running' || !intent.handle) return { batch, kind: 'not-asked', reason: whyNoBatch(batch) }
  const key = keyFor(intent, keys)
  if (key.kind === 'another') return { batch, kind: 'not-asked', reason: key.reason }
  const { adapter, headers } = key
  try {
    await adapter.cancel(intent.handle, callFor(intent, headers, adapter, stopping))
    return { batch, kind: 'asked' }
  } catch (error) {
    return { batch, kind: 'not-asked', reason: refusalText(error, batch) }
  }
}

const NOT_SEEN = 'this key does not see it'

function whyNoBatch({ state, holder }: StoredBatch): string {
  switch (state) {
    case 'sending':
      return 'it is not with its provider yet'
    case 'creating':
      return `nobody knows yet whether its provider has it: ${holder ? 'its program' : 'the next run of its program'} looks for it`
    case 'abandoned':
      return 'it was never sent'
    case 'running':
    case 'completed':
    case 'expired':
    case 'cancelled':
    case 'failed':
      return 'it is over'
  }
}

function refusalText(error: unknown, { intent }: StoredBatch): string {
  if (!(error instanceof ProviderError)) return `${intent.provider} cannot be reached: ${reasonOf(error)}`
  if (error.status === 404) return NOT_SEEN
  if (error.status === 401 || error.status === 403) return `${intent.provider} refuses the key (HTTP ${error.status})`
  return `${intent.provider} refused (HTTP ${error.status}): ${error.message}`
}
