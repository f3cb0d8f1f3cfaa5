import { z } from 'zod'
import type { Call, ProviderAdapter, Refusal, TaggedBatch } from '../core/adapter.ts'
import type { BatchHandle, BatchState, JobResult } from '../core/batch.ts'
import type { HeaderPair } from '../core/request.ts'
import { outputRow } from './mistral/rows.ts'
import { mistralStub } from './mistral/stub.ts'
import { deleteInput, readFiles, uploadFile } from './toolkit/files.ts'
import { oneLine } from './toolkit/json-text.ts'
import { findListed, mapPages, turnPages } from './toolkit/look-up.ts'
import { listedAs, TAG, taggedOf } from './toolkit/openai-batch.ts'
import { askFor, pollFromList } from './toolkit/poll.ts'
import { discard, postJson, readReply } from './toolkit/replies.ts'
import { readUsage } from './toolkit/usage.ts'

/*
 * Mistral's batch jobs. Facts from the types of `@mistralai/mistralai` 2.7 (`models/components/batchjob`, `createbatchjobrequest`,
 * `apiendpoint`), from https://docs.mistral.ai/capabilities/batch/ and from recorded replies of August 2026, read 2026-11; what they leave
 * open is marked.
 *
 * Rows always travel as a file, though up to 10,000 could travel inside the create: an upload is free and can be repeated, a create cannot.
 */

const JOBS = '/batch/jobs'
const LIST_LIMIT = 100

/** Path after the base URL → what a job names. */
const ENDPOINTS = new Map(
  [
    '/chat/completions',
    '/embeddings',
    '/fim/completions',
    '/moderations',
    '/chat/moderations',
    '/ocr',
    '/classifications',
    '/chat/classifications',
    '/audio/transcriptions',
  ].map((path) => [path, `/v1${path}`]),
)
/** Batchable by the SDK's list as well; but what it begins is kept on the server, under an id, for calls that follow. */
const CONVERSATIONS = '/v1/conversations'

const Job = z.object({
  id: z.string().min(1),
  status: z.string().catch('UNKNOWN'),
  input_files: z.array(z.string()).nullish().catch(null),
  output_file: z.string().nullish().catch(null),
  error_file: z.string().nullish().catch(null),
  created_at: z.union([z.number(), z.string()]).nullish().catch(null),
  /** Stays 0 until the input has been checked. */
  total_requests: z.number().nullish().catch(null),
  completed_requests: z.number().nullish().catch(null),
  succeeded_requests: z.number().nullish().catch(null),
  failed_requests: z.number().nullish().catch(null),
  // Whatever others put beside our tag must not hide it: a job that is not found is created again.
  metadata: z.record(z.string(), z.unknown()).nullish().catch(null),
  errors: z
    .array(
      z.object({ message: z.string().catch('the provider gave no reason'), count: z.number().nullish().catch(null) }),
    )
    .nullish()
    .catch(null),
})
type Job = z.infer<typeof Job>

const JobList = z.object({ data: z.array(Job).nullish(), total: z.number().nullish().catch(null) })
const Outputs = z.object({ outputs: z.array(z.unknown()).nullish().catch(null) })

/** Where two of its own frameworks look for cached tokens, beside OpenAI's place. */
const CachedTokens = z.object({ usage: z.object({ num_cached_tokens: z.number() }) })

