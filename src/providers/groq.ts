import { z } from 'zod'
import type { Call, ProviderAdapter, TaggedBatch } from '../core/adapter.ts'
import type { BatchHandle, BatchState, JobResult } from '../core/batch.ts'
import { ProviderError } from '../core/errors.ts'
import { bearer } from './toolkit/bearer.ts'
import { deleteInput, readFiles, uploadFile } from './toolkit/files.ts'
import { findListed, mapPages, turnPages } from './toolkit/look-up.ts'
import { refusedLine } from './toolkit/named-line.ts'
import { createBody, listedAs, OpenaiBatch, problemsOf, stateOf, taggedOf } from './toolkit/openai-batch.ts'
import { openaiEnvelope } from './toolkit/openai-envelope.ts'
import { inputLine, outputRow } from './toolkit/openai-rows.ts'
import { askFor, isNotOffered, pollEach } from './toolkit/poll.ts'
import { readLines } from './toolkit/read-lines.ts'
import { discard, postJson, readReply } from './toolkit/replies.ts'
import { openaiStub } from './toolkit/stub-openai.ts'
import { readUsage } from './toolkit/usage.ts'

/*
 * Groq's Batch API: OpenAI's, with lists of its own and rows refused one by one. Facts from https://console.groq.com/docs/batch and the
 * types of `groq-sdk` 1.6, read 2026-11; what they leave open is marked.
 */

/** Path after the base URL → what a batch line names: HTTP paths begin with `/openai/v1`, lines with `/v1`. */
const ENDPOINTS = new Map([
  ['/chat/completions', '/v1/chat/completions'],
  ['/audio/transcriptions', '/v1/audio/transcriptions'],
  ['/audio/translations', '/v1/audio/translations'],
])

/** The documentation allows 200; 100 keep the URL short enough for any proxy. */
const IDS_PER_POLL = 100
/** Complaints about single lines that are kept with a batch until its results are read; more are treated as missing rows. */
const COMPLAINTS_KEPT = 1000

/**
 * 400s about the organisation: its spend limit is reached (https://console.groq.com/docs/spend-limits), or it is restricted
 * (songquanpeng/one-api#1764).
 */
const ACCOUNT_CODES = new Set(['blocked_api_access', 'organization_restricted'])

const BatchList = z.object({
  data: z.array(OpenaiBatch),
  // Missing in the SDK's types, shown in the documentation.
  paging: z.object({ next_cursor: z.string().nullish() }).nullish().catch(null),
})

export const groq: ProviderAdapter = {
  name: 'groq',
  facts: {
    title: 'Groq',
    endpoints: [...ENDPOINTS.values()],
    // Older pages of its documentation say 25 %.
    discount: '50 %',
    recoveredBy: 'metadata',
    passesThrough: [
      '`stream: true`',
      '`service_tier` other than `auto` and `on_demand`',
      'audio that is uploaded (a batch takes it by `url`)',
      'speech, responses',
    ],
  },
  bases: ['https://api.groq.com/openai/v1'],
  // groq-sdk takes `https://api.groq.com`, the AI SDK the whole base.
  prefixes: ['/openai/v1'],
  baseUrlEnv: 'GROQ_BASE_URL',
  limits: {
    jobs: 50_000,
    // The SDK's types say 100 MB, the documentation 200.
    bytes: 100_000_000,
    bytesPerJob: 100_000_000,
    windows: ['24h', '2d', '3d', '4d', '5d', '6d', '7d'],
    // Not documented; OpenAI's.
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  // Mixed models are not documented; one endpoint per batch is.
  mixes: 'nothing',
  credentials: bearer('GROQ_API_KEY'),
  requestIdHeader: 'x-request-id',

  match({ method }, path) {
    const endpoint = method === 'POST' ? ENDPOINTS.get(path) : undefined
    return endpoint === undefined ? undefined : { endpoint }
  },

  admit(body, { endpoint }) {
    const tier = body.service_tier
    if (typeof tier === 'string' && tier !== 'auto' && tier !== 'on_demand') {
      return `service_tier "${tier}" asks for a price and pace of its own`
    }
    if (endpoint === '/v1/chat/completions') return undefined
    if (typeof body.url !== 'string') return 'a batch takes audio by its url only'
    const format = body.response_format
    return format === 'text' ? 'a batch answers in JSON, not in plain text' : undefined
  },

  refusal: (error) => (ACCOUNT_CODES.has(error.code ?? '') ? 'account' : refusedLine(error)),
  line: inputLine,
  upload: (_intent, input, call) => uploadFile('/files', { purpose: 'batch' }, input, call),

  async create(intent, upload, _input, call) {
    const reply = await postJson('/batches', createBody(intent, upload?.fileId), call)
    return toState(await readReply(reply, OpenaiBatch))
  },

  find: (intent, call) =>
    findListed(
      mapPages(listPages(call), (batch) => listedAs(intent.tag, batch, toState)),
      intent,
    ),

  async *list(call): AsyncGenerator<TaggedBatch> {
    for await (const batches of listPages(call)) yield* taggedOf(batches, toState)
  },

  async poll(handles, call) {
    const states = handles.length > 1 ? await askForMany(handles, call) : []
    const told = new Set(states.map(({ handle }) => handle.id))
    return await pollEach(
      handles.filter(({ id }) => !told.has(id)),
      ({ id }) => askFor(`/batches/${encodeURIComponent(id)}`, call, OpenaiBatch, toState),
      states,
    )
  },

  async *results(handle, call): AsyncGenerator<readonly JobResult[]> {
    const refused = await refusedRows(handle, call)
    for await (const rows of readFiles(handle, call, outputRow)) {
      // A row with a result was run, whatever the number of the line in a complaint was meant to say.
      for (const row of rows) if (row.kind !== 'unreadable') refused.delete(row.customId)
      yield rows
    }
    if (refused.size > 0) yield [...refused.values()]
  },

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `/batches/${encodeURIComponent(id)}/cancel` }))
  },

  release: deleteInput,
  envelope: openaiEnvelope,
  stub: openaiStub,
  usage: readUsage,
}

