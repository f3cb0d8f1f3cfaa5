import { z } from 'zod'
import type { BatchCounts, BatchHandle, BatchState } from '../../core/batch.ts'
import { elementTexts, memberText } from '../toolkit/json-text.ts'
import { RpcStatus, toHttpError } from './rpc-status.ts'

type Maybe<T> = T | null | undefined
type Count = Maybe<number | string>

/** int64 is a string in Google's JSON, and absent when it is zero. */
const Int64 = z.union([z.number(), z.string()]).nullish().catch(null)
const Text = z.string().nullish().catch(null)

/**
 * A batch as its long-running operation tells it. What matters stands in `metadata` on the wire, and at the top in samples of the guide
 * [recorded 2026-08 by crmne/ruby_llm; ai.google.dev/gemini-api/docs/batch-api]: both are read.
 */
export interface Operation {
  readonly name: string
  readonly done?: Maybe<boolean>
  readonly error?: Maybe<RpcStatus>
  readonly state?: Maybe<string>
  readonly displayName?: Maybe<string>
  readonly createTime?: Maybe<string>
  readonly metadata?: Maybe<{
    readonly state?: Maybe<string>
    readonly displayName?: Maybe<string>
    readonly createTime?: Maybe<string>
    readonly inputConfig?: Maybe<{ readonly fileName?: Maybe<string> }>
    readonly batchStats?: Maybe<{
      readonly requestCount?: Count
      readonly successfulRequestCount?: Count
      readonly failedRequestCount?: Count
    }>
  }>
}

export const Operation: z.ZodType<Operation> = z.object({
  name: z.string().min(1),
  done: z.boolean().nullish().catch(null),
  error: RpcStatus.nullish().catch(null),
  state: Text,
  displayName: Text,
  createTime: Text,
  metadata: z
    .object({
      state: Text,
      displayName: Text,
      createTime: Text,
      inputConfig: z.object({ fileName: Text }).nullish().catch(null),
      batchStats: z
        .object({ requestCount: Int64, successfulRequestCount: Int64, failedRequestCount: Int64 })
        .nullish()
        .catch(null),
    })
    .nullish()
    .catch(null),
})

export interface OperationList {
  readonly operations: readonly Operation[]
  readonly nextPageToken?: Maybe<string>
}

/** An entry that cannot be read is none of ours, and must not hide the others. */
export const OperationList: z.ZodType<OperationList> = z.object({
  operations: z
    .array(Operation.nullable().catch(null))
    .nullish()
    .transform((all) => (all ?? []).filter((operation) => operation !== null)),
  nextPageToken: z.string().nullish(),
})

/** What we keep of a batch beside its name; `isSplit`: its rows are parts of jobs. */
export interface Kept {
  readonly inputFile?: string | undefined
  readonly isSplit?: boolean | undefined
}

export function keptOf({ inputFile, isSplit }: BatchHandle): Kept {
  return { ...(typeof inputFile === 'string' ? { inputFile } : {}), ...(isSplit === true ? { isSplit } : {}) }
}

export function displayNameOf({ displayName, metadata }: Operation): string | undefined {
  return metadata?.displayName ?? displayName ?? undefined
}

/** Milliseconds since the epoch; undefined when it is not told. */
export function createdMs({ createTime, metadata }: Operation): number | undefined {
  const parsed = Date.parse(metadata?.createTime ?? createTime ?? '')
  return Number.isNaN(parsed) ? undefined : parsed
}

export function toState(operation: Operation, kept: Kept): BatchState {
  const { name, done, error, metadata } = operation
  const status = (metadata?.state ?? operation.state ?? '').replace(/^(?:BATCH|JOB)_STATE_/, '').toLowerCase()
  const inputFile = kept.inputFile ?? metadata?.inputConfig?.fileName ?? undefined
  const isSplit = kept.isSplit ?? false
  const handle = { id: name, ...(inputFile ? { inputFile } : {}), ...(isSplit ? { isSplit } : {}) }
  const about = { handle, status: status || 'pending', counts: isSplit ? undefined : countsOf(operation) }
  const problem = error ? toHttpError(error) : undefined
  switch (status) {
    case 'succeeded':
      return { ...about, phase: 'ended', outcome: 'completed' }
    case 'cancelled':
    case 'expired':
      return { ...about, phase: 'ended', outcome: status }
    case 'failed':
      break
    default:
      if (done !== true) return { ...about, phase: 'running' }
      if (!problem) return { ...about, phase: 'ended', outcome: 'completed' }
      if (problem.name === 'CANCELLED') return { ...about, phase: 'ended', outcome: 'cancelled' }
  }
  const { name: code, message } = problem ?? { name: 'UNKNOWN', message: 'the provider gave no reason' }
  const problems = [{ code, message, line: undefined, param: undefined }]
  return { ...about, phase: 'ended', outcome: 'failed', refused: REFUSED.get(code) ?? 'invalid', problems }
}

/**
 * What a failed batch says by its code [choice: Google documents none]. Whatever else it may be, some row may be to blame: INTERNAL too, since
 * looking for that row comes to an end, and waiting for the fault to pass may not.
 */
const REFUSED: ReadonlyMap<string, 'capacity' | 'everything'> = new Map([
  ['RESOURCE_EXHAUSTED', 'capacity'],
  ['UNAVAILABLE', 'capacity'],
  ['NOT_FOUND', 'everything'],
  ['PERMISSION_DENIED', 'everything'],
  ['UNAUTHENTICATED', 'everything'],
  ['UNIMPLEMENTED', 'everything'],
])

function countsOf({ metadata }: Operation): BatchCounts | undefined {
  const stats = metadata?.batchStats
  const count = (value: number | string | null | undefined): number => Number(value ?? 0)
  const total = count(stats?.requestCount)
  if (!stats || !(total > 0)) return undefined
  return { total, completed: count(stats.successfulRequestCount), failed: count(stats.failedRequestCount) }
}

/** Where the results of an ended batch are. Rows are JSON texts. */
export interface Output {
  readonly rows: readonly string[]
  readonly file: string | undefined
}

/** The output stands in the reply twice [recorded, as above], and in `dest` in samples of the guide. */
const OUTPUTS = [['metadata', 'output'], ['response'], ['dest'], ['metadata', 'dest']]
/** Whichever way the rows went in: small files may come back inline [maximhq/bifrost#3951]. `fileName` is the samples' word. */
const FILES = ['responsesFile', 'fileName']
const ROWS = ['inlinedResponses', 'inlinedEmbedContentResponses']

/** Reads where results are from the text of an operation, which must be valid JSON. */
export function readOutput(text: string): Output {
  for (const path of OUTPUTS) {
    const output = memberText(text, path) ?? ''
    const rows = ROWS.flatMap((name) => rowTexts(memberText(output, [name]) ?? ''))
    const file = FILES.map((name) => memberText(output, [name]) ?? '').find((found) => found.startsWith('"'))
    if (rows.length > 0 || file !== undefined) {
      return { rows, file: file === undefined ? undefined : z.string().parse(JSON.parse(file)) || undefined }
    }
  }
  return { rows: [], file: undefined }
}

/** A list of rows, or an object that holds one by the same name [types of @google/genai 3.1, InlinedEmbedContentResponse]. */
function rowTexts(text: string): readonly string[] {
  return elementTexts(text.startsWith('{') ? (memberText(text, ['inlinedResponses']) ?? '') : text)
}
