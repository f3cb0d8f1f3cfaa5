import { randomUUID } from 'node:crypto'
import type { Batch, BatchView } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject, parseJson } from '../json.ts'
import { integer, listObject, pageAfter, seconds } from '../openai-like/wire.ts'
import { jsonReply, readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal, type Phase } from '../timeline.ts'
import { doublewordDialect, NO_ROOM } from './dialect.ts'
import { ENDPOINTS } from './endpoints.ts'
import { refuse } from './envelope.ts'
import type { FindByFile } from './files.ts'

const HOUR = 60 * 60 * 1000
const WINDOWS: ReadonlyMap<string, number> = new Map([
  ['24h', 24 * HOUR],
  ['1h', HOUR],
])
const PAGE = { default: 20, most: 100 }
const MAX_METADATA = 16
/** It keeps these for itself (control-layer 10.13, `batches.rs`). */
const RESERVED: ReadonlySet<string> = new Set(['created_by', 'context_name', 'context_type', 'dw_user_agent'])

export interface Batches {
  create(exchange: Exchange): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  readonly findByFile: FindByFile
  settle(): void
  close(): Promise<void>
}

interface Details {
  readonly endpoint: string
  readonly input: StoredFile
  readonly window: string
  readonly windowMs: number
  readonly metadata: Readonly<Record<string, string>>
}

export function createBatches(world: World): Batches {
  const book = createBatchBook<Details>(world)
  const byFile = new Map<string, Batch<Details>>()

  async function find({ account }: Exchange, id: string): Promise<Batch<Details>> {
    return (await book.find(account, id)) ?? refuse(`Batch with ID ${id} not found`, 404)
  }

  async function forget(account: Account, fileId: string): Promise<void> {
    const file = world.files.get(account.hash, fileId)
    if (file) await world.files.remove(file)
  }

  return {
    async create({ account, body }) {
      const details = readRequest(world, account, await readText(body))
      const id = randomUUID()
      const ids = { output: randomUUID(), errors: randomUUID() }
      const admission = await book.admit(
        {
          id,
          account,
          dialect: doublewordDialect(world),
          input: details.input,
          // Work goes on after the deadline.
          windowMs: Infinity,
          details,
          growingFile: (channel) => ({
            id: ids[channel],
            name: `batch-${id}-${channel === 'output' ? 'output' : 'error'}.jsonl`,
            purpose: channel === 'output' ? 'batch_output' : 'batch_error',
            createdAt: world.clock.now(),
            expiresAt: undefined,
          }),
        },
        ({ code }) => code === NO_ROOM,
      )
      if (admission.kind === 'refused') {
        for (const fileId of Object.values(ids)) await forget(account, fileId)
        return refuse(admission.problem.message, 429)
      }
      for (const fileId of Object.values(ids)) byFile.set(fileId, admission.batch)
      return jsonReply(201, batchObject(world, admission.batch))
    },
    async retrieve(exchange, id) {
      return jsonReply(200, batchObject(world, await find(exchange, id)))
    },
    async list({ account, query }) {
      const limit = Math.min(PAGE.most, integer(query.get('limit')) ?? PAGE.default)
      const batches = book.list(account)
      await Promise.all(batches.map((batch) => batch.ready()))
      const wanted = batches.filter((batch) => isWanted(batch, query))
      const page = pageAfter(wanted, query.get('after'), limit)
      if (!page) return refuse('Invalid after cursor')
      const {
        first_id: first,
        last_id: last,
        ...envelope
      } = listObject(
        page,
        page.items.map((batch) => batchObject(world, batch)),
      )
      return jsonReply(200, first === null ? envelope : { ...envelope, first_id: first, last_id: last })
    },
    async cancel(exchange, id) {
      const batch = await find(exchange, id)
      const { phase } = batch.view()
      if (isFinal(phase)) return refuse(`Batch ${id} cannot be cancelled any more`)
      batch.cancel()
      return jsonReply(200, batchObject(world, batch))
    },
    findByFile: (fileId) => byFile.get(fileId),
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

/** A batch in which nothing succeeded has failed; nothing ever has the status `expired`. */
function statusOf({ phase, counts }: BatchView): Phase {
  if (phase !== 'completed' && phase !== 'expired') return phase
  return counts.completed > 0 ? 'completed' : 'failed'
}

/** What has no value is absent (control-layer 10.13, `BatchResponse`). */
function batchObject(world: World, { id, details, ...batch }: Batch<Details>): Record<string, unknown> {
  const view = batch.view()
  const { entered, problem, results, createdAt } = view
  const status = statusOf(view)
  const expiresAt = createdAt + details.windowMs
  const overdue = Math.min(world.clock.now(), view.endsAt) >= expiresAt
  const endedAt = entered[view.phase]
  return {
    id,
    object: 'batch',
    endpoint: details.endpoint,
    ...(problem ? { errors: { data: [withoutNulls(problem)] } } : {}),
    input_file_id: details.input.id,
    completion_window: details.window,
    status,
    output_file_id: results.output?.id,
    error_file_id: results.errors?.id,
    created_at: seconds(createdAt),
    ...timeOf('in_progress_at', entered.in_progress),
    expires_at: seconds(expiresAt),
    ...timeOf('finalizing_at', entered.finalizing),
    ...timeOf('completed_at', status === 'completed' ? endedAt : undefined),
    ...timeOf('failed_at', status === 'failed' ? endedAt : undefined),
    ...timeOf('expired_at', overdue ? expiresAt : undefined),
    ...timeOf('cancelling_at', entered.cancelling),
    ...timeOf('cancelled_at', entered.cancelled),
    request_counts: countsOf(view),
    metadata: { ...details.metadata, request_source: 'api', created_by_email: 'someone@example.com' },
  }
}

/** Rows a batch ended without are failed ones, unless it was cancelled. */
function countsOf({ phase, counts }: BatchView): BatchView['counts'] {
  return phase === 'expired' ? { ...counts, failed: counts.total - counts.completed } : counts
}

function timeOf(name: string, time: number | undefined): Record<string, number> {
  return time === undefined ? {} : { [name]: seconds(time) }
}

function withoutNulls(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null))
}

