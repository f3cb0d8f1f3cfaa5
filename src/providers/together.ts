import { z } from 'zod'
import type { Call, ProviderAdapter, TaggedBatch } from '../core/adapter.ts'
import type { BatchLine, BatchProblem, BatchState, JobResult } from '../core/batch.ts'
import { bearer } from './toolkit/bearer.ts'
import { deleteInput, readFiles, uploadFile } from './toolkit/files.ts'
import { oneLine } from './toolkit/json-text.ts'
import { foundOf, toMs } from './toolkit/look-up.ts'
import { problemIn, refusedLine } from './toolkit/named-line.ts'
import { openaiEnvelope } from './toolkit/openai-envelope.ts'
import { outputRow } from './toolkit/openai-rows.ts'
import { askFor, isNotOffered, pollFromList } from './toolkit/poll.ts'
import { discard, postJson, readReply } from './toolkit/replies.ts'
import { openaiStub } from './toolkit/stub-openai.ts'
import { readUsage } from './toolkit/usage.ts'

/*
 * Together's Batch API. Its batches carry nothing of ours but the id of their input file: that is how they are found again. Facts from
 * https://docs.together.ai/docs/inference/batch (tutorial, manage), the reference beside it and the types of `together-ai` 0.52, read
 * 2026-11; what they leave open is marked.
 */

/** Path after the base URL → the endpoint a batch names; its lines name none. */
const ENDPOINTS = new Map([
  ['/chat/completions', '/v1/chat/completions'],
  ['/audio/transcriptions', '/v1/audio/transcriptions'],
  ['/audio/translations', '/v1/audio/translations'],
])
const CHAT = '/v1/chat/completions'

/** Our uploads, in an account's list of files. */
const FILE_NAME = /^offpeak-([a-z0-9]+)\.jsonl$/

const Job = z.object({
  id: z.string().min(1),
  status: z.string().catch('unknown'),
  input_file_id: z.string().nullish().catch(null),
  output_file_id: z.string().nullish().catch(null),
  error_file_id: z.string().nullish().catch(null),
  created_at: z.union([z.string(), z.number()]).nullish().catch(null),
  /** Per cent. */
  progress: z.number().nullish().catch(null),
  error: z.string().nullish().catch(null),
})
type Job = z.infer<typeof Job>

// A create wraps the job; retrieving does not.
const JobReply = z.union([z.object({ job: Job }).transform(({ job }) => job), Job])
const JobList = z.union([z.array(Job), z.object({ data: z.array(Job) }).transform(({ data }) => data)])
const FileList = z.object({ data: z.array(z.object({ id: z.string(), filename: z.string().nullish().catch(null) })) })

export const together: ProviderAdapter = {
  name: 'together',
  facts: {
    title: 'Together',
    endpoints: [...ENDPOINTS.values()],
    discount: '50 % on a list of models; the others cost the live price',
    recoveredBy: 'the input file',
    passesThrough: [
      '`stream: true`',
      'audio that is uploaded (a batch takes it by URL)',
      'embeddings, completions, images, rerank',
    ],
  },
  // The SDK goes to .ai, the AI SDK to .xyz.
  bases: ['https://api.together.ai/v1', 'https://api.together.xyz/v1'],
  baseUrlEnv: 'TOGETHER_BASE_URL',
  limits: {
    jobs: 50_000,
    bytes: 100_000_000,
    // 10 MB a line. A longer one passes validation and fails the whole batch later.
    bytesPerJob: 9_990_000,
    // It tries to; its documentation says to wait up to 72 hours.
    windows: ['24h'],
    // A batch takes none: the caller's stays with us, whatever it is.
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  // A batch has one `model_id`; whether lines may differ is not documented.
  mixes: 'nothing',
  credentials: bearer('TOGETHER_API_KEY'),
  requestIdHeader: 'x-request-id',
  // "Poll every 30 to 60 seconds."
  pollIntervalMs: 30_000,

  match({ method }, path) {
    const endpoint = method === 'POST' ? ENDPOINTS.get(path) : undefined
    return endpoint === undefined ? undefined : { endpoint }
  },

  admit(body, { endpoint }) {
    if (endpoint === CHAT) return undefined
    const { file, response_format: format } = body
    if (typeof file !== 'string' || !/^https?:/i.test(file)) return 'a batch takes audio by its URL only'
    const isJson = format === undefined || format === null || format === 'json' || format === 'verbose_json'
    return isJson ? undefined : 'a batch answers in JSON only'
  },

  refusal: refusedLine,

  // A line of audio is sent on as a form, which its method says; a line of chat has no method and no URL.
  line({ customId, endpoint, body }: BatchLine) {
    const method = endpoint.startsWith('/v1/audio/') ? '"method":"FILE",' : ''
    return `{"custom_id":"${customId}",${method}"body":${oneLine(body)}}`
  },

  async upload({ tag }, input, call) {
    const fileName = `offpeak-${tag}.jsonl`
    // All three fields are required.
    const fields = { purpose: 'batch-api', file_name: fileName }
    return await uploadFile('/files/upload', fields, { blob: input.blob, fileName }, call)
  },

  async create({ endpoint, window }, upload, _input, call) {
    const body = JSON.stringify({ input_file_id: upload?.fileId, endpoint, completion_window: window })
    return toState(await readReply(await postJson('/batches', body, call), JobReply))
  },

  // An upload made anew has another id: the names of files tell of the earlier one, too.
  async find(intent, call) {
    const files = await tagsOfFiles(call)
    const ours = (await readJobs(call)).filter(
      ({ input_file_id: id }) => id && (id === intent.upload?.fileId || files.get(id) === intent.tag),
    )
    return foundOf(ours.map(toState))
  },

  async *list(call): AsyncGenerator<TaggedBatch> {
    const files = await tagsOfFiles(call)
    const jobs = await readJobs(call)
    for (const job of jobs.toSorted((a, b) => toMs(b.created_at) - toMs(a.created_at))) {
      const tag = files.get(job.input_file_id ?? '')
      const createdAt = toMs(job.created_at)
      if (tag === undefined) continue
      yield { tag, state: toState(job), createdAt: Number.isFinite(createdAt) ? createdAt : undefined }
    }
  },

  poll: (handles, call) =>
    pollFromList(
      handles,
      // The list has no pages.
      { read: () => readStates(call), size: handles.length },
      ({ id }) => askFor(`/batches/${encodeURIComponent(id)}`, call, JobReply, toState),
    ),

  results: (handle, call) => readFiles(handle, call, toResult),

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `/batches/${encodeURIComponent(id)}/cancel` }))
  },

  release: deleteInput,
  envelope: openaiEnvelope,
  stub: openaiStub,
  usage: readUsage,
}

