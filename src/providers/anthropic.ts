import { z } from 'zod'
import type { Call, ProviderAdapter, Refusal } from '../core/adapter.ts'
import type { BatchHandle, BatchProblem, BatchState, Intent } from '../core/batch.ts'
import { NetworkError, ProviderError } from '../core/errors.ts'
import type { HeaderPair, Json, JsonObject } from '../core/request.ts'
import { outputRow, typeOf } from './anthropic/rows.ts'
import { messageStub } from './anthropic/stub.ts'
import { oneLine } from './toolkit/json-text.ts'
import { CLOCK_SKEW_MS, findListed, mapPages, toMs, turnPages } from './toolkit/look-up.ts'
import { askFor, pollFromList } from './toolkit/poll.ts'
import { readLines } from './toolkit/read-lines.ts'
import { discard, readReply } from './toolkit/replies.ts'

/*
 * Anthropic's Message Batches API. Facts from the types of `@anthropic-ai/sdk` 1.11 (`resources/messages/batches`), from
 * https://platform.claude.com/docs/en/build-with-claude/batch-processing and from recorded replies of August 2026, read 2026-11; what they
 * leave open is marked.
 */

const BATCHES = '/messages/batches'
const LIST_LIMIT = 100
/** A create takes as long as its bytes: 256 MB at half a megabit a second. Later than this after it left, no batch can be its. */
const LONGEST_CREATE_MS = 70 * 60_000
/** For so long after a batch has ended its results may be said not to exist (anthropics/anthropic-sdk-python#1432: "briefly"). */
const RESULTS_LATE_MS = 10 * 60_000

const Counts = z.object({
  processing: z.number().catch(0),
  succeeded: z.number().catch(0),
  errored: z.number().catch(0),
  canceled: z.number().catch(0),
  expired: z.number().catch(0),
})

const Batch = z.object({
  id: z.string().min(1),
  processing_status: z.string().catch('unknown'),
  request_counts: Counts.nullish().catch(null),
  created_at: z.string().nullish().catch(null),
  ended_at: z.string().nullish().catch(null),
  /** Since then its results are gone. */
  archived_at: z.string().nullish().catch(null),
  results_url: z.string().nullish().catch(null),
})
type Batch = z.infer<typeof Batch>

const BatchList = z.object({ data: z.array(Batch), has_more: z.boolean().nullish(), last_id: z.string().nullish() })

const ErrorCode = z.object({ error: z.object({ details: z.object({ error_code: z.string() }) }) })

/** Codes about the organisation or its key, whatever HTTP status they come with; the SDK 1.11 throws them from batch calls. */
const ACCOUNT_CODES = new Set([
  'claude_code_key_creator_not_member',
  'cmek_key_disabled',
  'cmek_key_network_blocked',
  'contract_spend_limit_reached',
  'enforced_spend_limit_reached',
  'organization_on_hold',
  'organization_type_not_supported',
])
/** These come as a plain `invalid_request_error`; the words are those many have reported (the last: anthropics/claude-code#72457). */
const ACCOUNT_WORDS =
  /credit balance is too low|reached your specified API usage limits|organization has been disabled/i
/** A header that every row of the batch has brought along. */
const HEADER_WORDS = /anthropic-(?:beta|version|workspace-id|user-profile-id)/i
/** Where a complaint is about. Observed at other endpoints in this form; for batches not documented. */
const ROW = /\brequests\.(\d+)\b/g

const Answer = z.object({
  usage: z.object({
    input_tokens: z.number(),
    output_tokens: z.number().catch(0),
    cache_creation_input_tokens: z.number().nullish().catch(null),
    cache_creation: z.object({ ephemeral_1h_input_tokens: z.number() }).nullish().catch(null),
    cache_read_input_tokens: z.number().nullish().catch(null),
    output_tokens_details: z.object({ thinking_tokens: z.number() }).nullish().catch(null),
  }),
})

