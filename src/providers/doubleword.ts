import type { Call, FinishedRows, ProviderAdapter, TaggedBatch } from '../core/adapter.ts'
import type { BatchHandle, BatchState, JobResult } from '../core/batch.ts'
import { ProviderError } from '../core/errors.ts'
import type { JsonObject } from '../core/request.ts'
import { anthropic } from './anthropic.ts'
import { messageStub } from './anthropic/stub.ts'
import { readFailure } from './doubleword/failures.ts'
import { RefusedModel, withItsRows } from './doubleword/refused-model.ts'
import { bearer } from './toolkit/bearer.ts'
import { deleteInput, uploadFile } from './toolkit/files.ts'
import { findListed, mapPages } from './toolkit/look-up.ts'
import { problemIn } from './toolkit/named-line.ts'
import { createBody, listedAs, OpenaiBatch, stateOf, TAG, taggedOf } from './toolkit/openai-batch.ts'
import { openaiEnvelope } from './toolkit/openai-envelope.ts'
import { LIST_LIMIT, listPages } from './toolkit/openai-list.ts'
import { inputLine, outputRow } from './toolkit/openai-rows.ts'
import { askFor, pollFromList } from './toolkit/poll.ts'
import { readLines } from './toolkit/read-lines.ts'
import { discard, postJson, readReply } from './toolkit/replies.ts'
import { openaiStub } from './toolkit/stub-openai.ts'
import { readUsage } from './toolkit/usage.ts'

/*
 * Doubleword's Batch API: OpenAI's, checked at upload, whose result files can be read while they grow. Facts from the source of its server
 * (doublewordai/control-layer 10.13 and doublewordai/fusillade), read 2026-11; the limits are those it has unless its operator sets others.
 */

/** Path after the base URL → what a batch line names. */
const ENDPOINTS = new Map([
  ['/chat/completions', '/v1/chat/completions'],
  ['/completions', '/v1/completions'],
  ['/embeddings', '/v1/embeddings'],
  ['/responses', '/v1/responses'],
  // Anthropic's, in its shape.
  ['/messages', '/v1/messages'],
])

export const doubleword: ProviderAdapter = {
  name: 'doubleword',
  facts: {
    title: 'Doubleword',
    endpoints: [...ENDPOINTS.values()],
    discount: 'by model and window; up to 90 %, it says',
    recoveredBy: 'metadata',
    passesThrough: ['`stream: true`', '`background: true`', '`service_tier` other than `auto` and `default`'],
  },
  bases: ['https://api.doubleword.ai/v1'],
  // It has no SDK of its own.
  baseUrlEnv: undefined,
  limits: {
    // It sets none.
    jobs: 50_000,
    bytes: 100_000_000,
    bytesPerJob: 10_000_000,
    windows: ['24h', '1h'],
    // Sixteen pairs; lengths are not documented.
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  // The endpoint of a batch is checked, but each line's own counts.
  mixes: 'endpoints',
  credentials: { ...bearer('DOUBLEWORD_API_KEY'), headers: ['authorization', 'x-api-key'] },
  requestIdHeader: 'x-request-id',

  match({ method }, path) {
    const endpoint = method === 'POST' ? ENDPOINTS.get(path) : undefined
    return endpoint === undefined ? undefined : { endpoint }
  },

  admit(body) {
    if (body.background === true)
      return 'background: true answers at once and runs elsewhere, which a batch cannot wait for'
    const tier = body.service_tier
    if (typeof tier === 'string' && tier !== 'auto' && tier !== 'default') {
      return `service_tier "${tier}" asks for a price and pace of its own`
    }
    return undefined
  },

  refusal(error) {
    if (error instanceof RefusedModel) return error.isEveryRow ? 'invalid' : { rows: error.rows }
    // No room, or a fault of its own: whatever the words, nobody's row is to blame.
    if (error.status === 429 || error.status >= 500) return undefined
    const problem = problemIn(textOf(error))
    const rows = problem.line === undefined ? [] : [problem]
    if (/exceeds maximum|too large/i.test(problem.message)) return 'too-large'
    if (error.status === 400 || error.status === 422 || isAboutModel(error) || rows.length > 0) return { rows }
    return undefined
  },

  line: inputLine,

  async upload(_intent, input, call) {
    try {
      return await uploadFile('/files', { purpose: 'batch' }, input, call)
    } catch (error) {
      throw error instanceof ProviderError && isAboutModel(error)
        ? await withItsRows(error, problemIn(textOf(error)), input)
        : error
    }
  },

  async create(intent, upload, _input, call) {
    const reply = await postJson('/batches', createBody(intent, upload?.fileId), call)
    return toState(await readReply(reply, OpenaiBatch))
  },

  // The search is over the text of the metadata, among others.
  find: (intent, call) =>
    findListed(
      mapPages(listPages(call, { search: intent.tag }), (batch) => listedAs(intent.tag, batch, toState)),
      intent,
    ),

  async *list(call): AsyncGenerator<TaggedBatch> {
    for await (const batches of listPages(call, { search: TAG })) yield* taggedOf(batches, toState)
  },

  poll: (handles, call) =>
    pollFromList(handles, { read: () => mapPages(listPages(call), toState), size: LIST_LIMIT }, ({ id }) =>
      askFor(`/batches/${encodeURIComponent(id)}`, call, OpenaiBatch, toState),
    ),

  async *results(handle, call): AsyncGenerator<readonly JobResult[]> {
    for (const fileId of filesOf(handle)) {
      for await (const { rows } of readRows(fileId, 0, 'complete', call)) yield rows
    }
  },

  // Rows are appended as they finish. One that was long in coming may end up behind the place we have read to: `results` reads it.
  async *finished(handle, since, call): AsyncGenerator<FinishedRows> {
    const places: Record<string, number> = {}
    for (const fileId of filesOf(handle)) places[fileId] = placeIn(since, fileId)
    for (const fileId of filesOf(handle)) {
      for await (const { rows, place } of readRows(fileId, places[fileId] ?? 0, 'now', call)) {
        places[fileId] = place
        yield { rows, since: { ...places } }
      }
    }
  },

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `/batches/${encodeURIComponent(id)}/cancel` }))
  },

  release: deleteInput,
  envelope: openaiEnvelope,
  stub: (body, target) => (target.endpoint === '/v1/messages' ? messageStub(body) : openaiStub(body, target)),
  usage: (json) => (isMessage(json) ? anthropic.usage(json) : readUsage(json)),
}

