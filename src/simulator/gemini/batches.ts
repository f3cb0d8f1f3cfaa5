import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { Batch, BatchView } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import { inlineInput } from '../batches/inline.ts'
import { serveResults } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject, parseJson } from '../json.ts'
import { readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal, type Phase } from '../timeline.ts'
import { geminiDialect, isRefusedAtOnce, unknownRow, type RowForm } from './dialect.ts'
import { embedContent } from './embed-content.ts'
import { googleReply, refuse } from './envelope.ts'
import { fileName, PURPOSE, storeId, type Files } from './files.ts'
import { generateContent } from './generate-content.ts'
import { mustSupport, type ModelCall } from './live.ts'
import { createRequest, embedContentRequest, generateContentRequest } from './messages.ts'
import type { Method } from './models.ts'
import { operationOf, type Output, type Shown } from './operation.ts'
import { pageOf } from './paging.ts'
import { complaint, readMessage } from './proto-json.ts'

/** "Running or pending for more than 48 hours" [docs: ai.google.dev/gemini-api/docs/batch-api]. */
const WINDOW_MS = 48 * 60 * 60 * 1000
/** Inline requests and file input [docs: same]; the first as the error message counts it. */
const MAX_INLINE_BYTES = 20 * 1024 * 1024
const MAX_FILE_BYTES = 2 * 1024 * 1024 * 1024
/** "A couple of days" [third-party: sourcelibrary-v2#3717; uncertain, others say six weeks]. */
const RESULTS_MS = 48 * 60 * 60 * 1000
const DEFAULT_LIST = 50
const MAX_LIST = 100

