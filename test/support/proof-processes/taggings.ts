import type { BatchHandle, BatchState } from '../../../src/core/batch.ts'
import type { Call, Found, ProviderAdapter } from '../../../src/core/adapter.ts'
import { openai } from '../../../src/providers/openai.ts'

/** What a provider lets us recognise our batch by, after a create that was never answered. */
export type Tagging = 'metadata' | 'file-id' | 'none'

export const TAGGINGS: readonly Tagging[] = ['metadata', 'file-id', 'none']

const PAGE = 100
/** Seconds by which the two clocks, and the provider's whole seconds, may differ. */
const SKEW_SECONDS = 5

interface Listed {
  readonly id: string
  readonly status: string
  readonly created_at: number
  readonly input_file_id: string
  readonly output_file_id: string | null
  readonly error_file_id: string | null
  readonly request_counts: { readonly total: number; readonly completed: number; readonly failed: number }
}

/** OpenAI as it is, and as two providers that take no metadata: one whose batches name their upload, one whose batches name nothing. */
export function adapterFor(tagging: Tagging): ProviderAdapter {
  if (tagging === 'metadata') return openai
  return {
    ...openai,
    create: (intent, upload, input, call) => openai.create(intent, upload, input, withoutMetadata(call)),
    find: tagging === 'file-id' ? findByFile : findCandidates,
  }
}

/** A provider that drops what it does not know. */
function withoutMetadata(call: Call): Call {
  return {
    baseUrl: call.baseUrl,
    send(request) {
      const { metadata: _, ...body } = JSON.parse(typeof request.body === 'string' ? request.body : '{}') as Record<
        string,
        unknown
      > // our own create
      return call.send({ ...request, body: JSON.stringify(body) })
    },
  }
}

const findByFile: ProviderAdapter['find'] = async (intent, call): Promise<Found> => {
  const states = (await listed(call)).filter((batch) => batch.input_file_id === intent.upload?.fileId).map(toState)
  return states.length === 0 ? { kind: 'none' } : { kind: 'adopted', states }
}

const findCandidates: ProviderAdapter['find'] = async (intent, call): Promise<Found> => {
  const since = intent.createdAt / 1000 - SKEW_SECONDS
  const states = (await listed(call))
    .filter(({ created_at: at }) => at >= since)
    // Before validation a batch does not say how many rows it has.
    .filter(({ request_counts: { total } }) => total === 0 || total === intent.jobs)
    .map(toState)
  return states.length === 0 ? { kind: 'none' } : { kind: 'candidates', states }
}

async function listed(call: Call): Promise<readonly Listed[]> {
  const all: Listed[] = []
  for (let after: string | undefined; ; after = all.at(-1)?.id) {
    const query = { limit: String(PAGE), ...(after === undefined ? {} : { after }) }
    const response = await call.send({ method: 'GET', path: '/batches', query })
    // The simulator's own list.
    const { data, has_more: hasMore } = (await response.json()) as { data: readonly Listed[]; has_more: boolean }
    all.push(...data)
    if (!hasMore) return all
  }
}

function toState(batch: Listed): BatchState {
  const { id, status, input_file_id: inputFileId, output_file_id: output, error_file_id: errors } = batch
  const handle: BatchHandle = {
    id,
    inputFileId,
    ...(output ? { outputFileId: output } : {}),
    ...(errors ? { errorFileId: errors } : {}),
  }
  if (status === 'completed' || status === 'expired' || status === 'cancelled') {
    return { handle, status, phase: 'ended', outcome: status }
  }
  if (status === 'failed')
    return { handle, status, phase: 'ended', outcome: 'failed', refused: 'invalid', problems: [] }
  return { handle, status, phase: 'running' }
}