export const anthropic: ProviderAdapter = {
  name: 'anthropic',
  facts: {
    title: 'Anthropic',
    endpoints: ['/v1/messages'],
    discount: '50 %',
    recoveredBy: 'time and size, confirmed by its results',
    passesThrough: ['`stream: true`', '`speed`', '`thread`', '`max_tokens: 0`', 'token counts, files'],
  },
  bases: ['https://api.anthropic.com/v1'],
  prefixes: ['/v1'],
  baseUrlEnv: 'ANTHROPIC_BASE_URL',
  limits: {
    jobs: 100_000,
    bytes: 256_000_000,
    bytesPerJob: 256_000_000,
    windows: ['24h'],
    // Its batches carry none, so it limits none.
    metadata: {
      pairs: Number.POSITIVE_INFINITY,
      keyLength: Number.POSITIVE_INFINITY,
      valueLength: Number.POSITIVE_INFINITY,
    },
  },
  mixes: 'models',
  credentials: {
    headers: ['authorization', 'x-api-key', 'anthropic-workspace-id', 'anthropic-user-profile-id'],
    env: 'ANTHROPIC_API_KEY',
    // As the SDK 1.11 does: a bearer of either, the key before the token.
    fromEnvironment(env): readonly HeaderPair[] | undefined {
      const key = env.ANTHROPIC_API_KEY?.trim() || env.ANTHROPIC_AUTH_TOKEN?.trim()
      if (!key) return undefined
      return [
        ['authorization', `Bearer ${key}`],
        ['anthropic-version', '2026-10-21'],
      ]
    },
  },
  requestIdHeader: 'request-id',

  // Older beta calls append `?beta=true`. It belongs to the base URL's query then, and so to our own calls, as in that SDK.
  match({ method }, path) {
    return method === 'POST' && path === '/messages' ? { endpoint: '/v1/messages' } : undefined
  },

  // Version, betas, workspace and user profile belong to a batch as a whole, so what is carried of them keeps batches apart.
  carry(name, value) {
    // A word to the server about a browser's Origin, which our own calls do not have.
    if (name === 'anthropic-dangerous-direct-browser-access') return undefined
    if (name !== 'anthropic-beta') return value
    const betas = new Set(value.split(',').map((beta) => beta.trim()))
    betas.delete('')
    return betas.size === 0 ? undefined : [...betas].sort().join(',')
  },

  // The guide's list of what is not supported. `stream: false` is accepted, and so is `fallback_credit_token`, which is then ignored.
  admit(body) {
    if (isGiven(body.speed)) return 'speed asks for a price and pace of its own'
    if (Array.isArray(body.fallbacks) && body.fallbacks.some((fallback) => isGiven(memberOf(fallback, 'speed'))))
      return 'speed of a fallback asks for a price and pace of its own'
    if (body.max_tokens === 0) return 'max_tokens: 0 only warms a cache, which is cold again when a batch ends'
    if (isGiven(body.thread)) return 'a thread goes on from call to call, which a batch cannot'
    return undefined
  },

  refusal(error): Refusal | undefined {
    if (ACCOUNT_CODES.has(errorCodeOf(error) ?? '') || ACCOUNT_WORDS.test(error.message)) return 'account'
    if (error.status !== 400) return undefined
    return HEADER_WORDS.test(error.message) ? 'invalid' : { rows: rowsNamedIn(error) }
  },

  line: ({ customId, body }) => `{"custom_id":"${customId}","params":${oneLine(body)}}`,

  // Rows travel inside the create. What is noted before it is the provider's time: its batches are told apart by when they were made, and
  // the clock here may be hours off.
  async upload(_intent, _input, call): Promise<JsonObject> {
    try {
      const madeAfter = await timeAt(call)
      return Number.isNaN(Date.parse(madeAfter ?? '')) ? {} : { madeAfter }
    } catch (error) {
      // A refusal is the create's to tell. Without a reply nothing should be created now: whether it was would be unknown.
      if (error instanceof ProviderError) return {}
      throw error
    }
  },

  async create(_intent, _upload, input, call) {
    const body = await (await input()).document('{"requests":[', ']}')
    const headers = { 'content-type': 'application/json' }
    const reply = await call.send({ method: 'POST', path: BATCHES, headers, body, isTransfer: true })
    return toState(await readReply(reply, Batch))
  },

  // A batch carries nothing of ours that shows before it has ended: not its name (it has none), not its custom ids.
  async find(intent, call) {
    const period = periodOf(intent)
    const listed = mapPages(listPages(call), (batch) => ({
      isOurs: couldBe(batch, intent, period),
      state: toState(batch),
      createdMs: toMs(batch.created_at),
    }))
    const found = await findListed(listed, { ...intent, createdAt: Math.min(intent.createdAt, period.begins) })
    return found.kind === 'adopted' ? { kind: 'candidates', states: found.states } : found
  },

  // A retrieved batch that is not there (yet) is left out, and asked about again.
  poll: (handles, call) =>
    pollFromList(handles, { read: () => mapPages(listPages(call), toState), size: LIST_LIMIT }, ({ id }) =>
      askFor(pathOf(id), call, Batch, toState),
    ),

  async *results(handle, call) {
    let response: Response
    try {
      response = await call.send({ method: 'GET', path: resultsPath(handle), isTransfer: true })
    } catch (error) {
      throw error instanceof ProviderError && error.status === 404 ? await whyNotThere(handle, call, error) : error
    }
    for await (const lines of readLines(response)) yield lines.map(outputRow)
  },

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `${pathOf(id)}/cancel` }))
  },

  stub: messageStub,

  envelope({ status, code, message }) {
    const error = { type: typeOf(status), message, details: { error_code: code } }
    return JSON.stringify({ type: 'error', error, request_id: null })
  },

  usage(json) {
    const answer = Answer.safeParse(json)
    if (!answer.success) return undefined
    const { usage } = answer.data
    const cachedInput = usage.cache_read_input_tokens ?? undefined
    const cacheWrite = usage.cache_creation_input_tokens ?? undefined
    const cacheWriteHour = usage.cache_creation?.ephemeral_1h_input_tokens
    const reasoning = usage.output_tokens_details?.thinking_tokens
    return {
      // `input_tokens` are those after the last cache breakpoint only.
      input: usage.input_tokens + (cacheWrite ?? 0) + (cachedInput ?? 0),
      output: usage.output_tokens,
      ...(cacheWrite ? { cacheWrite } : {}),
      ...(cacheWriteHour ? { cacheWriteHour } : {}),
      ...(cachedInput === undefined ? {} : { cachedInput }),
      ...(reasoning === undefined ? {} : { reasoning }),
    }
  },
}

