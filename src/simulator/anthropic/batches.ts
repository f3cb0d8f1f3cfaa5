import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Batch } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import type { InputProblem } from '../batches/dialect.ts'
import { inlineInput } from '../batches/inline.ts'
import { serveResults } from '../batches/result-faults.ts'
import { isObject, parseJson } from '../json.ts'
import { jsonReply, readText, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal } from '../timeline.ts'
import { anthropicDialect, unknownRow } from './dialect.ts'
import { refuse } from './envelope.ts'
import { messagesEndpoint, rulesOf } from './messages.ts'

const HOUR_MS = 60 * 60 * 1000
const WINDOW_MS = 24 * HOUR_MS
/** "29 days from creation" (guide to batch processing). */
const RESULTS_MS = 29 * 24 * HOUR_MS
const MAX_ROWS = 100_000
const MAX_BYTES = 256 * 1024 * 1024
const MAX_LIST = 1000
/** What replies to polls carried in recorded traffic. */
const RETRY_AFTER_SECONDS = 10

/** All message batches of one simulator, and what can be asked about them. */
export interface Batches {
  create(exchange: Exchange): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  remove(exchange: Exchange, id: string): Promise<Reply>
  results(exchange: Exchange, id: string): Promise<Reply>
  /** Brings the ledger up to date with the clock. */
  settle(): void
  close(): Promise<void>
}

interface Details {
  readonly rows: number
}

