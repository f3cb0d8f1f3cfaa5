import { randomUUID } from 'node:crypto'
import type { Batch, BatchView } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import type { Endpoint } from '../endpoint.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject, parseJson } from '../json.ts'
import { requiredText } from '../openai-like/batch-wire.ts'
import { jsonReply, readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal, type Phase } from '../timeline.ts'
import { togetherDialect } from './dialect.ts'
import { ENDPOINTS } from './endpoints.ts'
import { refuse } from './envelope.ts'
import { MAX_INPUT_BYTES, newFileId, PURPOSE, RESULTS } from './files.ts'
import { isModel } from './models.ts'

const MAX_ROWS = 50_000
/** "For now, the completion window defaults to 24h and cannot be changed". */
const WINDOW = '24h'
const WINDOW_MS = 24 * 60 * 60 * 1000

const STATUS: Readonly<Record<Phase, string>> = {
  validating: 'VALIDATING',
  in_progress: 'IN_PROGRESS',
  finalizing: 'IN_PROGRESS',
  completed: 'COMPLETED',
  failed: 'FAILED',
  expired: 'EXPIRED',
  // In the Python SDK's enum, not in the TypeScript one.
  cancelling: 'CANCELING',
  cancelled: 'CANCELLED',
}

export interface Batches {
  create(exchange: Exchange): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  settle(): void
  close(): Promise<void>
}

interface Details {
  readonly account: Account
  readonly endpoint: Endpoint
  readonly input: StoredFile
  readonly inputBytes: number
}

export function createBatches(world: World): Batches {
  const book = createBatchBook<Details>(world)

  async function find({ account }: Exchange, id: string): Promise<Batch<Details>> {
    return (await book.find(account, id)) ?? refuse(`batch job ${id} not found`, null, 'not_found', 404)
  }

  return {
    async create({ account, body }) {
      const details = await readRequest(world, account, await readText(body))
      const id = randomUUID()
      const batch = book.open({
        id,
        account,
        dialect: togetherDialect({
          endpoint: details.endpoint,
          maxRows: world.limits.jobs ?? MAX_ROWS,
          isModel: (name) => isModel(name, world.models),
        }),
        input: details.input,
        windowMs: WINDOW_MS,
        details,
        resultFile: (channel, endedAt) => ({
          id: newFileId(),
          name: `${id}-${channel}.jsonl`,
          purpose: RESULTS,
          createdAt: endedAt,
          expiresAt: undefined,
        }),
      })
      return jsonReply(201, { job: job(batch), warning: null })
    },
    async retrieve(exchange, id) {
      return jsonReply(200, job(await find(exchange, id)))
    },
    async list({ account }) {
      const batches = book.list(account)
      await Promise.all(batches.map((batch) => batch.ready()))
      return jsonReply(200, batches.map(job))
    },
    async cancel(exchange, id) {
      const batch = await find(exchange, id)
      const { phase } = batch.view()
      if (isFinal(phase)) return refuse(`batch job ${id} cannot be cancelled: it is ${STATUS[phase]}`)
      batch.cancel()
      return jsonReply(200, job(batch))
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

/** What has no value is absent (together-ai 0.52, `BatchJob`). */
function job({ id, details, ...batch }: Batch<Details>): Record<string, unknown> {
  const view = batch.view()
  const { phase, problem, results, models } = view
  const completedAt = isFinal(phase) ? view.entered[phase] : undefined
  return {
    id,
    user_id: `user_${details.account.hash}`,
    input_file_id: details.input.id,
    file_size_bytes: details.inputBytes,
    status: STATUS[phase],
    job_deadline: isoTime(view.deadline),
    created_at: isoTime(view.createdAt),
    endpoint: details.endpoint.path,
    progress: progressOf(view),
    ...(models.length === 1 ? { model_id: models[0] } : {}),
    ...(results.output ? { output_file_id: results.output.id } : {}),
    ...(results.errors ? { error_file_id: results.errors.id } : {}),
    ...(problem ? { error: problem.line === null ? problem.message : `line ${problem.line}: ${problem.message}` } : {}),
    ...(completedAt === undefined ? {} : { completed_at: isoTime(completedAt) }),
  }
}

/** In per cent. */
function progressOf({ counts }: BatchView): number {
  return counts.total === 0 ? 0 : ((counts.completed + counts.failed) / counts.total) * 100
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

async function readRequest(world: World, account: Account, text: string): Promise<Details> {
  const body = parseJson(text)
  if (!isObject(body)) return refuse('invalid JSON body')
  const inputFileId = requiredText(body, 'input_file_id', refuse)
  const path = requiredText(body, 'endpoint', refuse)
  const endpoint = ENDPOINTS.get(path)
  if (!endpoint) return refuse(`endpoint must be one of ${[...ENDPOINTS.keys()].join(', ')}`, 'endpoint')
  if ((body['completion_window'] ?? WINDOW) !== WINDOW) {
    return refuse(`completion_window must be ${WINDOW}`, 'completion_window')
  }
  const input = world.files.get(account.hash, inputFileId)
  if (!input) return refuse(`file ${inputFileId} not found`, 'input_file_id')
  if (input.purpose !== PURPOSE) return refuse(`file ${inputFileId} must have purpose ${PURPOSE}`, 'input_file_id')
  const inputBytes = await input.bytes()
  const limit = world.limits.bytes ?? MAX_INPUT_BYTES
  if (inputBytes > limit) return refuse(`the input file is larger than ${limit} bytes`, 'input_file_id')
  return { account, endpoint, input, inputBytes }
}
