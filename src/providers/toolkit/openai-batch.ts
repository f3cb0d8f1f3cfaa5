import { z } from 'zod'
import type { TaggedBatch } from '../../core/adapter.ts'
import type { BatchProblem, BatchState } from '../../core/batch.ts'
import { type Listed, toMs } from './look-up.ts'

/** Key of our tag in a batch's metadata. */
export const TAG = 'offpeak_intent'

interface Complaint {
  readonly code?: string | null | undefined
  readonly message?: string | null | undefined
  readonly line?: number | null | undefined
  readonly param?: string | null | undefined
}

const Complaint: z.ZodType<Complaint> = z.object({
  code: z.string().nullish(),
  message: z.string().nullish(),
  line: z.number().int().nullish(),
  param: z.string().nullish(),
})

/** A batch as OpenAI and its relatives report it: the fields that are read, whatever else there is. */
export interface OpenaiBatch {
  readonly id: string
  readonly status: string
  readonly input_file_id?: string | null | undefined
  readonly output_file_id?: string | null | undefined
  readonly error_file_id?: string | null | undefined
  readonly created_at?: number | string | null | undefined
  readonly request_counts?: { total: number; completed: number; failed: number } | null | undefined
  readonly metadata?: Record<string, unknown> | null | undefined
  readonly errors?: readonly Complaint[] | null | undefined
}

export const OpenaiBatch: z.ZodType<OpenaiBatch> = z.object({
  id: z.string().min(1),
  status: z.string().catch('unknown'),
  input_file_id: z.string().nullish().catch(null),
  output_file_id: z.string().nullish().catch(null),
  error_file_id: z.string().nullish().catch(null),
  created_at: z.union([z.number(), z.string()]).nullish().catch(null),
  request_counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }).nullish().catch(null),
  // Whatever others put beside our tag must not hide it: a batch that is not found is created again.
  metadata: z.record(z.string(), z.unknown()).nullish().catch(null),
  errors: z
    .union([z.object({ data: z.array(Complaint).nullish() }).transform(({ data }) => data), z.array(Complaint)])
    .nullish()
    .catch(null),
})

/** What the create of a batch says: the caller's metadata and our tag, which nobody can overwrite. */
export function createBody(
  intent: { readonly endpoint: string; readonly window: string; readonly tag: string; readonly metadata: object },
  fileId: unknown,
): string {
  return JSON.stringify({
    input_file_id: fileId,
    endpoint: intent.endpoint,
    completion_window: intent.window,
    metadata: { ...intent.metadata, [TAG]: intent.tag },
  })
}

/** Where a batch stands. */
export function stateOf(batch: OpenaiBatch): BatchState {
  const status = batch.status.toLowerCase()
  const about = {
    status,
    handle: {
      id: batch.id,
      // An empty id, null and none mean the same.
      ...(batch.input_file_id ? { inputFileId: batch.input_file_id } : {}),
      ...(batch.output_file_id ? { outputFileId: batch.output_file_id } : {}),
      ...(batch.error_file_id ? { errorFileId: batch.error_file_id } : {}),
    },
    counts: countsOf(batch),
  }
  switch (status) {
    case 'completed':
    case 'expired':
    case 'cancelled':
      return { ...about, phase: 'ended', outcome: status }
    case 'failed': {
      // Validation fails a batch before any row is run. Where some were, those it tells nothing of may have been run, and billed, too.
      if ((batch.request_counts?.completed ?? 0) > 0) return { ...about, phase: 'ended', outcome: 'completed' }
      const problems = problemsOf(batch)
      return { ...about, phase: 'ended', outcome: 'failed', refused: refusedBecause(problems), problems }
    }
    default:
      return { ...about, phase: 'running' }
  }
}

// While a batch is validated its counts are all zero: that is "not known yet", not "nothing to do".
function countsOf({ request_counts: counts }: OpenaiBatch): BatchState['counts'] {
  return counts && counts.total > 0 ? counts : undefined
}

/** What a provider complains about in a batch. */
export function problemsOf({ errors }: OpenaiBatch): readonly BatchProblem[] {
  return (errors ?? []).map(({ code, message, line, param }) => ({
    code: code ?? undefined,
    message: message ?? code ?? 'the provider gave no reason',
    line: line ?? undefined,
    param: param ?? undefined,
  }))
}

/** Codes of OpenAI's for an account that may spend no more, whatever is asked of it (https://help.openai.com/en/articles/6614457). */
export const OUT_OF_MONEY: readonly string[] = [
  'insufficient_quota',
  'billing_hard_limit_reached',
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
  'project_spend_limit_exceeded',
]

/**
 * Codes of a refused batch that say something about room, or about all of its rows, which share one model: whichever line they name. Any
 * other: some row. Observed at OpenAI and Azure.
 */
const NO_ROOM = new Set([
  'token_limit_exceeded',
  'enqueued_token_limit_exceeded',
  'request_limit_exceeded',
  'rate_limit_exceeded',
])
const ALL_ROWS = new Set(['model_not_found', 'invalid_model', 'model_not_supported'])

function refusedBecause(problems: readonly BatchProblem[]): 'capacity' | 'account' | 'invalid' | 'everything' {
  const isOf = (codes: ReadonlySet<string>): boolean =>
    problems.some(({ code }) => code !== undefined && codes.has(code))
  if (isOf(NO_ROOM)) return 'capacity'
  if (isOf(new Set(OUT_OF_MONEY))) return 'account'
  if (isOf(ALL_ROWS)) return 'everything'
  return 'invalid'
}

type Tagged = Pick<OpenaiBatch, 'metadata' | 'created_at'>

/** A batch in a list, looked at for one tag. */
export function listedAs<Batch extends Tagged>(
  tag: string,
  batch: Batch,
  toState: (batch: Batch) => BatchState,
): Listed {
  return { isOurs: batch.metadata?.[TAG] === tag, state: toState(batch), createdMs: toMs(batch.created_at) }
}

/** The batches of a list that carry a tag of ours. */
export function taggedOf<Batch extends Tagged>(
  batches: readonly Batch[],
  toState: (batch: Batch) => BatchState,
): readonly TaggedBatch[] {
  return batches.flatMap((batch) => {
    const tag = batch.metadata?.[TAG]
    const createdAt = toMs(batch.created_at)
    if (typeof tag !== 'string') return []
    return [{ tag, state: toState(batch), createdAt: Number.isFinite(createdAt) ? createdAt : undefined }]
  })
}
