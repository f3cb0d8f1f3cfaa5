import { z } from 'zod'
import type { Call, Found, ProviderAdapter, Refusal, TaggedBatch } from '../core/adapter.ts'
import type { BatchHandle, BatchProblem, BatchState, JobResult } from '../core/batch.ts'
import { ProviderError } from '../core/errors.ts'
import type { Usage } from '../core/reply.ts'
import type { HeaderPair } from '../core/request.ts'
import { inputLine, outputRow } from './toolkit/openai-rows.ts'
import { readLines } from './toolkit/read-lines.ts'
import { discard, readReply } from './toolkit/replies.ts'

/*
 * OpenAI's Batch API. Facts from the OpenAPI description (openai/openai-openapi), the types of the `openai` SDK 7.55 and
 * https://platform.openai.com/docs/guides/batch, read 2026-11; what they leave open is marked.
 */

/** Path after the base URL → what a batch line names. JSON endpoints only; videos are not answered by a JSON reply to one call. */
const ENDPOINTS = new Map([
  ['/responses', '/v1/responses'],
  ['/chat/completions', '/v1/chat/completions'],
  ['/embeddings', '/v1/embeddings'],
  ['/completions', '/v1/completions'],
  ['/moderations', '/v1/moderations'],
  ['/images/generations', '/v1/images/generations'],
  ['/images/edits', '/v1/images/edits'],
])

/** Key of our tag in a batch's metadata. */
const TAG = 'offpeak_intent'
/** How far a provider's clock may be off ours, when a look-up decides where to stop. */
const CLOCK_SKEW_MS = 10 * 60_000
const LIST_LIMIT = 100
/** From this many batches on, reading the list costs fewer calls than asking one by one. */
const LIST_FROM = 8

const UploadReply = z.object({ id: z.string().min(1) })

const Problem = z.object({
  code: z.string().nullish(),
  message: z.string().nullish(),
  line: z.number().int().nullish(),
  param: z.string().nullish(),
})

const Batch = z.object({
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
    .union([z.object({ data: z.array(Problem).nullish() }).transform(({ data }) => data), z.array(Problem)])
    .nullish()
    .catch(null),
})
type Batch = z.infer<typeof Batch>

const BatchList = z.object({
  data: z.array(Batch),
  has_more: z.boolean().nullish(),
  last_id: z.string().nullish(),
})

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
const ALL_ROWS = new Set([
  'model_not_found',
  'invalid_model',
  'model_not_supported',
  'billing_hard_limit_reached',
  'insufficient_quota',
])

/** What the HTTP status of a refused upload or create does not tell. */
const REFUSALS: ReadonlyMap<string, Refusal> = new Map<string, Refusal>([
  ['insufficient_quota', 'account'],
  ['billing_hard_limit_reached', 'account'],
  ['billing_not_active', 'account'],
  ['account_deactivated', 'account'],
  // Not documented; a 400 or 413 by any of these names says the same.
  ['file_too_large', 'too-large'],
  ['too_many_tasks', 'too-large'],
])