export function createBatches(world: World): Batches {
  const book = createBatchBook<Details>(world)

  async function find({ account }: Exchange, id: string): Promise<Batch<Details>> {
    return (await book.find(account, id)) ?? refuse(404, `Message batch ${id} was not found`)
  }

  return {
    async create({ account, headers, query, body }) {
      const requests = requestsIn(await readText(body, world.limits.bytes ?? MAX_BYTES, refuseSize))
      const endpoint = messagesEndpoint(rulesOf(headers, query, 'batch'), world.models)
      const id = `msgbatch_01${randomBytes(12).toString('hex')}`
      const opened = await book.admit({
        id,
        account,
        dialect: anthropicDialect({ endpoint, maxRows: world.limits.jobs ?? MAX_ROWS }),
        input: await inlineInput(
          world,
          account,
          requests.map((request) => JSON.stringify(request)),
        ),
        windowMs: WINDOW_MS,
        details: { rows: requests.length },
        resultFile: (channel, endedAt) => ({
          id: `${id}-${channel}`,
          name: `${id}_results.jsonl`,
          purpose: 'results',
          createdAt: endedAt,
          expiresAt: undefined,
        }),
      })
      if (opened.kind === 'refused') return refuseCreate(opened.problem)
      return jsonReply(200, batchObject(opened.batch, headers, world.clock.now()))
    },
    async retrieve(exchange, id) {
      const batch = await find(exchange, id)
      const now = world.clock.now()
      const reply = jsonReply(200, batchObject(batch, exchange.headers, now))
      const seconds = isFinal(batch.view().phase) ? 0 : Math.floor((batch.view().endsAt - now) / 1000)
      if (seconds <= 0) return reply
      // A caller that waits as asked finds it ended.
      return { ...reply, headers: { 'retry-after': String(Math.min(RETRY_AFTER_SECONDS, seconds)) } }
    },
    async list({ account, headers, query }) {
      const limit = limitOf(query)
      const batches = book.list(account)
      const { page, more } = pageOf(batches, query, limit)
      await Promise.all(page.map((batch) => batch.ready()))
      return jsonReply(200, {
        data: page.map((batch) => batchObject(batch, headers, world.clock.now())),
        has_more: more,
        first_id: page[0]?.id ?? null,
        last_id: page.at(-1)?.id ?? null,
      })
    },
    async cancel(exchange, id) {
      const batch = await find(exchange, id)
      if (isFinal(batch.view().phase)) return refuse(400, `Message batch ${id} has already ended`)
      batch.cancel()
      return jsonReply(200, batchObject(batch, exchange.headers, world.clock.now()))
    },
    async remove(exchange, id) {
      const batch = await find(exchange, id)
      const { phase, results } = batch.view()
      if (!isFinal(phase)) return refuse(400, `Message batch ${id} is still processing; cancel it first`)
      book.remove(batch)
      if (results.output) await world.files.remove(results.output)
      return jsonReply(200, { id, type: 'message_batch_deleted' })
    },
    async results(exchange, id) {
      const batch = await find(exchange, id)
      const { output } = batch.view().results
      if (!output || isArchived(batch, world.clock.now())) {
        return refuse(404, `Message batch ${id} has no available results`)
      }
      return serveResults(world, output, 'application/x-jsonl', unknownRow)
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

function refuseSize(limit: number): never {
  return refuse(413, `Request exceeds the maximum allowed number of bytes, ${limit}`)
}

/** A complaint about one request says which, from 0. */
function refuseCreate({ code, message, line }: InputProblem): never {
  const place = line === null || message.startsWith('requests.') ? '' : `requests.${line - 1}: `
  return refuse(Number(code) || 400, place + message)
}

function requestsIn(text: string): readonly unknown[] {
  const body = parseJson(text)
  if (!isObject(body)) return refuse(400, 'The request body is not valid JSON')
  const { requests } = body
  if (requests === undefined) return refuse(400, 'requests: Field required')
  if (!Array.isArray(requests)) return refuse(400, 'requests: Input should be a valid list')
  const unknown = Object.keys(body).find((name) => name !== 'requests')
  return unknown === undefined ? requests : refuse(400, `${unknown}: Extra inputs are not permitted`)
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit') ?? '20'
  const limit = /^\d+$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_LIST ? limit : refuse(400, `limit: Input should be from 1 to ${MAX_LIST}`)
}

interface Page {
  readonly page: readonly Batch<Details>[]
  readonly more: boolean
}

/** `batches` are newest first, and so is every page, in whichever direction it was asked for. */
function pageOf(batches: readonly Batch<Details>[], query: URLSearchParams, limit: number): Page {
  const [after, before] = [query.get('after_id'), query.get('before_id')]
  if (after !== null && before !== null) return refuse(400, 'Only one of after_id and before_id may be given')
  const place = (cursor: string): number => {
    const at = batches.findIndex(({ id }) => id === cursor)
    return at === -1 ? refuse(400, `Message batch ${cursor} was not found`) : at
  }
  if (before !== null) {
    const end = place(before)
    const start = Math.max(0, end - limit)
    return { page: batches.slice(start, end), more: start > 0 }
  }
  const start = after === null ? 0 : place(after) + 1
  return { page: batches.slice(start, start + limit), more: start + limit < batches.length }
}

function isArchived(batch: Batch<Details>, now: number): boolean {
  return now >= batch.view().createdAt + RESULTS_MS
}

function batchObject(batch: Batch<Details>, headers: IncomingHttpHeaders, now: number): Record<string, unknown> {
  const { id } = batch
  const { phase, entered, createdAt, deadline, results } = batch.view()
  const ended = isFinal(phase) ? entered[phase] : undefined
  const archived = isArchived(batch, now)
  return {
    id,
    type: 'message_batch',
    processing_status: ended !== undefined ? 'ended' : phase === 'cancelling' ? 'canceling' : 'in_progress',
    request_counts: countsOf(batch),
    created_at: timestamp(createdAt),
    expires_at: timestamp(deadline),
    ended_at: ended === undefined ? null : timestamp(ended),
    archived_at: archived ? timestamp(createdAt + RESULTS_MS) : null,
    cancel_initiated_at: entered.cancelling === undefined ? null : timestamp(entered.cancelling),
    results_url: results.output && !archived ? resultsUrl(headers, id) : null,
  }
}

/** Everything is processing until everything has ended. */
function countsOf(batch: Batch<Details>): Record<string, number> {
  const { phase, counts, unexecuted } = batch.view()
  const { rows } = batch.details
  if (!isFinal(phase)) return { processing: rows, succeeded: 0, errored: 0, canceled: 0, expired: 0 }
  const left = rows - counts.completed - counts.failed
  return {
    processing: 0,
    succeeded: counts.completed,
    errored: counts.failed - unexecuted,
    canceled: phase === 'cancelled' ? left : 0,
    expired: unexecuted + (phase === 'cancelled' ? 0 : left),
  }
}

/** Absolute, and of the origin the caller came to. */
function resultsUrl(headers: IncomingHttpHeaders, id: string): string {
  return `http://${headers.host ?? 'localhost'}/anthropic/v1/messages/batches/${id}/results`
}

/** RFC 3339 with microseconds, as recorded. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000+00:00')
}
