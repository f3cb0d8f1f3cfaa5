import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Batch } from '../batches/batch.ts'
import { serveFile, spoilPage } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { readBlocks } from '../lines.ts'
import { deletedFile, type FileRules } from '../openai-like/files.ts'
import type { Upload, UploadRules } from '../openai-like/upload.ts'
import { fileObject as openaiFileObject, integer, listObject, pageAfter, seconds } from '../openai-like/wire.ts'
import type { Exchange, Reply, World } from '../provider.ts'
import { isFinal } from '../timeline.ts'
import { doublewordDialect, unknownRow } from './dialect.ts'
import { refuse } from './envelope.ts'

const MAX_FILE_BYTES = 100 * 1024 * 1024
const MAX_LIST = 10_000
const LIFETIME = { default: 30 * 24 * 60 * 60, least: 60 * 60, most: 30 * 24 * 60 * 60 }
const JSON_LINES = 'application/x-ndjson'

/** The batch whose results a file holds. */
export type FindByFile = (fileId: string) => Batch<unknown> | undefined

export function fileRules(world: World, findBatch: FindByFile): FileRules {
  return {
    root: '',
    uploads: uploadRules(world),
    uploadedStatus: 201,
    object: fileObject,
    list: listFiles,
    deleted: deletedFile,
    notFound: (id) => refuse(`File with ID ${id} not found`, 404),
    content: (file, exchange) => download(world, file, exchange, findBatch),
  }
}

/** Every line is read before an upload is answered. */
function uploadRules(world: World): UploadRules {
  return {
    newId: () => randomUUID(),
    maxBytes: world.limits.bytes ?? MAX_FILE_BYTES,
    refuseForm: (message) => refuse(message),
    refuseSize: (limit) => refuse(`File size exceeds the maximum of ${limit} bytes`, 413),
    async accept(upload, now) {
      const { fields, fileName } = upload
      if (fileName === undefined) return refuse('Missing required field: file')
      if (fields.get('purpose') !== 'batch') return refuse("Invalid purpose. Only 'batch' is supported.")
      await checkLines(world, upload)
      return { name: fileName, purpose: 'batch', expiresAt: now + lifetime(fields) * 1000 }
    },
  }
}

async function checkLines(world: World, { path }: Upload): Promise<void> {
  const reader = doublewordDialect(world).reader()
  for await (const { ref, lines } of readBlocks(path)) {
    for (const [index, text] of lines.entries()) {
      const line = ref.firstLine + index + 1
      const read = reader.read(text, line)
      // Nothing is ever skipped here.
      if (read.kind === 'row') continue
      // 403: not a model of this account (control-layer 10.13, `files.rs`).
      refuse(`Line ${line}: ${read.problem.message}`, read.problem.code === 'model_not_found' ? 403 : 400)
    }
  }
  const problem = reader.end()
  if (problem) refuse(problem.message)
}

function lifetime(fields: ReadonlyMap<string, string>): number {
  const text = fields.get('expires_after[seconds]')
  if (text === undefined) return LIFETIME.default
  const value = integer(text) ?? Number.NaN
  if (value >= LIFETIME.least && value <= LIFETIME.most) return value
  return refuse(`expires_after[seconds] must be between ${LIFETIME.least} and ${LIFETIME.most}`)
}

async function listFiles(all: readonly StoredFile[], query: URLSearchParams): Promise<Record<string, unknown>> {
  const limit = Math.min(MAX_LIST, integer(query.get('limit')) ?? MAX_LIST)
  const purpose = query.get('purpose')
  const files = all.filter((file) => purpose === null || file.purpose === purpose)
  const page = pageAfter(query.get('order') === 'asc' ? files.toReversed() : files, query.get('after'), limit)
  if (!page) return refuse('Invalid after cursor')
  return listObject(page, await Promise.all(page.items.map(fileObject)))
}

/** Results as far as they are there, from behind `skip` lines on. */
async function download(world: World, file: StoredFile, exchange: Exchange, findBatch: FindByFile): Promise<Reply> {
  const batch = findBatch(file.id)
  if (!batch) return serveFile(file, JSON_LINES)
  const { phase } = batch.view()
  const channels = await batch.finished()
  const skip = integer(exchange.query.get('skip')) ?? 0
  const limit = integer(exchange.query.get('limit')) ?? Infinity
  if (Number.isNaN(skip) || Number.isNaN(limit)) return refuse('limit and skip must be whole numbers')
  const channel = channels?.[file.purpose === 'batch_output' ? 'output' : 'errors']
  const there = channel?.lines() ?? 0
  const to = Math.min(there, skip + limit)
  const headers = {
    'x-incomplete': String(!isFinal(phase) || to < there),
    'x-last-line': String(Math.max(skip, to)),
  }
  const faults = world.faults.takeForResults()
  if (channel && to === there && faults.length === 0) {
    const bytes = channel.bytesFrom(skip)
    const read = (end = bytes): Readable => channel.readFrom(skip, end)
    return { status: 200, headers, body: { kind: 'file', bytes, type: JSON_LINES, read } }
  }
  const page = spoilPage((await channel?.readLines(skip, to)) ?? [], skip + 1, faults, unknownRow)
  const text = page.map((line) => `${line}\n`).join('')
  return { status: 200, headers, body: { kind: 'text', text, type: JSON_LINES } }
}

/** What has no value is absent (control-layer 10.13, `FileResponse`). */
async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  const expiry = file.expiresAt === undefined ? {} : { expires_at: seconds(file.expiresAt) }
  return { ...(await openaiFileObject(file)), ...expiry }
}