export const openai: ProviderAdapter = {
  name: 'openai',
  facts: {
    title: 'OpenAI',
    endpoints: [...ENDPOINTS.values()],
    discount: '50 %',
    recoveredBy: 'metadata',
    passesThrough: [
      '`stream: true`',
      '`background: true`',
      '`service_tier` other than `auto` and `default`',
      'audio, videos, files',
    ],
  },
  bases: ['', 'us.', 'eu.', 'ae.', 'au.', 'in.', 'jp.'].map((region) => `https://${region}api.openai.com/v1`),
  baseUrlEnv: 'OPENAI_BASE_URL',
  limits: {
    jobs: 50_000,
    bytes: 200_000_000,
    bytesPerJob: 200_000_000,
    windows: ['24h'],
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  mixes: 'nothing',
  credentials: {
    headers: ['authorization', 'openai-organization', 'openai-project'],
    env: 'OPENAI_API_KEY',
    fromEnvironment(env) {
      const key = env.OPENAI_API_KEY?.trim()
      if (!key) return undefined
      const further: readonly HeaderPair[] = [
        ['openai-organization', env.OPENAI_ORG_ID ?? ''],
        ['openai-project', env.OPENAI_PROJECT_ID ?? ''],
      ]
      return [['authorization', `Bearer ${key}`], ...further.filter(([, value]) => value !== '')]
    },
  },
  requestIdHeader: 'x-request-id',
  refusal: ({ code }) => (code === undefined ? undefined : REFUSALS.get(code)),

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

  // The limit on embedding inputs is over the whole file, not over its rows.
  weigh(body, { endpoint }) {
    const { input } = body
    if (endpoint !== '/v1/embeddings' || !Array.isArray(input) || typeof input[0] === 'number') return 1
    return Math.max(1, input.length)
  },

  line: inputLine,

  async upload(_intent, input, call) {
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', input.blob, input.fileName)
    const { id } = await readReply(
      await call.send({ method: 'POST', path: '/files', body: form, isTransfer: true }),
      UploadReply,
    )
    return { fileId: id }
  },

  async create(intent, upload, _input, call) {
    const body = JSON.stringify({
      input_file_id: upload?.fileId,
      endpoint: intent.endpoint,
      completion_window: intent.window,
      metadata: { ...intent.metadata, [TAG]: intent.tag },
    })
    const headers = { 'content-type': 'application/json' }
    return toState(await readReply(await call.send({ method: 'POST', path: '/batches', headers, body }), Batch))
  },

  async find(intent, call): Promise<Found> {
    const oldest = intent.createdAt - CLOCK_SKEW_MS
    const states: BatchState[] = []
    for await (const batches of listPages(call)) {
      states.push(...batches.filter(({ metadata }) => metadata?.[TAG] === intent.tag).map(toState))
      if (batches.every((batch) => createdMs(batch) < oldest)) break
    }
    if (states.length === 0) return { kind: 'none' }
    return { kind: 'adopted', states: states.sort((a, b) => advancement(b) - advancement(a)) }
  },

  async *list(call): AsyncGenerator<TaggedBatch> {
    for await (const batches of listPages(call)) {
      for (const batch of batches) {
        const tag = batch.metadata?.[TAG]
        const createdAt = createdMs(batch)
        if (typeof tag !== 'string') continue
        yield { tag, state: toState(batch), createdAt: Number.isFinite(createdAt) ? createdAt : undefined }
      }
    }
  },

  async poll(handles, call) {
    if (handles.length < LIST_FROM) return await pollEach(handles, call)
    const wanted = new Set(handles.map(({ id }) => id))
    const states: BatchState[] = []
    // Pages are turned until as many calls are spent as the list could still save.
    let pagesLeft = Math.max(Math.ceil(handles.length / LIST_LIMIT) + 2, Math.floor(handles.length / LIST_FROM))
    try {
      for await (const batches of listPages(call)) {
        for (const batch of batches) if (wanted.delete(batch.id)) states.push(toState(batch))
        pagesLeft -= 1
        if (wanted.size === 0 || pagesLeft === 0) break
      }
    } catch (error) {
      if (!isNotOffered(error)) throw error
    }
    const rest = handles.filter(({ id }) => wanted.has(id))
    return await pollEach(rest, call, states)
  },

  // Both files are read in every terminal state: an error row may stand in either.
  async *results(handle, call): AsyncGenerator<readonly JobResult[]> {
    for (const fileId of [handle.outputFileId, handle.errorFileId]) {
      if (typeof fileId !== 'string' || fileId === '') continue
      const path = `/files/${encodeURIComponent(fileId)}/content`
      const response = await call.send({ method: 'GET', path, isTransfer: true })
      for await (const lines of readLines(response)) yield lines.map(outputRow)
    }
  },

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `/batches/${encodeURIComponent(id)}/cancel` }))
  },

  async release({ inputFileId }, call) {
    if (typeof inputFileId !== 'string') return
    await discard(await call.send({ method: 'DELETE', path: `/files/${encodeURIComponent(inputFileId)}` }))
  },

  envelope({ code, message, param }) {
    return JSON.stringify({ error: { message, type: 'invalid_request_error', param: param ?? null, code } })
  },

  usage: readUsage,
}