/** What is wrong with the call as a whole: a field of it, by the validation of its framework, or a word of its message. */
const WHOLE_JOB = /"loc":\s*\[|\bmodel\b/i

export const mistral: ProviderAdapter = {
  name: 'mistral',
  facts: {
    title: 'Mistral',
    endpoints: [...ENDPOINTS.values()],
    discount: '50 %',
    recoveredBy: 'metadata',
    passesThrough: [
      '`stream: true`',
      'conversations and agents',
      'transcriptions sent as a form, as its SDK does',
      'files',
    ],
  },
  bases: ['', 'eu.', 'us.'].map((region) => `https://api.${region}mistral.ai/v1`),
  prefixes: ['/v1'],
  // Its SDK reads only the key from the environment.
  baseUrlEnv: undefined,
  limits: {
    // The guide says 1,000,000, the page of known limitations 100,000.
    jobs: 100_000,
    bytes: 512_000_000,
    bytesPerJob: 512_000_000,
    // Any number of hours below seven days ("earlier research": less certain than the rest), of which these are enough.
    windows: ['24h', '1h', '6h', '12h', '2d', '3d', '4d', '5d', '6d'],
    // Not documented: what OpenAI allows, which nobody has reported to be refused.
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  mixes: 'nothing',
  credentials: {
    headers: ['authorization'],
    env: 'MISTRAL_API_KEY',
    fromEnvironment(env): readonly HeaderPair[] | undefined {
      const key = env.MISTRAL_API_KEY?.trim()
      return key ? [['authorization', `Bearer ${key}`]] : undefined
    },
  },
  // No SDK reads one; this is the header in which its support finds a call again.
  requestIdHeader: 'mistral-correlation-id',

  match({ method }, path) {
    if (method !== 'POST') return undefined
    // Not batched, but not unnoticed either: `admit` says why.
    const endpoint = path === '/conversations' ? CONVERSATIONS : ENDPOINTS.get(path)
    return endpoint === undefined ? undefined : { endpoint }
  },

  // Its SDK sends an empty cookie with every call.
  carry: (name, value) => (name === 'cookie' && value.trim() === '' ? undefined : value),

  admit(_body, { endpoint }) {
    return endpoint === CONVERSATIONS ? 'a conversation goes on from call to call, which a batch cannot' : undefined
  },

  // In file mode a create says nothing of rows; an upload may be refused for one.
  refusal({ status, body }): Refusal | undefined {
    return (status === 400 || status === 422) && !WHOLE_JOB.test(body) ? { rows: [] } : undefined
  },

  // The body keeps its own `model`, which is the job's as well: all of a job's rows have the same.
  line: ({ customId, body }) => `{"custom_id":"${customId}","body":${oneLine(body)}}`,

  upload: (_intent, input, call) => uploadFile('/files', { purpose: 'batch' }, input, call),

  async create(intent, upload, _input, call) {
    const body = JSON.stringify({
      input_files: [upload?.fileId],
      endpoint: intent.endpoint,
      ...(intent.model === '' ? {} : { model: intent.model }),
      timeout_hours: hoursOf(intent.window),
      metadata: { ...intent.metadata, [TAG]: intent.tag },
    })
    return toState(await readReply(await postJson(JOBS, body, call), Job))
  },

  find: (intent, call) =>
    findListed(
      mapPages(listPages(call), (job) => listedAs(intent.tag, job, toState)),
      intent,
    ),

  async *list(call): AsyncGenerator<TaggedBatch> {
    for await (const jobs of listPages(call)) yield* taggedOf(jobs, toState)
  },

  poll: (handles, call) =>
    pollFromList(handles, { read: () => mapPages(listPages(call), toState), size: LIST_LIMIT }, ({ id }) =>
      askFor(pathOf(id), call, Job, toState),
    ),

  async *results(handle, call): AsyncGenerator<readonly JobResult[]> {
    const hasFiles = handle.outputFileId !== undefined || handle.errorFileId !== undefined
    yield* hasFiles ? readFiles(handle, call, outputRow) : readOutputs(handle, call)
  },

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `${pathOf(id)}/cancel` }))
  },

  release: deleteInput,

  stub: mistralStub,

  envelope({ code, message, param }) {
    return JSON.stringify({ object: 'error', message, type: 'batch_error', param: param ?? null, code })
  },

  usage(json) {
    const usage = readUsage(json)
    if (!usage || usage.cachedInput !== undefined) return usage
    const told = CachedTokens.safeParse(json)
    return told.success ? { ...usage, cachedInput: told.data.usage.num_cached_tokens } : usage
  },
}

function pathOf(id: string): string {
  return `${JOBS}/${encodeURIComponent(id)}`
}