function pathOf(id: string): string {
  return `${BATCHES}/${encodeURIComponent(id)}`
}

/** The workspace's batches, the newest first. */
function listPages(call: Call): AsyncGenerator<readonly Batch[]> {
  return turnPages(async (after) => {
    const query = { limit: String(LIST_LIMIT), ...(after === undefined ? {} : { after_id: after }) }
    const page = await readReply(await call.send({ method: 'GET', path: BATCHES, query }), BatchList)
    const hasMore = page.data.length > 0 && (page.has_more ?? page.data.length >= LIST_LIMIT)
    return { items: page.data, next: hasMore ? (page.last_id ?? page.data.at(-1)?.id) : undefined }
  })
}

/** What time it is there, as a reply's header has it. */
async function timeAt(call: Call): Promise<string | undefined> {
  const response = await call.send({ method: 'GET', path: BATCHES, query: { limit: '1' } })
  await discard(response)
  return response.headers.get('date') ?? undefined
}

interface Period {
  readonly begins: number
  readonly ends: number
}

/** When an intent's batch may have been made, by our clock or by the provider's: whichever is wrong hides nothing. */
function periodOf({ upload, createdAt, creatingAt }: Intent): Period {
  const told = typeof upload?.madeAfter === 'string' ? Date.parse(upload.madeAfter) : createdAt
  // A clock that is wrong still tells how long something took, unless it was set right meanwhile.
  const tookMs = creatingAt === undefined ? Number.POSITIVE_INFINITY : Math.max(creatingAt - createdAt, 0)
  return {
    begins: Math.min(createdAt, told) - CLOCK_SKEW_MS,
    ends: Math.max(createdAt, told) + tookMs + LONGEST_CREATE_MS + CLOCK_SKEW_MS,
  }
}