/** One call each. A batch that cannot be asked about takes nothing from those that can: only if none can, that is an error. */
async function pollEach(
  handles: readonly BatchHandle[],
  call: Call,
  known: readonly BatchState[] = [],
): Promise<readonly BatchState[]> {
  const answers = await Promise.allSettled(
    handles.map(async ({ id }) =>
      toState(await readReply(await call.send({ method: 'GET', path: `/batches/${encodeURIComponent(id)}` }), Batch)),
    ),
  )
  const states = [...known, ...answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))]
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (states.length === 0 && failed) throw failed.reason
  return states
}

/** Some gateways, and some keys, have batches but no list of them. */
function isNotOffered(error: unknown): boolean {
  return error instanceof ProviderError && [400, 403, 404, 405].includes(error.status)
}

async function* listPages(call: Call): AsyncGenerator<readonly Batch[]> {
  let after: string | undefined
  do {
    const query = { limit: String(LIST_LIMIT), ...(after === undefined ? {} : { after }) }
    const page = await readReply(await call.send({ method: 'GET', path: '/batches', query }), BatchList)
    if (page.data.length === 0) return
    yield page.data
    const last = page.last_id ?? page.data.at(-1)?.id
    const hasMore = page.has_more ?? page.data.length >= LIST_LIMIT
    // A gateway that takes no notice of the cursor would give the same page for ever.
    after = hasMore && last !== after ? last : undefined
  } while (after !== undefined)
}

function toState(batch: Batch): BatchState {
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
      const problems = (batch.errors ?? []).map(toProblem)
      return { ...about, phase: 'ended', outcome: 'failed', refused: refusedBecause(problems), problems }
    }
    default:
      return { ...about, phase: 'running' }
  }
}

// While a batch is validated its counts are all zero: that is "not known yet", not "nothing to do".
function countsOf({ request_counts: counts }: Batch): BatchState['counts'] {
  return counts && counts.total > 0 ? counts : undefined
}

function toProblem({ code, message, line, param }: z.infer<typeof Problem>): BatchProblem {
  return {
    code: code ?? undefined,
    message: message ?? code ?? 'the provider gave no reason',
    line: line ?? undefined,
    param: param ?? undefined,
  }
}

function refusedBecause(problems: readonly BatchProblem[]): 'capacity' | 'invalid' | 'everything' {
  const isOf = (codes: ReadonlySet<string>): boolean =>
    problems.some(({ code }) => code !== undefined && codes.has(code))
  if (isOf(NO_ROOM)) return 'capacity'
  if (isOf(ALL_ROWS)) return 'everything'
  return 'invalid'
}

const ORDER = ['failed', 'cancelled', 'cancelling', 'expired', 'validating', 'in_progress', 'finalizing', 'completed']

function advancement({ status }: BatchState): number {
  return ORDER.indexOf(status)
}

function createdMs({ created_at: at }: Batch): number {
  if (typeof at === 'number') return at * 1000
  const parsed = typeof at === 'string' ? Date.parse(at) : Number.NaN
  // A batch without a readable time never ends a look-up early.
  return Number.isNaN(parsed) ? Number.POSITIVE_INFINITY : parsed
}

function readUsage(json: unknown): Usage | undefined {
  const usage = objectAt(json, 'usage')
  if (!usage) return undefined
  const input = numberAt(usage, 'prompt_tokens') ?? numberAt(usage, 'input_tokens')
  if (input === undefined) return undefined
  const output = numberAt(usage, 'completion_tokens') ?? numberAt(usage, 'output_tokens') ?? 0
  const cachedInput = numberAt(
    objectAt(usage, 'prompt_tokens_details') ?? objectAt(usage, 'input_tokens_details'),
    'cached_tokens',
  )
  const reasoning = numberAt(
    objectAt(usage, 'completion_tokens_details') ?? objectAt(usage, 'output_tokens_details'),
    'reasoning_tokens',
  )
  return {
    input,
    output,
    ...(cachedInput === undefined ? {} : { cachedInput }),
    ...(reasoning === undefined ? {} : { reasoning }),
  }
}

function objectAt(value: unknown, key: string): object | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const found: unknown = Reflect.get(value, key)
  return typeof found === 'object' && found !== null ? found : undefined
}

function numberAt(value: object | undefined, key: string): number | undefined {
  const found: unknown = value && Reflect.get(value, key)
  return typeof found === 'number' ? found : undefined
}