/** All batches of one simulator, and what can be asked about them. */
export interface Batches {
  create(exchange: Exchange, call: ModelCall, method: Method): Promise<Reply>
  get(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  remove(exchange: Exchange, id: string): Promise<Reply>
  /** Brings the ledger up to date with the clock. */
  settle(): void
  close(): Promise<void>
}

const METHODS = {
  generateContent: {
    called: 'batchGenerateContent',
    batchType: 'GenerateContentBatch',
    request: generateContentRequest,
    endpoint: generateContent,
  },
  embedContent: {
    called: 'asyncBatchEmbedContent',
    batchType: 'EmbedContentBatch',
    request: embedContentRequest,
    endpoint: embedContent,
  },
} as const

interface Order {
  readonly displayName: string
  readonly input: StoredFile
  readonly rows: RowForm
}

export function createBatches(world: World, files: Files): Batches {
  const book = createBatchBook<Shown>(world)

  async function find({ account }: Exchange, id: string): Promise<Batch<Shown>> {
    return (await book.find(account, id)) ?? refuse(404, 'Requested entity was not found.')
  }

  /** What the caller may read of its results by now. */
  async function outputOf({ details }: Batch<Shown>, { phase, results }: BatchView): Promise<Output | undefined> {
    if (!results.output || phase === 'expired') return undefined
    if (details.rows === 'file') return { responsesFile: fileName(results.output) }
    const { body } = await serveResults(world, results.output, '', (key) => unknownRow('inline', key))
    const lines = body.kind === 'file' ? (await text(body.read())).split('\n').filter((line) => line !== '') : []
    // A line that is no JSON cannot be shown as such inside a reply: nothing is left of it.
    return { inlinedResponses: { inlinedResponses: lines.map((line) => parseJson(line) ?? {}) } }
  }

  async function readOrder(exchange: Exchange, method: Method): Promise<Order> {
    const { account } = exchange
    const { batchType, request, called } = METHODS[method]
    const parsed = parseJson(await readText(exchange.body, maxBytes(world, MAX_INLINE_BYTES), refuseSize))
    if (!isObject(parsed)) return refuse(400, 'Invalid JSON payload received. Unexpected end of string or token.')
    const { value, violations } = readMessage(parsed, createRequest(batchType, request))
    if (violations.length > 0) {
      const { message, details } = complaint(violations)
      return refuse(400, message, details)
    }
    const batch = isObject(value['batch']) ? value['batch'] : {}
    const displayName = typeof batch['displayName'] === 'string' ? batch['displayName'] : ''
    const config = isObject(batch['inputConfig']) ? batch['inputConfig'] : {}
    const inlined = isObject(config['requests']) ? (config['requests']['requests'] ?? []) : undefined
    const name = config['fileName']
    const place = `* ${called[0]?.toUpperCase()}${called.slice(1)}Request.batch.input_config`
    if (inlined !== undefined && name !== undefined) return refuse(400, `${place}: only one source may be set`)
    if (Array.isArray(inlined)) {
      const lines = inlined.map((row) => JSON.stringify(row))
      return { displayName, input: await inlineInput(world, account, lines), rows: 'inline' }
    }
    if (typeof name !== 'string') return refuse(400, `${place}: file_name or requests must be specified`)
    return { displayName, input: await inputFile(account, name), rows: 'file' }
  }

  async function inputFile(account: Account, name: string): Promise<StoredFile> {
    const file = files.input(account, name)
    if (!file) return refuse(404, `File not found: ${name}`)
    const limit = maxBytes(world, MAX_FILE_BYTES)
    if ((await file.bytes()) > limit) return refuse(400, `The input file is larger than ${limit} bytes.`)
    return file
  }

  return {
    async create(exchange, call, method) {
      const { account } = exchange
      const { called, batchType, endpoint, request } = METHODS[method]
      mustSupport(world, call, method, called)
      const { displayName, input, rows } = await readOrder(exchange, method)
      const { model } = call
      const dialect = geminiDialect({
        endpoint: endpoint(model, 'batch'),
        model,
        request,
        rows,
        maxRows: world.limits.jobs ?? Infinity,
      })
      const id = randomBytes(16).toString('hex')
      const details: Shown = { batchType, model, displayName, input, rows, requests: () => dialect.rows() }
      const order = {
        id,
        account,
        dialect,
        input,
        windowMs: WINDOW_MS,
        details,
        // At once [third-party: tobert/kaibo#8, probed].
        cancelMs: 0,
        resultFile: (_: unknown, endedAt: number, phase: Phase) => ({
          id: storeId(account, `batch-${id}`),
          name: '',
          purpose: rows === 'file' ? PURPOSE.generated : PURPOSE.hidden,
          createdAt: endedAt,
          // "The job will not have any results to retrieve" [docs: batch guide, of expired jobs].
          expiresAt: phase === 'expired' ? endedAt : endedAt + RESULTS_MS,
        }),
      }
      const admitted = await book.admit(order, isRefusedAtOnce)
      if (admitted.kind === 'refused') {
        const { code, message } = admitted.problem
        return refuse(code === 'RESOURCE_EXHAUSTED' ? 429 : 400, message)
      }
      const { batch } = admitted
      return googleReply(200, operationOf(batch.view(), batch.details, undefined))
    },
    async get(exchange, id) {
      const batch = await find(exchange, id)
      const view = batch.view()
      return googleReply(200, operationOf(view, batch.details, await outputOf(batch, view)))
    },
    async list({ account, query }) {
      const { page, nextPageToken } = pageOf(book.list(account), query, DEFAULT_LIST, MAX_LIST)
      await Promise.all(page.map((batch) => batch.ready()))
      // Listed batches lack their output [third-party: see the reference]; whoever wants it gets the batch itself.
      const operations = page.map((batch) => operationOf(batch.view(), batch.details, undefined))
      return googleReply(200, {
        ...(operations.length === 0 ? {} : { operations }),
        ...(nextPageToken === undefined ? {} : { nextPageToken }),
      })
    },
    async cancel(exchange, id) {
      const batch = await find(exchange, id)
      // Best effort: one that has ended stays as it is [spec: google.longrunning.Operations.CancelOperation].
      if (!isFinal(batch.view().phase)) batch.cancel()
      return googleReply(200, {})
    },
    async remove(exchange, id) {
      const batch = await find(exchange, id)
      // "It stops processing new requests and is removed from the list of batch jobs" [docs: batch guide].
      if (!isFinal(batch.view().phase)) batch.cancel()
      batch.view()
      book.remove(batch)
      return googleReply(200, {})
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

function maxBytes({ limits }: World, most: number): number {
  return Math.min(limits.bytes ?? most, most)
}

function refuseSize(limit: number): never {
  return refuse(400, `Request payload size exceeds the limit: ${limit} bytes.`)
}
