import { open, type FileHandle } from 'node:fs/promises'
import { serveFile, serveResults } from '../batches/result-faults.ts'
import type { FileFacts, StoredFile } from '../file-store.ts'
import { boundaryOf, MultipartError, readMultipart, type PartSink } from '../multipart.ts'
import { jsonReply, Refusal, type Exchange, type Reply, type World } from '../provider.ts'
import { unknownRow } from './dialect.ts'
import { errorReply, invalidRequest, refuse } from './envelope.ts'
import { newFileId, seconds } from './ids.ts'

const PURPOSES = ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals']
const MAX_FILE_BYTES = 512 * 1024 * 1024
const MAX_FIELD_BYTES = 64 * 1024
const MAX_LIST = 10_000
const DAY = 24 * 60 * 60
/** What a file for a batch lives, unless its upload says otherwise. */
const BATCH_FILE_SECONDS = 30 * DAY
const JSON_LINES = 'application/octet-stream'

/** POST /files */
export async function uploadFile(world: World, { account, headers, body }: Exchange): Promise<Reply> {
  const boundary = boundaryOf(headers['content-type'])
  if (boundary === undefined) return refuse('Content-Type must be multipart/form-data.')
  const id = newFileId()
  const path = world.files.pathFor(id)
  try {
    const facts = await receive(body, boundary, path, world.limits.fileBytes ?? MAX_FILE_BYTES)
    const file = world.files.add({ ...factsOf(facts, world.clock.now()), id, owner: account.hash })
    return jsonReply(200, await fileObject(file))
  } catch (error) {
    await world.files.discard(path)
    if (error instanceof MultipartError)
      return errorReply(400, invalidRequest(`Invalid multipart body: ${error.message}.`))
    throw error
  }
}

/** GET /files */
export async function listFiles(world: World, { account, query }: Exchange): Promise<Reply> {
  const limit = integer(query.get('limit')) ?? MAX_LIST
  if (limit < 1 || limit > MAX_LIST) return refuse(`Invalid 'limit': expected a value from 1 to ${MAX_LIST}.`, 'limit')
  const purpose = query.get('purpose')
  const files = world.files.list(account.hash).filter((file) => purpose === null || file.purpose === purpose)
  if (query.get('order') !== 'asc') files.reverse()
  const after = query.get('after')
  const from = after === null ? 0 : files.findIndex(({ id }) => id === after) + 1
  if (after !== null && from === 0) return refuse(`No such File object: ${after}`, 'after')
  const page = files.slice(from, from + limit)
  return jsonReply(200, {
    object: 'list',
    data: await Promise.all(page.map(fileObject)),
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
    has_more: from + limit < files.length,
  })
}

/** GET /files/{id} */
export async function retrieveFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  return jsonReply(200, await fileObject(fileOf(world, exchange, id)))
}

/** GET /files/{id}/content */
export async function downloadFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  const file = fileOf(world, exchange, id)
  if (file.purpose !== 'batch_output') return serveFile(file, JSON_LINES)
  return serveResults(world, file, JSON_LINES, unknownRow)
}

/** DELETE /files/{id} */
export async function deleteFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  await world.files.remove(fileOf(world, exchange, id))
  return jsonReply(200, { id, object: 'file', deleted: true })
}

function fileOf(world: World, { account }: Exchange, id: string): StoredFile {
  return world.files.get(account.hash, id) ?? refuse(`No such File object: ${id}`, 'id', null, 404)
}

async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  return {
    object: 'file',
    id: file.id,
    purpose: file.purpose,
    filename: file.name,
    bytes: await file.bytes(),
    created_at: seconds(file.createdAt),
    expires_at: file.expiresAt === undefined ? null : seconds(file.expiresAt),
    status: 'processed',
    status_details: null,
  }
}

interface Received {
  readonly fields: ReadonlyMap<string, string>
  readonly fileName: string
}

/** Writes the part named `file` to disk as it arrives, and collects the short fields beside it. */
async function receive(input: AsyncIterable<Buffer>, boundary: string, path: string, limit: number): Promise<Received> {
  const fields = new Map<string, string>()
  let fileName: string | undefined
  let bytes = 0
  const handle = await open(path, 'w', 0o600)
  try {
    await readMultipart(input, boundary, (head) => {
      if (head.name !== 'file' || head.fileName === undefined) return fieldSink(fields, head.name)
      fileName = head.fileName
      return fileSink(handle, (added) => {
        bytes += added
        if (bytes > limit) {
          const error = invalidRequest(`Maximum file size is ${limit} bytes.`, 'file', 'file_too_large')
          throw new Refusal(errorReply(413, error))
        }
      })
    })
  } finally {
    await handle.close()
  }
  if (fileName === undefined) return refuse("Missing required parameter: 'file'.", 'file', 'missing_required_parameter')
  return { fields, fileName }
}

function fieldSink(fields: Map<string, string>, name: string): PartSink {
  fields.set(name, '')
  return {
    write(piece) {
      const value = (fields.get(name) ?? '') + piece.toString('utf8')
      if (value.length > MAX_FIELD_BYTES) throw new MultipartError(`the field ${name} is too long`)
      fields.set(name, value)
    },
  }
}

function fileSink(handle: FileHandle, counted: (bytes: number) => void): PartSink {
  return {
    async write(piece) {
      counted(piece.length)
      await handle.write(piece)
    },
  }
}

function factsOf({ fields, fileName }: Received, now: number): Omit<FileFacts, 'id' | 'owner'> {
  const purpose = fields.get('purpose')
  if (purpose === undefined)
    return refuse("Missing required parameter: 'purpose'.", 'purpose', 'missing_required_parameter')
  if (!PURPOSES.includes(purpose)) {
    return refuse(`'${purpose}' is not one of ${PURPOSES.map((one) => `'${one}'`).join(', ')} - 'purpose'`, 'purpose')
  }
  if (purpose === 'batch' && !fileName.endsWith('.jsonl')) {
    return refuse('Invalid file format for Batch API. Must be .jsonl', 'file', 'invalid_file_format')
  }
  const lifetime = expirySeconds(
    fields.get('expires_after[anchor]'),
    fields.get('expires_after[seconds]'),
    'expires_after',
  )
  const living = lifetime ?? (purpose === 'batch' ? BATCH_FILE_SECONDS : undefined)
  return { name: fileName, purpose, createdAt: now, expiresAt: living === undefined ? undefined : now + living * 1000 }
}

/** How long a file is to live, when its maker says so. */
export function expirySeconds(anchor: unknown, value: unknown, param: string): number | undefined {
  if (anchor === undefined && value === undefined) return undefined
  if (anchor !== 'created_at') return refuse(`Invalid '${param}.anchor': expected 'created_at'.`, `${param}.anchor`)
  const lifetime = Number(value)
  if (!Number.isInteger(lifetime) || lifetime < 3600 || lifetime > 30 * DAY) {
    return refuse(`Invalid '${param}.seconds': expected an integer from 3600 to 2592000.`, `${param}.seconds`)
  }
  return lifetime
}

/** A whole number in a query; NaN, which no range contains, for anything else. */
export function integer(text: string | null): number | undefined {
  if (text === null) return undefined
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}
