import type { BatchView } from '../batches/batch.ts'
import type { InputProblem } from '../batches/dialect.ts'
import type { StoredFile } from '../file-store.ts'
import { isFinal, type Phase } from '../timeline.ts'
import type { RowForm } from './dialect.ts'
import { rpcStatus, type Status } from './envelope.ts'
import { fileName } from './files.ts'
import { timestamp } from './timestamp.ts'

/** What a Gemini batch shows beside where it stands. */
export interface Shown {
  readonly batchType: 'GenerateContentBatch' | 'EmbedContentBatch'
  readonly model: string
  readonly displayName: string
  readonly input: StoredFile
  readonly rows: RowForm
  /** How many it has. */
  requests(): number
}

export type Output =
  | { readonly responsesFile: string }
  | { readonly inlinedResponses: { readonly inlinedResponses: readonly unknown[] } }

const STATES: Readonly<Record<Phase, string>> = {
  validating: 'BATCH_STATE_PENDING',
  in_progress: 'BATCH_STATE_RUNNING',
  finalizing: 'BATCH_STATE_RUNNING',
  // There is no state between, and no time either.
  cancelling: 'BATCH_STATE_CANCELLED',
  completed: 'BATCH_STATE_SUCCEEDED',
  failed: 'BATCH_STATE_FAILED',
  expired: 'BATCH_STATE_EXPIRED',
  cancelled: 'BATCH_STATE_CANCELLED',
}

/**
 * A batch as a long-running operation [wire: ruby_llm's recordings of August 2026]: counts are int64 and so text, zeros are left out,
 * `done` appears at the end, and the output is there twice. A result is either a response or an error [spec: google.longrunning];
 * that a cancelled batch keeps in its metadata the rows that were done is our reading.
 */
export function operationOf(view: BatchView, shown: Shown, output: Output | undefined): Record<string, unknown> {
  const { id, phase } = view
  const name = `batches/${id}`
  const type = `type.googleapis.com/google.ai.generativelanguage.v1main.${shown.batchType}`
  const error = errorOf(view)
  const ended = view.entered[phase]
  const metadata = {
    '@type': type,
    model: `models/${shown.model}`,
    ...(shown.displayName === '' ? {} : { displayName: shown.displayName }),
    ...(shown.rows === 'file' ? { inputConfig: { fileName: fileName(shown.input) } } : {}),
    ...(output === undefined ? {} : { output }),
    createTime: timestamp(view.createdAt),
    ...(isFinal(phase) && ended !== undefined ? { endTime: timestamp(ended) } : {}),
    updateTime: timestamp(Math.max(view.createdAt, ...Object.values(view.entered))),
    batchStats: statsOf(view, shown.requests()),
    state: STATES[phase],
    name,
  }
  if (!isFinal(phase)) return { name, metadata }
  if (error !== undefined) return { name, metadata, done: true, error }
  return {
    name,
    metadata,
    done: true,
    ...(output === undefined ? {} : { response: { '@type': `${type}Output`, ...output } }),
  }
}

function statsOf({ counts, phase }: BatchView, requests: number): Record<string, string> {
  const over = phase === 'failed' || phase === 'expired' || phase === 'cancelled'
  const stats = {
    requestCount: requests,
    successfulRequestCount: counts.completed,
    failedRequestCount: counts.failed,
    pendingRequestCount: over ? 0 : requests - counts.completed - counts.failed,
  }
  return Object.fromEntries(
    Object.entries(stats).flatMap(([name, count]) => (count > 0 ? [[name, String(count)]] : [])),
  )
}

function errorOf({ phase, problem }: BatchView): Status | undefined {
  switch (phase) {
    case 'failed':
      return problem ? rejected(problem) : rpcStatus(500, 'Internal error encountered.')
    case 'cancelled':
      return rpcStatus(499, 'The operation was cancelled.')
    case 'expired':
      return rpcStatus(504, 'The batch expired before it could be completed.')
    case 'validating':
    case 'in_progress':
    case 'finalizing':
    case 'cancelling':
    case 'completed':
      return undefined
  }
}

/** Codes other than Google's come from faults that were asked for. */
function rejected({ code, message, line }: InputProblem): Status {
  const words = line === null ? message : `Error on line ${line}: ${message}`
  return code === 'server_error' ? rpcStatus(500, words) : rpcStatus(400, words)
}
