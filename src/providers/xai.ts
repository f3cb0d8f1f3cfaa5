import { z } from 'zod'
import type { Call, FinishedRows, ProviderAdapter, TaggedBatch } from '../core/adapter.ts'
import type { BatchHandle, BatchState, Intent, JobResult } from '../core/batch.ts'
import type { Usage } from '../core/reply.ts'
import type { Json, JsonObject } from '../core/request.ts'
import { bearer } from './toolkit/bearer.ts'
import { deleteInput, uploadFile } from './toolkit/files.ts'
import { elementTexts, memberText } from './toolkit/json-text.ts'
import { findListed, mapPages, toMs, turnPages } from './toolkit/look-up.ts'
import { problemIn, refusedLine } from './toolkit/named-line.ts'
import { askFor, pollFromList } from './toolkit/poll.ts'
import { discard, postJson, readReply, readReplyText } from './toolkit/replies.ts'
import { openaiStub } from './toolkit/stub-openai.ts'
import { readUsage } from './toolkit/usage.ts'
import { envelope } from './xai/envelope.ts'
import { line, toResult } from './xai/rows.ts'

/*
 * xAI's Batch API, by file: OpenAI's lines going in, pages of JSON coming out, counters for a status. Facts from
 * https://docs.x.ai/developers/advanced-api-usage/batch-api, @ai-sdk/xai 5.0 and litellm (`llms/xai/batches`), read 2026-11; what they
 * leave open is marked.
 */

/** Path after the base URL → what a batch line names. Videos are not answered by a JSON reply to one call. */
const ENDPOINTS = new Map([
  ['/chat/completions', '/v1/chat/completions'],
  ['/responses', '/v1/responses'],
  ['/images/generations', '/v1/images/generations'],
  ['/images/edits', '/v1/images/edits'],
])

/** Before our tag, in a batch's name. */
const NAME = 'offpeak:'
/** A 429 in 2026-02, a 403 in 2026-07: waiting does not help (continuedev/continue#10373, Anantys-oss/koan#2412). */
const OUT_OF_CREDITS = /used all available credits|monthly spending limit/i
/** Rows and batches of one page. Rows may be images of a megabyte each, so not the thousand that are allowed. */
const PAGE = 100
/** An input nobody deletes goes by itself; the longest that is allowed. */
const INPUT_LASTS_SECONDS = 30 * 24 * 60 * 60
/**
 * Times may be dates without a time, of a zone that is not told: such a day is taken to end late enough for every zone, so that no look-up
 * ends before it.
 */
const DATE = /^\d{4}-\d\d-\d\d$/
const DAY_ENDS_MS = 38 * 60 * 60_000

const counter = z.number().nullish().catch(null)

const Batch = z.object({
  batch_id: z.string().min(1),
  name: z.string().nullish().catch(null),
  create_time: z.string().nullish().catch(null),
  cancel_time: z.string().nullish().catch(null),
  cancel_by_xai_message: z.string().nullish().catch(null),
  input_file_id: z.string().nullish().catch(null),
  state: z
    .object({
      num_requests: counter,
      num_pending: counter,
      num_success: counter,
      num_error: counter,
      num_cancelled: counter,
    })
    .nullish()
    .catch(null),
})
type Batch = z.infer<typeof Batch>

const BatchPage = z.object({ batches: z.array(Batch), pagination_token: z.string().nullish() })
// Each row is read by itself: one of no known shape takes nothing from the others.
const ResultPage = z.object({ results: z.array(z.unknown()), pagination_token: z.string().nullish() })