function isWanted(batch: Batch<Details>, query: URLSearchParams): boolean {
  const { id, details } = batch
  const search = query.get('search')?.toLowerCase()
  if (search !== undefined) {
    const texts = [id, details.input.name, JSON.stringify(details.metadata)]
    if (!texts.some((text) => text.toLowerCase().includes(search))) return false
  }
  const window = query.get('completion_window')
  if (window !== null && window !== details.window) return false
  const view = batch.view()
  const after = query.get('created_after')
  const before = query.get('created_before')
  if (after !== null && view.createdAt <= Date.parse(after)) return false
  if (before !== null && view.createdAt >= Date.parse(before)) return false
  const status = query.get('status')
  return status === null || status === GROUPS[statusOf(view)]
}

/** What the filter calls each status. */
const GROUPS: Readonly<Record<Phase, string>> = {
  validating: 'in_progress',
  in_progress: 'in_progress',
  finalizing: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  expired: 'expired',
  cancelling: 'cancelled',
  cancelled: 'cancelled',
}

function readRequest(world: World, account: Account, text: string): Details {
  const body = parseJson(text)
  if (!isObject(body)) return refuse('Failed to parse the request body as JSON', 400)
  const { input_file_id: inputId, endpoint, completion_window: window } = body
  // A field that is not there fails in the framework, before any handler (axum's 422).
  if (typeof inputId !== 'string' || typeof endpoint !== 'string' || typeof window !== 'string') {
    return refuse('Failed to deserialize the JSON body: missing field', 422)
  }
  if (!ENDPOINTS.has(endpoint)) {
    return refuse(`Unsupported endpoint '${endpoint}'. Supported: ${[...ENDPOINTS.keys()].join(', ')}`)
  }
  const windowMs = WINDOWS.get(window)
  if (windowMs === undefined) {
    return refuse(`Unsupported completion_window '${window}'. Supported: ${[...WINDOWS.keys()].join(', ')}`)
  }
  const metadata = readMetadata(body['metadata'])
  const input = world.files.get(account.hash, inputId)
  if (input?.purpose !== 'batch') return refuse(`File with ID ${inputId} not found`, 404)
  return { endpoint, input, window, windowMs, metadata }
}

function readMetadata(metadata: unknown): Readonly<Record<string, string>> {
  if (metadata === undefined || metadata === null) return {}
  if (!isObject(metadata)) return refuse('Failed to deserialize the JSON body: metadata: expected a map', 422)
  const pairs = Object.entries(metadata)
  if (pairs.length > MAX_METADATA) return refuse(`metadata may have ${MAX_METADATA} pairs at most`)
  return Object.fromEntries(
    pairs.map(([key, value]) => {
      if (RESERVED.has(key)) return refuse(`metadata key '${key}' is reserved`)
      if (typeof value !== 'string')
        return refuse('Failed to deserialize the JSON body: metadata: expected a string', 422)
      return [key, value]
    }),
  )
}
