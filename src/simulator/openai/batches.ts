import type { JsonObject } from '../../core/request.ts'
import type { BatchFault } from '../faults.ts'
import { isObject, parseJson } from '../json.ts'
import { jsonReply, readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { createBatch, type Batch, type BatchOrder, type BatchSurroundings } from './batch.ts'
import { ENDPOINTS } from './endpoints.ts'
import { refuse } from './envelope.ts'
import { expirySeconds, integer } from './files.ts'
import { isFinal } from '../timeline.ts'

const MAX_INPUT_BYTES = 200 * 1024 * 1024
const MAX_LIST = 100
const METADATA = { pairs: 16, keyLength: 64, valueLength: 512 }

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

interface Kept {
  readonly batch: Batch
  readonly owner: string
  readonly visibleAt: number
}

export function createBatches(world: World): Batches {
  /** Oldest first. */
  const kept = new Map<string, Kept>()
  const closing = new AbortController()

  let turn: Promise<unknown> = Promise.resolve()

  const surroundings: BatchSurroundings = {
    // The one that asks is not yet accepted, and so has no model to be counted by.
    enqueuedTokens: (account, model) =>
      [...kept.values()]
        .filter(({ batch, owner }) => owner === account.hash && batch.model() === model)
        .reduce((sum, { batch }) => sum + batch.enqueuedTokens(), 0),
    inTurn(work) {
      const done = turn.then(work)
      turn = done.catch(() => {})
      return done
    },
    signal: closing.signal,
  }

  async function find({ account }: Exchange, id: string): Promise<Batch> {
    const found = kept.get(id)
    if (found?.owner !== account.hash) return refuse(`No batch found with id '${id}'.`, null, null, 404)
    await found.batch.ready()
    return found.batch
  }

  return {
    async create({ account, body }) {
      const request = await readRequest(world, account, await readText(body))
      const faults = world.faults.takeForBatch()
      const batch = createBatch(world, { ...request, account, faults }, surroundings)
      kept.set(batch.id, { batch, owner: account.hash, visibleAt: world.clock.now() + listLag(faults) })
      world.ledger.batchMoved('created')
      return jsonReply(200, batch.object())
    },
    async retrieve(exchange, id) {
      return jsonReply(200, (await find(exchange, id)).object())
    },
    async cancel(exchange, id) {
      const batch = await find(exchange, id)
      const { phase } = batch.standing()
      if (isFinal(phase)) return refuse(`Cannot cancel a batch with status '${phase}'.`)
      batch.cancel()
      return jsonReply(200, batch.object())
    },
    async list({ account, query }) {
      const limit = integer(query.get('limit')) ?? 20
      if (!(limit >= 1 && limit <= MAX_LIST))
        return refuse(`Invalid 'limit': expected a value from 1 to ${MAX_LIST}.`, 'limit')
      const now = world.clock.now()
      const batches = [...kept.values()]
        .filter(({ owner, visibleAt }) => owner === account.hash && visibleAt <= now)
        .map(({ batch }) => batch)
        .toReversed()
      const after = query.get('after')
      const from = after === null ? 0 : batches.findIndex(({ id }) => id === after) + 1
      if (after !== null && from === 0) return refuse(`No batch found with id '${after}'.`, 'after')
      const page = batches.slice(from, from + limit)
      await Promise.all(page.map((batch) => batch.ready()))
      return jsonReply(200, {
        object: 'list',
        data: page.map((batch) => batch.object()),
        first_id: page[0]?.id ?? null,
        last_id: page.at(-1)?.id ?? null,
        has_more: from + limit < batches.length,
      })
    },
    settle() {
      for (const { batch } of kept.values()) batch.standing()
    },
    async close() {
      closing.abort()
      await Promise.all([...kept.values()].map(({ batch }) => batch.close()))
    },
  }
}

function listLag(faults: readonly BatchFault[]): number {
  return Math.max(0, ...faults.map((fault) => (fault.kind === 'list-lag' ? fault.ms : 0)))
}

/** What can be refused before any line of the input is read. */
async function readRequest(
  world: World,
  account: Account,
  text: string,
): Promise<Omit<BatchOrder, 'account' | 'faults'>> {
  const body = parseJson(text)
  if (!isObject(body)) return refuse('We could not parse the JSON body of your request.')
  const inputFileId = requiredText(body, 'input_file_id')
  const path = requiredText(body, 'endpoint')
  const window = requiredText(body, 'completion_window')
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
  const metadata = readMetadata(body['metadata'])
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

function requiredText(body: JsonObject, name: string): string {
  const value = body[name]
  if (typeof value === 'string' && value !== '') return value
  return refuse(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter')
}

function readMetadata(metadata: unknown): Readonly<Record<string, string>> | null {
  if (metadata === undefined || metadata === null) return null
  if (!isObject(metadata)) return refuse("Invalid type for 'metadata': expected an object.", 'metadata', 'invalid_type')
  const pairs = Object.entries(metadata)
  if (pairs.length > METADATA.pairs) {
    return refuse(
      `Invalid 'metadata': too many properties, at most ${METADATA.pairs}.`,
      'metadata',
      'object_above_max_properties',
    )
  }
  return Object.fromEntries(
    pairs.map(([key, value]) => {
      if (key.length > METADATA.keyLength) {
        return refuse(`Invalid 'metadata': a key is longer than ${METADATA.keyLength} characters.`, 'metadata')
      }
      if (typeof value !== 'string') {
        return refuse(`Invalid type for 'metadata.${key}': expected a string.`, `metadata.${key}`, 'invalid_type')
      }
      if (value.length > METADATA.valueLength) {
        return refuse(
          `Invalid 'metadata.${key}': longer than ${METADATA.valueLength} characters.`,
          `metadata.${key}`,
          'string_above_max_length',
        )
      }
      return [key, value]
    }),
  )
}
