import { serveFile, serveResults } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { receiveUpload, type UploadRules } from '../openai-like/upload.ts'
import { fileObject as openaiFileObject, randomHex } from '../openai-like/wire.ts'
import { jsonReply, type Exchange, type Reply, type World } from '../provider.ts'
import { unknownRow } from './dialect.ts'
import { refuse } from './envelope.ts'

/** "Run a batch job". */
export const MAX_INPUT_BYTES: number = 100 * 1024 * 1024
export const PURPOSE = 'batch-api'
/** Ours, to know results by; the SDK's types know no such purpose. */
export const RESULTS = 'results'
const PURPOSES: ReadonlySet<string> = new Set(['fine-tune', 'eval', PURPOSE])
const JSON_LINES = 'application/octet-stream'

export const newFileId = (): string => `file-${randomHex(16)}`

const UPLOADS: UploadRules = {
  newId: newFileId,
  maxBytes: 50 * 1024 * 1024 * 1024,
  refuseForm: (message) => refuse(message),
  refuseSize: (limit) => refuse(`The file is larger than ${limit} bytes.`, 'file', null, 413),
  accept({ fields, fileName }) {
    if (fileName === undefined) return refuse("Missing required parameter: 'file'.", 'file')
    const purpose = fields.get('purpose')
    if (purpose === undefined || !PURPOSES.has(purpose)) return refuse('Invalid purpose.', 'purpose')
    const name = fields.get('file_name')
    if (name === undefined || name === '') return refuse("Missing required parameter: 'file_name'.", 'file_name')
    return { name, purpose, expiresAt: undefined }
  },
}

/** POST /files/upload */
export async function uploadFile(world: World, exchange: Exchange): Promise<Reply> {
  return jsonReply(200, await fileObject(await receiveUpload(world, exchange, UPLOADS)))
}

export async function listFiles(world: World, { account }: Exchange): Promise<Reply> {
  const files = world.files.list(account.hash).toReversed()
  return jsonReply(200, { data: await Promise.all(files.map(fileObject)) })
}

export async function retrieveFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  return jsonReply(200, await fileObject(fileOf(world, exchange, id)))
}

export async function downloadFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  const file = fileOf(world, exchange, id)
  return file.purpose === RESULTS ? serveResults(world, file, JSON_LINES, unknownRow) : serveFile(file, JSON_LINES)
}

export async function deleteFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  await world.files.remove(fileOf(world, exchange, id))
  return jsonReply(200, { id, deleted: true })
}

function fileOf(world: World, { account }: Exchange, id: string): StoredFile {
  return world.files.get(account.hash, id) ?? refuse(`File ${id} not found`, null, 'not_found', 404)
}

async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  const purpose = file.purpose === RESULTS ? PURPOSE : file.purpose
  const type = file.name.slice(file.name.lastIndexOf('.') + 1)
  return { ...(await openaiFileObject(file)), purpose, FileType: type, Processed: true }
}
