import type { Batch } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import type { Dialect } from '../batches/dialect.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject, parseJson } from '../json.ts'
import { readMetadata, requiredText, wireTimes } from '../openai-like/batch-wire.ts'
import { createLineReader, onlyTarget, rowOfLine } from '../openai-like/read-lines.ts'
import { randomHex } from '../openai-like/wire.ts'
import { ROWS } from '../openai/dialect.ts'
import { jsonReply, readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal } from '../timeline.ts'
import { BATCHABLE } from './endpoints.ts'
import { errorBody, refuse } from './envelope.ts'
import { MAX_INPUT_BYTES, newFileId } from './files.ts'
import { isModel } from './models.ts'
import type { Endpoint } from '../endpoint.ts'

const HOUR = 60 * 60 * 1000
const WINDOW = { least: 24 * HOUR, most: 7 * 24 * HOUR }
const MAX_ROWS = 50_000
/** Ids of one call ("Groq Batch API", checking several batches at once). */
const MAX_IDS = 200
/** Undocumented; OpenAI's. */
const PAGE = 20

export interface Batches {
  create(exchange: Exchange): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  /** Several by their ids, or a page of all. */
  list(exchange: Exchange): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  settle(): void
  close(): Promise<void>
}

interface Details {
  readonly endpoint: Endpoint
  readonly input: StoredFile
  readonly window: string
  readonly metadata: Readonly<Record<string, string>> | null
}

export function createBatches(world: World): Batches {
  const book = createBatchBook<Details>(world)

  async function find({ account }: Exchange, id: string): Promise<Batch<Details>> {
    return (await book.find(account, id)) ?? refuse(`Batch not found: ${id}`, null, null, 404)
  }

  return {
    async create({ account, body }) {
      const details = await readRequest(world, account, await readText(body))
      const id = `batch_${randomHex(13)}`
      const batch = book.open({
        id,
        account,
        dialect: groqDialect(world, details.endpoint),
        input: details.input,
        windowMs: windowMs(details.window) ?? WINDOW.least,
        details,
        resultFile: (channel, endedAt) => ({
          id: newFileId(),
          name: `${id}_${channel === 'output' ? 'output' : 'error'}.jsonl`,
          purpose: 'batch_output',
          createdAt: endedAt,
          expiresAt: endedAt + 30 * 24 * HOUR,
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
    async list(exchange) {
      const ids = exchange.query.getAll('id')
      if (ids.length > MAX_IDS) return refuse(`At most ${MAX_IDS} ids may be given.`, 'id')
      if (ids.length > 0) {
        const found = await Promise.all(ids.map((id) => book.find(exchange.account, id)))
        return jsonReply(200, { object: 'list', data: found.flatMap((batch) => (batch ? [batchObject(batch)] : [])) })
      }
      const batches = book.list(exchange.account)
      const from = pageStart(exchange.query.get('cursor'))
      const page = batches.slice(from, from + PAGE)
      await Promise.all(page.map((batch) => batch.ready()))
      const next = from + PAGE < batches.length ? cursorTo(from + PAGE) : ''
      return jsonReply(200, { object: 'list', data: page.map(batchObject), paging: { next_cursor: next } })
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

function batchObject({ id, details, ...batch }: Batch<Details>): Record<string, unknown> {
  const view = batch.view()
  const { phase, problem, results, skipped } = view
  // The SDK types a list object; the documentation's sample of a completed batch with one bad line shows a bare array.
  const complaints = skipped.length > 0 ? skipped : null
  return {
    id,
    object: 'batch',
    endpoint: details.endpoint.path,
    errors: problem ? { object: 'list', data: [problem] } : complaints,
    input_file_id: details.input.id,
    completion_window: details.window,
    status: phase,
    output_file_id: results.output?.id ?? null,
    error_file_id: results.errors?.id ?? null,
    ...wireTimes(view),
    request_counts: view.counts,
    metadata: details.metadata,
  }
}

/** OpenAI's rows; a bad line is complained about while the others run. */
function groqDialect(world: World, endpoint: Endpoint): Dialect {
  const target = onlyTarget(endpoint)
  return {
    reader: () =>
      createLineReader({
        target,
        models: 'any',
        isModel: (name) => isModel(name, world.models),
        badLine: 'skipped',
        maxRows: world.limits.jobs ?? MAX_ROWS,
      }),
    row: (text) => rowOfLine(text, target),
    ...ROWS,
    errorBody,
    tokenLimit: (model, limit) => ({
      code: 'token_limit_exceeded',
      message: `Enqueued token limit reached for ${model}. Limit: ${limit} enqueued tokens.`,
      param: null,
      line: null,
    }),
  }
}

async function readRequest(world: World, account: Account, text: string): Promise<Details> {
  const body = parseJson(text)
  if (!isObject(body)) return refuse('We could not parse the JSON body of your request.')
  const inputFileId = requiredText(body, 'input_file_id', refuse)
  const path = requiredText(body, 'endpoint', refuse)
  const window = requiredText(body, 'completion_window', refuse)
  const endpoint = BATCHABLE.get(path)
  if (!endpoint) return refuse(`endpoint must be one of ${[...BATCHABLE.keys()].join(', ')}`, 'endpoint')
  const length = windowMs(window)
  if (length === undefined || length < WINDOW.least || length > WINDOW.most) {
    return refuse('completion_window must be a duration from 24h to 7d', 'completion_window')
  }
  const metadata = readMetadata(body['metadata'], refuse)
  const input = world.files.get(account.hash, inputFileId)
  if (input?.purpose !== 'batch') return refuse(`File not found: ${inputFileId}`, 'input_file_id')
  const limit = world.limits.bytes ?? MAX_INPUT_BYTES
  if ((await input.bytes()) > limit) return refuse(`The input file is larger than ${limit} bytes.`, 'input_file_id')
  return { endpoint, input, window, metadata }
}

function windowMs(window: string): number | undefined {
  const [, amount, unit] = /^(\d+)(h|d)$/.exec(window) ?? []
  if (amount === undefined) return undefined
  return Number(amount) * (unit === 'd' ? 24 * HOUR : HOUR)
}

function cursorTo(position: number): string {
  return Buffer.from(`batch:${position}`).toString('base64url')
}

function pageStart(cursor: string | null): number {
  if (cursor === null || cursor === '') return 0
  const position = /^batch:(\d+)$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1]
  return position === undefined ? refuse('The cursor is not valid.', 'cursor') : Number(position)
}