/** Whether a batch was made when the intent's may have been, of as many requests. What cannot be read speaks for it: only a look at its results tells. */
function couldBe(batch: Batch, intent: Intent, { begins, ends }: Period): boolean {
  // Its results are gone: nothing in it could be found to be ours, or be of use.
  if (batch.archived_at) return false
  const createdMs = toMs(batch.created_at)
  const isInTime = createdMs === Number.POSITIVE_INFINITY || createdMs <= ends
  const total = totalOf(batch)
  return createdMs >= begins && isInTime && (total === 0 || total === intent.jobs)
}

/** The sum is the number of requests at any time; 0: not told. */
function totalOf({ request_counts: counts }: Batch): number {
  return counts ? Object.values(counts).reduce((sum, count) => sum + count, 0) : 0
}

function toState(batch: Batch): BatchState {
  const about = {
    status: batch.processing_status,
    handle: {
      id: batch.id,
      ...(batch.results_url ? { resultsUrl: batch.results_url } : {}),
      ...(batch.ended_at ? { endedAt: batch.ended_at } : {}),
    },
    counts: countsOf(batch),
  }
  if (batch.processing_status !== 'ended') return { ...about, phase: 'running' }
  return { ...about, phase: 'ended', outcome: outcomeOf(batch) }
}

/** There is one word for every end; what was not run shows in the counts, and row by row. */
function outcomeOf({ request_counts: counts }: Batch): 'completed' | 'expired' | 'cancelled' {
  if (counts && counts.canceled > 0) return 'cancelled'
  return counts && counts.expired > 0 ? 'expired' : 'completed'
}

// Until a batch has ended all its requests count as processing, which is "not told", not "none done".
function countsOf(batch: Batch): BatchState['counts'] {
  const { request_counts: counts } = batch
  const total = totalOf(batch)
  if (!counts || counts.processing === total) return undefined
  return { total, completed: counts.succeeded, failed: counts.errored + counts.canceled + counts.expired }
}

/**
 * Results are where the reply has said. Where that is the API's own path, we go there by the base URL our calls know the way by: it may be
 * a gateway's, which the reply knows nothing of.
 */
function resultsPath({ id, resultsUrl }: BatchHandle): string {
  const own = `${pathOf(id)}/results`
  const told = typeof resultsUrl === 'string' ? URL.parse(resultsUrl) : null
  return !told || (told.pathname.endsWith(own) && told.search === '') ? own : told.href
}

/**
 * A 404 soon after the end only means "not yet". How late it is the provider's own clock tells, by its list: the batch itself may be not
 * there either, as long as its results are not.
 */
async function whyNotThere({ id, endedAt }: BatchHandle, call: Call, error: ProviderError): Promise<Error> {
  if (typeof endedAt !== 'string') return error
  const sinceMs = toMs(await timeAt(call)) - toMs(endedAt)
  const isLate = Number.isFinite(sinceMs) && sinceMs < RESULTS_LATE_MS
  return isLate ? new NetworkError(`the results of ${id} are not there yet`, { cause: error }) : error
}

function errorCodeOf({ body }: ProviderError): string | undefined {
  try {
    return ErrorCode.safeParse(JSON.parse(body)).data?.error.details.error_code
  } catch {
    return undefined
  }
}

function rowsNamedIn({ code, message }: ProviderError): readonly BatchProblem[] {
  const lines = new Set([...message.matchAll(ROW)].map(([, index]) => Number(index) + 1))
  return [...lines].map((line) => ({ code, message, line, param: undefined }))
}

function isGiven(value: Json | undefined): boolean {
  return value !== undefined && value !== null
}

function memberOf(value: Json, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
