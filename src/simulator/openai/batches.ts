import { createBatchBook } from '../batches/book.ts'
import type { Batch } from '../batches/batch.ts'
import type { Endpoint } from '../endpoint.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject, parseJson } from '../json.ts'
import { readMetadata, requiredText, wireTimes } from '../openai-like/batch-wire.ts'
import { integer, listObject, pageAfter } from '../openai-like/wire.ts'
import { jsonReply, readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal } from '../timeline.ts'
import { openaiDialect } from './dialect.ts'
import { ENDPOINTS } from './endpoints.ts'
import { refuse } from './envelope.ts'
import { expirySeconds } from './files.ts'
import { newBatchId, newFileId } from './ids.ts'

const WINDOW_MS = 24 * 60 * 60 * 1000
const MAX_ROWS = 50_000
const MAX_INPUT_BYTES = 200 * 1024 * 1024
const MAX_LIST = 100

/** All batches of one simulator, and what can be asked about them. */
export interface Batches {
  create(exchange: Exchange): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  /** Brings the ledger up to date with the clock. */
  settle(): void
  close(): Promise<void>
}

/** What an OpenAI batch shows beside where it stands. */
interface Details {
  readonly endpoint: Endpoint
  readonly input: StoredFile
  readonly metadata: Readonly<Record<string, string>> | null
}

export function createBatches(world: World): Batches {
  const book = createBatchBook<Details>(world)

  async function find({ account }: Exchange, id: string): Promise<Batch<Details>> {
    return (await book.find(account, id)) ?? refuse(`No batch found with id '${id}'.`, null, null, 404)
  }

  return {
    async create({ account, body }) {
      const { resultSeconds, ...details } = await readRequest(world, account, await readText(body))
      const id = newBatchId()
      const { endpoint, input } = details
      const batch = book.open({
        id,
        account,
        dialect: openaiDialect({
          endpoint,
          maxRows: world.limits.jobs ?? MAX_ROWS,
          models: world.models,
          organization: account.organization,
        }),
        input,
        windowMs: WINDOW_MS,
        details,
        resultFile: (channel, endedAt) => ({
          id: newFileId(),
          name: `${id}_${channel === 'output' ? 'output' : 'error'}.jsonl`,
          purpose: 'batch_output',
          createdAt: endedAt,
          expiresAt: resultSeconds === undefined ? undefined : endedAt + resultSeconds * 1000,
        }),
      })
      return jsonReply(200, batchObject(batch))
    },
    async retrieve(exchange, id) {
      return jsonReply(200, batchObject(await find(exchange, id)))
    },
    async cancel(exchange, id) {
      const batch = await find(exchange, id)
      const { phase } = batch.view()
      if (isFinal(phase)) return refuse(`Cannot cancel a batch with status '${phase}'.`)
      batch.cancel()
      return jsonReply(200, batchObject(batch))
    },
    async list({ account, query }) {
      const limit = integer(query.get('limit')) ?? 20
      if (!(limit >= 1 && limit <= MAX_LIST))
        return refuse(`Invalid 'limit': expected a value from 1 to ${MAX_LIST}.`, 'limit')
      const after = query.get('after')
      const page = pageAfter(book.list(account), after, limit)
      if (!page) return refuse(`No batch found with id '${after}'.`, 'after')
      await Promise.all(page.items.map((batch) => batch.ready()))
      return jsonReply(200, listObject(page, page.items.map(batchObject)))
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

function batchObject({ id, details, ...batch }: Batch<Details>): Record<string, unknown> {
  const view = batch.view()
  const { phase, problem, results } = view
  return {
    id,
    object: 'batch',
    endpoint: details.endpoint.path,
    model: view.models[0] ?? null,
    errors: problem ? { object: 'list', data: [problem] } : null,
    input_file_id: details.input.id,
    completion_window: '24h',
    status: phase,
    output_file_id: results.output?.id ?? null,
    error_file_id: results.errors?.id ?? null,
    ...wireTimes(view),
    request_counts: view.counts,
    usage: null,
    metadata: details.metadata,
  }
}

/** What can be refused before any line of the input is read. */
async function readRequest(
  world: World,
  account: Account,
  text: string,
): Promise<Details & { readonly resultSeconds: number | undefined }> {
  const body = parseJson(text)
  if (!isObject(body)) return refuse('We could not parse the JSON body of your request.')
  const inputFileId = requiredText(body, 'input_file_id', refuse)
  const path = requiredText(body, 'endpoint', refuse)
  const window = requiredText(body, 'completion_window', refuse)
  const endpoint = ENDPOINTS.get(path)
  if (!endpoint) {
    const known = [...ENDPOINTS.keys()].map((path) => `'${path}'`).join(', ')
    return refuse(`Invalid value: '${path}'. Supported values are: ${known}.`, 'endpoint', 'invalid_value')
  }
  if (window !== '24h') {
    return refuse(
      "Invalid value for 'completion_window'. Supported values are: '24h'.",
      'completion_window',
      'invalid_value',
    )
  }
  const metadata = readMetadata(body['metadata'], refuse)
  const expiry = isObject(body['output_expires_after']) ? body['output_expires_after'] : {}
  const resultSeconds = expirySeconds(expiry['anchor'], expiry['seconds'], 'output_expires_after')

  const file = world.files.get(account.hash, inputFileId)
  if (!file) return refuse(`No such File object: ${inputFileId}`, 'input_file_id')
  if (file.purpose !== 'batch') {
    return refuse(
      `The file ${inputFileId} has purpose '${file.purpose}'; expected 'batch'.`,
      'input_file_id',
      'invalid_purpose',
    )
  }
  const limit = world.limits.bytes ?? MAX_INPUT_BYTES
  if ((await file.bytes()) > limit) {
    return refuse(`The input file is larger than ${limit} bytes.`, 'input_file_id', 'file_too_large')
  }
  return { endpoint, input: file, metadata, resultSeconds }
}