function toState(batch: OpenaiBatch): BatchState {
  const state = stateOf(batch)
  const counts = batch.request_counts
  const hasRun = counts ? counts.completed + counts.failed > 0 : false
  if (state.phase === 'running') return hasRun ? { ...state, partial: true } : state
  // `failed` is also what it calls a batch each row of which has failed: its rows tell how.
  if (state.outcome !== 'failed' || !hasRun) return state
  return { status: state.status, handle: state.handle, counts: state.counts, phase: 'ended', outcome: 'completed' }
}

function filesOf({ outputFileId, errorFileId }: BatchHandle): readonly string[] {
  return [outputFileId, errorFileId].filter((id) => typeof id === 'string' && id !== '') as string[] // just filtered
}

function placeIn(since: JsonObject | undefined, fileId: string): number {
  const place = since?.[fileId]
  return typeof place === 'number' ? place : 0
}

/** The rows of a file from a place on, and where each group ends. `skip` counts lines; the server takes no notice of `offset`. */
async function* readRows(
  fileId: string,
  from: number,
  until: 'now' | 'complete',
  call: Call,
): AsyncGenerator<{ readonly rows: readonly JobResult[]; readonly place: number }> {
  const path = `/files/${encodeURIComponent(fileId)}/content`
  let place = from
  for (;;) {
    const started = place
    const query = place === 0 ? {} : { skip: String(place) }
    const response = await call.send({ method: 'GET', path, query, isTransfer: true })
    for await (const lines of readLines(response)) {
      place += lines.length
      yield { rows: lines.map(toResult), place }
    }
    const isIncomplete = response.headers.get('x-incomplete') === 'true'
    if (until === 'now' || !isIncomplete || place === started) return
  }
}

function toResult(line: string): JobResult {
  const result = outputRow(line)
  return result.kind === 'unexecuted' && result.reason === 'other'
    ? readFailure(result.customId, result.message)
    : result
}

/** Of its 403s those that speak of a model are about the rows that ask for it: others share their batch. */
function isAboutModel(error: ProviderError): boolean {
  return error.status === 403 && /\bmodel\b/i.test(textOf(error))
}

/** Most of its refusals are plain text. */
function textOf({ body, message }: ProviderError): string {
  return body.startsWith('{') || body.startsWith('<') || body === '' ? message : body
}

function isMessage(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'type' in json && json.type === 'message'
}
