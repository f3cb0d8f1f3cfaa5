import { serveFile, serveResults } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { receiveUpload, type UploadRules } from '../openai-like/upload.ts'
import { fileObject, randomHex } from '../openai-like/wire.ts'
import { unknownRow } from '../openai/dialect.ts'
import { jsonReply, type Exchange, type Reply, type World } from '../provider.ts'
import { refuse } from './envelope.ts'

/** groq-sdk 1.6 says 100 MB, one state of the documentation 200 MB. */
export const MAX_INPUT_BYTES: number = 100 * 1024 * 1024
/** Data is kept for 30 days at most ("Groq Batch API"). */
const LIFETIME_MS = 30 * 24 * 60 * 60 * 1000
const JSON_LINES = 'application/octet-stream'

export const newFileId = (): string => `file_${randomHex(13)}`

const UPLOADS: UploadRules = {
  newId: newFileId,
  maxBytes: MAX_INPUT_BYTES,
  refuseForm: (message) => refuse(message),
  refuseSize: (limit) => refuse(`The file is larger than ${limit} bytes.`, 'file', 'request_too_large', 413),
  accept({ fields, fileName }, now) {
    if (fileName === undefined) return refuse('file is required', 'file')
    const purpose = fields.get('purpose')
    if (purpose !== 'batch') return refuse("purpose must be one of ['batch']", 'purpose')
    if (!fileName.endsWith('.jsonl')) return refuse('The file must be a .jsonl file.', 'file')
    return { name: fileName, purpose, expiresAt: now + LIFETIME_MS }
  },
}

export async function uploadFile(world: World, exchange: Exchange): Promise<Reply> {
  return jsonReply(200, await fileObject(await receiveUpload(world, exchange, UPLOADS)))
}

/** All of them: the SDK's type knows no pages here. */
export async function listFiles(world: World, { account }: Exchange): Promise<Reply> {
  const files = world.files.list(account.hash).toReversed()
  return jsonReply(200, { object: 'list', data: await Promise.all(files.map(fileObject)) })
}

export async function retrieveFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  return jsonReply(200, await fileObject(fileOf(world, exchange, id)))
}

export async function downloadFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  const file = fileOf(world, exchange, id)
  if (file.purpose !== 'batch_output') return serveFile(file, JSON_LINES)
  return serveResults(world, file, JSON_LINES, unknownRow)
}

export async function deleteFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  await world.files.remove(fileOf(world, exchange, id))
  return jsonReply(200, { id, object: 'file', deleted: true })
}

function fileOf(world: World, { account }: Exchange, id: string): StoredFile {
  return world.files.get(account.hash, id) ?? refuse(`File not found: ${id}`, null, null, 404)
}
