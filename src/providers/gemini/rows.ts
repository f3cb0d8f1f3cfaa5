import { z } from 'zod'
import type { JobResult } from '../../core/batch.ts'
import { elementTexts, memberText, oneLine } from '../toolkit/json-text.ts'
import { errorBody, ownErrorBody, RpcStatus, toHttpError } from './rpc-status.ts'

/*
 * Rows in and out. A file has `{"key", "request"}` and `{"key", "response" | "error"}`, an inline list `{"request", "metadata": {"key"}}` and
 * `{"response" | "error", "metadata": {"key"}}` [ai.google.dev/api/batch-api; recorded 2026-08 by crmne/ruby_llm].
 */

/** A line of the input file around the caller's own JSON text. */
export function fileRow(key: string, request: string): string {
  return `{"key":"${key}","request":${oneLine(request)}}`
}

const FILE_ROW = /^\{"key":"([^"]*)","request":/

/** The same row as it goes inside a create. */
export function inlineRow(line: string): string {
  const [before, key] = FILE_ROW.exec(line) ?? ['', '']
  return `{"request":${line.slice(before.length, -1)},"metadata":{"key":"${key}"}}`
}

/**
 * A call for many embeddings is many rows of a batch, which knows no lists. Keys name the part and how many there are: `<custom id>.<part>.<parts>`.
 */
export function partRows(customId: string, body: string): string {
  const parts = elementTexts(memberText(body, ['requests']) ?? '[]')
  return parts.map((part, index) => fileRow(`${customId}.${index}.${parts.length}`, part)).join('\n')
}

const PART_KEY = /^(.+)\.(\d{1,9})\.(\d{1,9})$/

const Row = z.object({
  key: z.string().nullish().catch(null),
  metadata: z.object({ key: z.string() }).nullish().catch(null),
  response: z.unknown().optional(),
  error: RpcStatus.nullish().catch(null),
})

/** Reads the rows of one batch, in any order; a call that was split is told once, when its last part, or one that failed, has come. */
export function createRowReader(): (text: string) => readonly JobResult[] {
  const calls = new Map<string, SplitCall | 'told'>()

  return (text) => {
    const json = parse(text)
    const row = Row.safeParse(json)
    const key = row.success ? (row.data.key ?? row.data.metadata?.key) : undefined
    if (!row.success || key === undefined) return [{ kind: 'unreadable' }]
    const [, customId, part, parts] = PART_KEY.exec(key) ?? []
    if (customId === undefined) return [countedAsLive(resultOf(key, row.data, text))]

    const known = calls.get(customId)
    if (known === 'told') return []
    const call = known ?? { texts: new Map(), tokens: 0 }
    const result = resultOf(customId, row.data, text)
    const isAnswer = result.kind === 'reply' && result.status === 200
    const embedding = isAnswer ? memberText(text, ['response', 'embedding']) : undefined
    if (embedding === undefined) {
      calls.set(customId, 'told')
      return [isAnswer ? { kind: 'unreadable' } : result]
    }
    if (!call.texts.has(Number(part))) {
      // A slice would keep the whole piece of the download it came in.
      call.texts.set(Number(part), Buffer.from(embedding).toString())
      call.tokens += embeddedTokens(row.data.response) ?? Number.NaN
    }
    calls.set(customId, call.texts.size < Number(parts) ? call : 'told')
    return call.texts.size < Number(parts) ? [] : [merged(customId, call)]
  }
}

interface SplitCall {
  readonly texts: Map<number, string>
  /** NaN as soon as one part does not tell. */
  tokens: number
}

/** As the live endpoint answers, in the order of the call. */
function merged(customId: string, { texts, tokens }: SplitCall): JobResult {
  const embeddings = [...texts].sort(([a], [b]) => a - b).map(([, text]) => text)
  const usage = Number.isNaN(tokens) ? '' : `,"usageMetadata":{"promptTokenCount":${tokens}}`
  const body = `{"embeddings":[${embeddings.join(',')}]${usage}}`
  return { kind: 'reply', customId, status: 200, requestId: undefined, body, json: JSON.parse(body) }
}

/** One embedding, with its tokens told where the live endpoint tells them: a batch row has them beside the vector. */
function countedAsLive(result: JobResult): JobResult {
  if (result.kind !== 'reply') return result
  const one = OneEmbedding.safeParse(result.json)
  const tokens = one.success ? embeddedTokens(one.data) : undefined
  const embedding = tokens === undefined ? undefined : memberText(result.body, ['embedding'])
  if (!one.success || embedding === undefined || !Number.isFinite(tokens)) return result
  const body = `{"embedding":${embedding},"usageMetadata":{"promptTokenCount":${tokens}}}`
  return { ...result, body, json: { embedding: one.data.embedding, usageMetadata: { promptTokenCount: tokens } } }
}

function resultOf(customId: string, { response, error }: z.infer<typeof Row>, text: string): JobResult {
  const problem = error ? toHttpError(error) : undefined
  if (problem?.name === 'CANCELLED') {
    return { kind: 'unexecuted', customId, reason: 'cancelled', code: problem.name, message: problem.message }
  }
  if (problem) {
    const body = errorBody(problem, memberText(text, ['error', 'details']))
    return { kind: 'reply', customId, status: problem.http, requestId: undefined, body, json: JSON.parse(body) }
  }
  const body = memberText(text, ['response'])
  if (typeof response !== 'object' || response === null || body === undefined) {
    const nothing = ownErrorBody(500, 'empty_row', 'the row of this request holds neither a response nor an error')
    return { kind: 'reply', customId, status: 500, requestId: undefined, body: nothing, json: JSON.parse(nothing) }
  }
  return { kind: 'reply', customId, status: 200, requestId: undefined, body, json: response }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const Tokens = z.union([z.number(), z.string()]).nullish().catch(null)
const Embedded = z.object({
  tokenCount: Tokens,
  usageMetadata: z.object({ promptTokenCount: Tokens }).nullish().catch(null),
})

const OneEmbedding = z.object({ embedding: z.object({}).loose(), tokenCount: z.union([z.number(), z.string()]) })

/** Tokens of an embedding, told in either place [types of @google/genai 3.1: SingleEmbedContentResponse, EmbedContentResponse]. */
export function embeddedTokens(response: unknown): number | undefined {
  const parsed = Embedded.safeParse(response)
  const told = parsed.success ? (parsed.data.usageMetadata?.promptTokenCount ?? parsed.data.tokenCount) : undefined
  return told === null || told === undefined || told === '' ? undefined : Number(told)
}