/** `12h`, `2d`: a window of ours in whole hours. */
function hoursOf(window: string): number {
  const [, count = '24', unit = 'h'] = /^(\d+)([hd])$/.exec(window) ?? []
  return Number(count) * (unit === 'd' ? 24 : 1)
}

/**
 * The jobs, the newest first, by number of page: a job made meanwhile moves the others on, so that some come twice, and none is missed. The
 * second time they are left out: two batches with one tag would be twins, and one of them cancelled.
 * The tag is not asked for: how a filter on metadata is written is not documented, and the SDK's way loses its name. Nor is the time
 * (`created_after`): from a computer whose clock is ahead that would hide a job, which would then be created again.
 */
function listPages(call: Call): AsyncGenerator<readonly Job[]> {
  const seen = new Set<string>()
  return turnPages(async (cursor) => {
    const page = Number(cursor ?? 0)
    const query = {
      page: String(page),
      page_size: String(LIST_LIMIT),
      order_by: '-created',
    }
    const { data, total } = await readReply(await call.send({ method: 'GET', path: JOBS, query }), JobList)
    const items = (data ?? []).filter(({ id }) => !seen.has(id))
    for (const { id } of items) seen.add(id)
    // Whether the total is that of the list is not documented: after a full page it is not believed.
    const isTotal = typeof total === 'number' && seen.size >= total && (data ?? []).length < LIST_LIMIT
    // A gateway that takes no notice of the page gives the same one for ever: nothing new is the end, too.
    const isLast = items.length === 0 || isTotal
    return { items, next: isLast ? undefined : String(page + 1) }
  })
}

function toState(job: Job): BatchState {
  const [inputFile] = job.input_files ?? []
  const about = {
    status: job.status,
    handle: {
      id: job.id,
      ...(inputFile ? { inputFileId: inputFile } : {}),
      ...(job.output_file ? { outputFileId: job.output_file } : {}),
      ...(job.error_file ? { errorFileId: job.error_file } : {}),
    },
    counts: countsOf(job),
  }
  switch (job.status) {
    case 'SUCCESS':
      return { ...about, phase: 'ended', outcome: 'completed' }
    case 'TIMEOUT_EXCEEDED':
      return { ...about, phase: 'ended', outcome: 'expired' }
    case 'CANCELLED':
      return { ...about, phase: 'ended', outcome: 'cancelled' }
    case 'FAILED':
      return failedState(job, about)
    default:
      return { ...about, phase: 'running' }
  }
}

/** When a job fails that has run some of its rows is not documented: then those it tells nothing of may have been run, and billed, too. */
function failedState(job: Job, about: Pick<BatchState, 'status' | 'handle' | 'counts'>): BatchState {
  if ((job.completed_requests ?? 0) > 0 || job.output_file) return { ...about, phase: 'ended', outcome: 'completed' }
  const total = job.total_requests ?? 0
  const errors = job.errors ?? []
  const isEveryRow = total > 0 && errors.some(({ count }) => (count ?? 0) >= total)
  return {
    ...about,
    phase: 'ended',
    outcome: 'failed',
    refused: isEveryRow ? 'everything' : 'invalid',
    problems: errors.map(({ message }) => ({ code: undefined, message, line: undefined, param: undefined })),
  }
}

function countsOf(job: Job): BatchState['counts'] {
  const total = job.total_requests ?? 0
  if (total === 0) return undefined
  return { total, completed: job.succeeded_requests ?? 0, failed: job.failed_requests ?? 0 }
}

/** A job that names no file may hold its rows itself, as those do that were given theirs inside the create. */
async function* readOutputs({ id }: BatchHandle, call: Call): AsyncGenerator<readonly JobResult[]> {
  const response = await call.send({ method: 'GET', path: pathOf(id), query: { inline: 'true' }, isTransfer: true })
  const { outputs } = await readReply(response, Outputs)
  if (outputs && outputs.length > 0) yield outputs.map((row) => outputRow(JSON.stringify(row)))
}