/**
 * As OpenAI's, except that complaints are no failure: a batch whose bad lines were left out is `completed` and names them, perhaps nowhere
 * else.
 */
function toState(batch: OpenaiBatch): BatchState {
  const state = stateOf(batch)
  const complaints = problemsOf(batch).filter(({ line }) => line !== undefined)
  if (state.phase === 'running' || state.outcome === 'failed' || complaints.length === 0) return state
  const kept = complaints
    .slice(0, COMPLAINTS_KEPT)
    .map(({ line, code, message, param }) => ({ line, code, message, param }))
  return { ...state, handle: { ...state.handle, complaints: kept } }
}

const Complaints = z.array(
  z.object({
    line: z.number().int(),
    code: z.string().default('invalid_request'),
    message: z.string(),
    param: z.string().optional(),
  }),
)

/**
 * Refusals of lines that a completed batch has complained about, by custom id: their numbers are looked up in the input. Lines are counted
 * from 1: in the documentation's sample a batch of three rows complains about line 4.
 */
async function refusedRows(handle: BatchHandle, call: Call): Promise<Map<string, JobResult>> {
  const complaints = Complaints.safeParse(handle.complaints).data ?? []
  const rows = new Map<string, JobResult>()
  if (complaints.length === 0 || typeof handle.inputFileId !== 'string') return rows
  const byLine = new Map(complaints.map((complaint) => [complaint.line, complaint]))
  const path = `/files/${encodeURIComponent(handle.inputFileId)}/content`
  try {
    let number = 0
    for await (const lines of readLines(await call.send({ method: 'GET', path, isTransfer: true }))) {
      for (const line of lines) {
        const complaint = byLine.get((number += 1))
        const customId = complaint && CUSTOM_ID.exec(line)?.[1]
        if (!customId) continue
        const body = openaiEnvelope(complaint)
        const json: unknown = JSON.parse(body)
        rows.set(customId, { kind: 'reply', customId, status: 400, requestId: undefined, body, json })
      }
    }
  } catch (error) {
    // The input may be gone. Its rows are then missing, which the engine knows how to handle.
    if (!(error instanceof ProviderError)) throw error
  }
  return rows
}

/** At the beginning of every line we write. */
const CUSTOM_ID = /^\{"custom_id":"([\w-]+)"/

/** Many batches in one call. One that is not told of is left out. */
async function askForMany(handles: readonly BatchHandle[], call: Call): Promise<readonly BatchState[]> {
  const wanted = new Set(handles.map(({ id }) => id))
  const ids = [...wanted]
  const states: BatchState[] = []
  try {
    for (let start = 0; start < ids.length; start += IDS_PER_POLL) {
      const query = { id: ids.slice(start, start + IDS_PER_POLL) }
      const { data } = await readReply(await call.send({ method: 'GET', path: '/batches', query }), BatchList)
      for (const batch of data) if (wanted.delete(batch.id)) states.push(toState(batch))
    }
  } catch (error) {
    // What it does with an id it does not know is not documented. One by one it is plain.
    if (!isNotOffered(error)) throw error
  }
  return states
}

function listPages(call: Call): AsyncGenerator<readonly OpenaiBatch[]> {
  return turnPages(async (cursor) => {
    const query = cursor === undefined ? {} : { cursor }
    const page = await readReply(await call.send({ method: 'GET', path: '/batches', query }), BatchList)
    return { items: page.data, next: page.paging?.next_cursor || undefined }
  })
}
