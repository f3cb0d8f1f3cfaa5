import { randomUUID } from 'node:crypto'
import type { Batch } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import { inlineInput } from '../batches/inline.ts'
import { spoilPage } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject, parseJson } from '../json.ts'
import { integer } from '../openai-like/wire.ts'
import { readText, jsonReply, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal } from '../timeline.ts'
import { unknownRow, xaiDialect } from './dialect.ts'
import { refuse } from './envelope.ts'
import { MAX_INPUT_BYTES } from './files.ts'
import { linesOf } from './inline.ts'

const DAY = 24 * 60 * 60 * 1000
/** How long results are kept, in its samples. */
const RETENTION_MS = 30 * DAY
const MAX_INLINE_BYTES = 25 * 1024 * 1024
const PAGE = { default: 100, most: 1000 }

export interface Batches {
  create(exchange: Exchange): Promise<Reply>
  addRequests(exchange: Exchange, id: string): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  results(exchange: Exchange, id: string): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  settle(): void
  close(): Promise<void>
}

/** What a caller knows as one batch. A file is one part of it; inline, every call that adds requests is another. */
interface Whole {
  readonly id: string
  readonly owner: string
  readonly name: string
  readonly createdAt: number
  readonly inputFileId: string | null
  readonly parts: Batch<Whole>[]
  /** Names of inline requests. */
  readonly names: Set<string>
  cancelledAt: number | undefined
}