async function readJobs(call: Call): Promise<readonly Job[]> {
  return await readReply(await call.send({ method: 'GET', path: '/batches' }), JobList)
}

async function* readStates(call: Call): AsyncGenerator<readonly BatchState[]> {
  yield (await readJobs(call)).map(toState)
}

/** The tags of our uploads, by file id; none where files are not listed. */
async function tagsOfFiles(call: Call): Promise<ReadonlyMap<string, string>> {
  try {
    const { data } = await readReply(await call.send({ method: 'GET', path: '/files' }), FileList)
    return new Map(
      data.flatMap(({ id, filename }) => {
        const tag = FILE_NAME.exec(filename ?? '')?.[1]
        return tag === undefined ? [] : [[id, tag] as const]
      }),
    )
  } catch (error) {
    // The id of the file, which we know, finds all but a batch of an upload before it.
    if (!isNotOffered(error)) throw error
    return new Map()
  }
}

function toState(job: Job): BatchState {
  // One word is spelled both ways.
  const status = job.status.toLowerCase().replace('canceled', 'cancelled').replace('canceling', 'cancelling')
  const about = {
    status,
    handle: {
      id: job.id,
      ...(job.input_file_id ? { inputFileId: job.input_file_id } : {}),
      ...(job.output_file_id ? { outputFileId: job.output_file_id } : {}),
      ...(job.error_file_id ? { errorFileId: job.error_file_id } : {}),
    },
  }
  switch (status) {
    case 'completed':
    case 'expired':
    case 'cancelled':
      return { ...about, phase: 'ended', outcome: status }
    case 'failed': {
      // A line that is too long fails a job that is already at work [manage]: rows it tells nothing of may have been run, and billed, too.
      if ((job.progress ?? 0) > 0 || job.output_file_id) return { ...about, phase: 'ended', outcome: 'completed' }
      const problem = problemIn(job.error || 'the provider gave no reason')
      return {
        ...about,
        phase: 'ended',
        outcome: 'failed',
        refused: refusedBecause(problem),
        problems: [problem],
      }
    }
    default:
      return { ...about, phase: 'running' }
  }
}

/** The reason is a sentence whose wording is not documented: only what would hold for every row, or for none, is looked for. */
function refusedBecause({ message, line }: BatchProblem): 'capacity' | 'invalid' | 'everything' {
  // There is never room for a row that is itself too much.
  if (line === undefined && /\b(enqueued|quota|rate limit|too many)\b/i.test(message)) return 'capacity'
  if (/\bmodel\b.*\b(not (supported|available|found)|unsupported|unavailable|does not exist)\b/i.test(message)) {
    return 'everything'
  }
  return 'invalid'
}

const FailedRow = z.object({
  custom_id: z.string(),
  error: z.union([
    z.string().transform((message) => ({ message, code: undefined, param: undefined })),
    z.object({
      message: z.string().nullish(),
      code: z.union([z.string(), z.number().transform(String)]).nullish(),
      param: z.string().nullish().catch(null),
    }),
  ]),
})

/** An answer is as OpenAI's; a row of the error file has neither a response nor a status. */
function toResult(line: string): JobResult {
  const result = outputRow(line)
  if (result.kind === 'reply') return result
  const row = readFailedRow(line)
  if (!row) return result
  const { custom_id: customId, error } = row
  const code = error.code ?? 'error'
  const message = error.message ?? code
  const notRun = /(expired|cancell?ed)$/.exec(code)?.[1]
  if (notRun !== undefined) {
    return { kind: 'unexecuted', customId, reason: notRun === 'expired' ? 'expired' : 'cancelled', code, message }
  }
  const body = openaiEnvelope({ code, message, param: error.param ?? undefined })
  return { kind: 'reply', customId, status: statusOf(code), requestId: undefined, body, json: JSON.parse(body) }
}

function readFailedRow(line: string): z.infer<typeof FailedRow> | undefined {
  try {
    return FailedRow.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

/** The status the live endpoint would have used. Codes are not listed anywhere: `invalid_model` is the documentation's one example. */
function statusOf(code: string): number {
  if (/^[45]\d\d$/.test(code)) return Number(code)
  if (/^(invalid|bad_request|unsupported|context_length)/.test(code)) return 400
  if (/rate_limit|too_many/.test(code)) return 429
  return /timeout|timed_out/.test(code) ? 504 : 500
}