export const xai: ProviderAdapter = {
  name: 'xai',
  facts: {
    title: 'xAI',
    endpoints: [...ENDPOINTS.values()],
    // Older pages of its documentation say 50 %.
    discount: '20 % on current models',
    recoveredBy: 'name',
    passesThrough: [
      '`stream: true`',
      '`background: true`, `deferred: true`',
      '`service_tier` other than `auto` and `default`',
      'responses with server-side tools, `include`, or a link to a stored response',
      'images by URL',
      'videos',
    ],
  },
  bases: ['https://api.x.ai/v1'],
  // It is used through the SDKs of others, which look in none.
  baseUrlEnv: undefined,
  limits: {
    jobs: 50_000,
    bytes: 200_000_000,
    bytesPerJob: 200_000_000,
    // Not chosen: "typically within 24 hours".
    windows: ['24h'],
    // A batch takes none: the caller's stays with us, whatever it is.
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  // Models and endpoints may be mixed. But a model that is not offered in batches cancels the whole batch, without naming a line.
  mixes: 'nothing',
  credentials: bearer('XAI_API_KEY'),
  requestIdHeader: 'x-request-id',
  refusal(error) {
    // A wrong key is a 400 in words.
    if (error.status === 400 && /\bapi key\b/i.test(error.message)) return 'account'
    return OUT_OF_CREDITS.test(error.message) ? 'account' : refusedLine(error)
  },

  match({ method }, path) {
    const endpoint = method === 'POST' ? ENDPOINTS.get(path) : undefined
    return endpoint === undefined ? undefined : { endpoint }
  },

  admit(body, { endpoint }) {
    for (const way of ['background', 'deferred']) {
      if (body[way] === true) return `${way}: true answers at once and runs elsewhere, which a batch cannot wait for`
    }
    const tier = body.service_tier
    if (typeof tier === 'string' && tier !== 'auto' && tier !== 'default') {
      return `service_tier "${tier}" asks for a price and pace of its own`
    }
    if (endpoint === '/v1/responses') return beyondChat(body)
    if (endpoint.startsWith('/v1/images/') && body.response_format !== 'b64_json') {
      return 'its image would be a URL that lasts an hour (response_format "b64_json" can ride a batch)'
    }
    return undefined
  },

  line,

  async upload(_intent, input, call) {
    // Fields that come after the file are refused; the form has them before it.
    const upload = await uploadFile('/files', { expires_after: String(INPUT_LASTS_SECONDS) }, input, call)
    return { ...upload, jobs: input.jobs }
  },

  async create(intent, upload, _input, call) {
    const body = JSON.stringify({ name: NAME + intent.tag, input_file_id: upload?.fileId })
    return toState(await readReply(await postJson('/batches', body, call), Batch), jobsOf(upload))
  },

  find: (intent, call) =>
    findListed(
      mapPages(listPages(call), (batch) => listedFor(intent, batch)),
      intent,
    ),

  async *list(call): AsyncGenerator<TaggedBatch> {
    for await (const batches of listPages(call)) {
      for (const batch of batches) {
        const createdAt = toMs(batch.create_time)
        if (!batch.name?.startsWith(NAME)) continue
        const tag = batch.name.slice(NAME.length)
        yield { tag, state: toState(batch), createdAt: Number.isFinite(createdAt) ? createdAt : undefined }
      }
    }
  },

  poll(handles, call) {
    const jobs = new Map(handles.map((handle) => [handle.id, jobsOf(handle)]))
    const toKnown = (batch: Batch): BatchState => toState(batch, jobs.get(batch.batch_id))
    return pollFromList(handles, { read: () => mapPages(listPages(call), toKnown), size: PAGE }, ({ id }) =>
      askFor(`/batches/${encodeURIComponent(id)}`, call, Batch, toKnown),
    )
  },

  async *results(handle, call): AsyncGenerator<readonly JobResult[]> {
    const pages = turnPages(async (token) => {
      const { rows, next } = await readResults(handle, token, call)
      return { items: rows, next }
    })
    for await (const rows of pages) yield rows.map(({ result }) => result)
  },

  // The last page grows, so it is read again, but for the rows that were there before.
  async *finished(handle, since, call): AsyncGenerator<FinishedRows> {
    let token = typeof since?.token === 'string' ? since.token : undefined
    let seen = new Set(Array.isArray(since?.seen) ? since.seen : [])
    for (;;) {
      const { rows, next } = await readResults(handle, token, call)
      const fresh = rows.filter(({ id }) => !seen.has(id))
      const ids = rows.map(({ id }) => id)
      const place: JsonObject = { ...(token === undefined ? {} : { token }), seen: [...new Set([...seen, ...ids])] }
      if (fresh.length > 0) yield { rows: fresh.map(({ result }) => result), since: place }
      if (next === undefined || next === token || rows.length === 0) return
      token = next
      seen = new Set()
    }
  },

  async cancel({ id }, call) {
    await discard(await postJson(`/batches/${encodeURIComponent(id)}:cancel`, '{}', call))
  },

  release: deleteInput,
  envelope,
  stub: openaiStub,
  usage: usageOf,
}

/** Results come in the shape of a chat completion: what that cannot hold would be lost. */
function beyondChat(body: JsonObject): string | undefined {
  const tools = Array.isArray(body.tools) ? body.tools : []
  const foreign = tools.map(typeOf).find((type) => type !== 'function')
  if (foreign !== undefined) return `a batch's answers cannot tell what the tool "${foreign}" has done`
  if (isGiven(body.previous_response_id) || isGiven(body.conversation))
    return 'a batch cannot continue a stored response'
  if (body.store === true) return 'the answers of a batch are not stored'
  if (Array.isArray(body.include) && body.include.length > 0) return "a batch's answers cannot include more than text"
  return undefined
}

function typeOf(tool: Json): string {
  const type = typeof tool === 'object' && tool !== null && 'type' in tool ? tool.type : undefined
  return typeof type === 'string' ? type : 'function'
}

function isGiven(value: Json | undefined): boolean {
  return value !== undefined && value !== null
}

/** How many rows a batch was made of, as remembered in an upload or a handle. */
function jobsOf(record: JsonObject | undefined): number | undefined {
  return typeof record?.jobs === 'number' ? record.jobs : undefined
}

function listedFor(intent: Intent, batch: Batch): { isOurs: boolean; state: BatchState; createdMs: number } {
  const at = toMs(batch.create_time)
  return {
    isOurs: batch.name === NAME + intent.tag,
    state: toState(batch, jobsOf(intent.upload)),
    createdMs: DATE.test(batch.create_time ?? '') ? at + DAY_ENDS_MS : at,
  }
}

/** There is no status: it follows from who has cancelled it, and from the counters. `jobs`: rows of the input, where we know. */
function toState(batch: Batch, jobs?: number): BatchState {
  const { num_requests: total, num_pending: pending, num_success: completed, num_error: failed } = batch.state ?? {}
  const all = total ?? 0
  const done = { completed: completed ?? 0, failed: (failed ?? 0) + (batch.state?.num_cancelled ?? 0) }
  const handle: BatchHandle = {
    id: batch.batch_id,
    ...(batch.input_file_id ? { inputFileId: batch.input_file_id } : {}),
    ...(jobs === undefined ? {} : { jobs }),
  }
  const about = { handle, counts: all > 0 ? { total: all, ...done } : undefined }
  if (batch.cancel_by_xai_message) {
    const problem = problemIn(batch.cancel_by_xai_message)
    const refused = refusedBecause(problem.message)
    return { ...about, status: 'failed', phase: 'ended', outcome: 'failed', refused, problems: [problem] }
  }
  if (batch.cancel_time) return { ...about, status: 'cancelled', phase: 'ended', outcome: 'cancelled' }
  // Nothing is pending either while the file is still being read in.
  const isWhole = all > 0 && (jobs === undefined || all >= jobs)
  if (isWhole && (pending ?? 0) === 0) return { ...about, status: 'completed', phase: 'ended', outcome: 'completed' }
  const partial = done.completed + done.failed > 0
  return { ...about, status: all === 0 ? 'validating' : 'in_progress', phase: 'running', partial }
}

/** Its reason is a sentence: "JSONL file validation failed: Model grok-4.5 is not supported for batch processing." */
function refusedBecause(message: string): 'capacity' | 'invalid' | 'everything' {
  return /\bmodel\b.*\bnot (supported|available|found)\b/i.test(message) ? 'everything' : 'invalid'
}

function listPages(call: Call): AsyncGenerator<readonly Batch[]> {
  return turnPages(async (token) => {
    const query = { limit: String(PAGE), ...(token === undefined ? {} : { pagination_token: token }) }
    const page = await readReply(await call.send({ method: 'GET', path: '/batches', query }), BatchPage)
    return { items: page.batches, next: page.pagination_token || undefined }
  })
}

interface ReadRow {
  /** As the row itself is called, for telling it from others. */
  readonly id: string
  readonly result: JobResult
}

async function readResults(
  { id }: BatchHandle,
  token: string | undefined,
  call: Call,
): Promise<{ readonly rows: readonly ReadRow[]; readonly next: string | undefined }> {
  const path = `/batches/${encodeURIComponent(id)}/results`
  const query = { limit: String(PAGE), ...(token === undefined ? {} : { pagination_token: token }) }
  const response = await call.send({ method: 'GET', path, query, isTransfer: true })
  const { data, text } = await readReplyText(response, ResultPage)
  const texts = elementTexts(memberText(text, ['results']) ?? '[]')
  const rows = data.results.map((json, index) => {
    const result = toResult(texts[index] ?? '', json)
    return { id: result.kind === 'unreadable' ? '' : result.customId, result }
  })
  return { rows, next: data.pagination_token || undefined }
}

/** In a chat completion of xAI's, reasoning tokens stand beside the completion's; in a Response they are part of the output. */
function usageOf(json: unknown): Usage | undefined {
  const told = readUsage(json)
  if (!told || typeof json !== 'object' || json === null || 'output' in json) return told
  return { ...told, output: told.output + (told.reasoning ?? 0) }
}