export function createBatches(world: World): Batches {
  const book = createBatchBook<Whole>(world)
  /** Oldest first. */
  const wholes = new Map<string, Whole>()

  async function find({ account }: Exchange, id: string): Promise<Whole> {
    const whole = wholes.get(id)
    if (whole?.owner !== account.hash) return refuse(`Batch ${id} was not found.`, null, null, 404)
    await Promise.all(whole.parts.map((part) => part.ready()))
    return whole
  }

  function addPart(whole: Whole, account: Account, input: StoredFile): void {
    const part = book.open({
      id: `${whole.id}-${whole.parts.length}`,
      account,
      dialect: xaiDialect(world),
      input,
      windowMs: Infinity,
      cancelMs: 0,
      details: whole,
      part: whole.inputFileId === null,
      growingFile: () => undefined,
    })
    whole.parts.push(part)
  }

  return {
    async create({ account, body }) {
      const { name, input } = await readRequest(world, account, await readText(body))
      const whole: Whole = {
        id: `batch_${randomUUID()}`,
        owner: account.hash,
        name,
        createdAt: world.clock.now(),
        inputFileId: input?.id ?? null,
        parts: [],
        names: new Set(),
        cancelledAt: undefined,
      }
      wholes.set(whole.id, whole)
      if (input) addPart(whole, account, input)
      else world.ledger.batchMoved('created')
      return jsonReply(200, batchObject(whole))
    },
    async addRequests(exchange, id) {
      const whole = await find(exchange, id)
      if (whole.inputFileId !== null) return refuse('A batch made of a file cannot be added to.')
      if (whole.cancelledAt !== undefined) return refuse('A cancelled batch cannot be added to.')
      const text = await readText(exchange.body)
      if (Buffer.byteLength(text) > MAX_INLINE_BYTES) {
        return refuse(`More than ${MAX_INLINE_BYTES} bytes in one call.`, null, null, 413)
      }
      const lines = linesOf(text)
      checkLines(world, whole, lines)
      addPart(whole, exchange.account, await inlineInput(world, exchange.account, lines))
      return jsonReply(200, {})
    },
    async retrieve(exchange, id) {
      return jsonReply(200, batchObject(await find(exchange, id)))
    },
    async list({ account, query }) {
      const visible = new Set(book.list(account).map(({ details }) => details))
      const batches = [...wholes.values()]
        .filter((whole) => whole.owner === account.hash && (visible.has(whole) || whole.inputFileId === null))
        .toReversed()
      const from = positions(query.get('pagination_token'))[0] ?? 0
      const limit = pageSize(query)
      const page = batches.slice(from, from + limit)
      await Promise.all(page.flatMap(({ parts }) => parts.map((part) => part.ready())))
      const token = from + limit < batches.length ? tokenOf([from + limit]) : null
      return jsonReply(200, { batches: page.map(batchObject), pagination_token: token })
    },
    async results(exchange, id) {
      const whole = await find(exchange, id)
      const from = positions(exchange.query.get('pagination_token'))
      const page = await readPage(whole, from, pageSize(exchange.query))
      const first = from.reduce((sum, position) => sum + position, 0) + 1
      const lines = spoilPage(page.lines, first, world.faults.takeForResults(), unknownRow)
      const token = page.next === undefined ? null : tokenOf(page.next)
      // The rows as they are on disk, without reading them: one that is no JSON becomes text, so that the page remains JSON.
      const rows = lines.map((line) => (parseJson(line) === undefined ? JSON.stringify(line) : line)).join(',')
      const text = `{"results":[${rows}],"pagination_token":${JSON.stringify(token)}}`
      return { status: 200, body: { kind: 'text', text, type: 'application/json' } }
    },
    async cancel(exchange, id) {
      const whole = await find(exchange, id)
      const ended = whole.parts.length > 0 && whole.parts.every((part) => isFinal(part.view().phase))
      if (ended || whole.cancelledAt !== undefined) return refuse(`Batch ${id} has ended already.`)
      whole.cancelledAt = world.clock.now()
      for (const part of whole.parts) part.cancel()
      return jsonReply(200, batchObject(whole))
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

/** There is no status: what has become of a batch shows in its counters, its times and its message. */
function batchObject(whole: Whole): Record<string, unknown> {
  const views = whole.parts.map((part) => part.view())
  const problem = views.find((view) => view.problem)?.problem
  const state = { num_requests: 0, num_pending: 0, num_success: 0, num_error: 0, num_cancelled: 0 }
  for (const { phase, counts } of views) {
    const left = counts.total - counts.completed - counts.failed
    state.num_requests += counts.total
    state.num_success += counts.completed
    state.num_error += counts.failed + (phase === 'expired' ? left : 0)
    state.num_cancelled += phase === 'cancelled' ? left : 0
    state.num_pending += isFinal(phase) ? 0 : left
  }
  const place = problem?.line == null ? '' : `line ${problem.line}: `
  return {
    batch_id: whole.id,
    name: whole.name,
    create_time: dateOf(whole.createdAt),
    expire_time: dateOf(whole.createdAt + RETENTION_MS),
    cancel_time: whole.cancelledAt === undefined ? null : dateOf(whole.cancelledAt),
    cancel_by_xai_message: problem ? `JSONL file validation failed: ${place}${problem.message}` : null,
    input_file_id: whole.inputFileId,
    state,
  }
}

/** Its samples show days without times. */
function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

interface ResultPage {
  readonly lines: readonly string[]
  /** Where the next page begins in each part; undefined: that is all there is by now. */
  readonly next: readonly number[] | undefined
}

async function readPage({ parts }: Whole, from: readonly number[], limit: number): Promise<ResultPage> {
  const lines: string[] = []
  const next: number[] = []
  let more = false
  for (const [index, part] of parts.entries()) {
    const start = from[index] ?? 0
    const channel = (await part.finished())?.output
    const there = channel?.lines() ?? 0
    const end = Math.min(there, start + limit - lines.length)
    if (channel) lines.push(...(await channel.readLines(start, end)))
    next.push(Math.max(start, end))
    if (end < there) more = true
  }
  return { lines, next: more ? next : undefined }
}

function pageSize(query: URLSearchParams): number {
  const limit = integer(query.get('limit') ?? query.get('page_size')) ?? PAGE.default
  if (limit >= 1 && limit <= PAGE.most) return limit
  return refuse(`limit must be between 1 and ${PAGE.most}.`)
}

function tokenOf(positions: readonly number[]): string {
  return Buffer.from(`at:${positions.join('.')}`).toString('base64url')
}

function positions(token: string | null): readonly number[] {
  if (token === null) return []
  const text = /^at:([\d.]+)$/.exec(Buffer.from(token, 'base64url').toString())?.[1]
  return text === undefined ? refuse('The pagination_token is not valid.') : text.split('.').map(Number)
}

/** What is added inline is read at once; a name may come only once in the whole batch. */
function checkLines(world: World, { names }: Whole, lines: readonly string[]): void {
  const reader = xaiDialect(world).reader()
  const added: string[] = []
  for (const [index, line] of lines.entries()) {
    const read = reader.read(line, index + 1)
    if (read.kind !== 'row') return refuse(`batch_requests[${index}]: ${read.problem.message}`)
    if (names.has(read.row.customId)) return refuse(`batch_requests[${index}]: its batch_request_id is in use.`)
    added.push(read.row.customId)
  }
  for (const name of added) names.add(name)
}

async function readRequest(
  world: World,
  account: Account,
  text: string,
): Promise<{ readonly name: string; readonly input: StoredFile | undefined }> {
  const body = parseJson(text)
  if (!isObject(body)) return refuse('The body is not JSON.')
  const { name, input_file_id: inputId } = body
  if (typeof name !== 'string' || name === '') return refuse('name is missing.')
  if (inputId === undefined || inputId === null) return { name, input: undefined }
  const input = typeof inputId === 'string' ? world.files.get(account.hash, inputId) : undefined
  if (!input) return refuse(`File ${JSON.stringify(inputId)} was not found.`)
  const limit = world.limits.bytes ?? MAX_INPUT_BYTES
  if ((await input.bytes()) > limit) return refuse(`The file is larger than ${limit} bytes.`)
  return { name, input }
}
