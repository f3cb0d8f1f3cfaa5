import { serveFile } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { receiveUpload, type UploadRules } from '../openai-like/upload.ts'
import { fileObject as openaiFileObject, integer, randomHex, seconds } from '../openai-like/wire.ts'
import { jsonReply, type Exchange, type Reply, type World } from '../provider.ts'
import { refuse } from './envelope.ts'

/** "Batch API", file mode. */
export const MAX_INPUT_BYTES: number = 200 * 1024 * 1024
const LIFETIME = { least: 3600, most: 2_592_000 }

const UPLOADS: UploadRules = {
  newId: () => `file_${randomHex(16)}`,
  maxBytes: MAX_INPUT_BYTES,
  refuseForm: (message) => refuse(message),
  refuseSize: (limit) => refuse(`The file is larger than ${limit} bytes.`, null, null, 413),
  accept({ fields, fileName, order }, now) {
    if (fileName === undefined) return refuse('The form has no file.')
    // Fields are read while the file streams by: one that comes after it comes too late (@ai-sdk/xai, `xai-batch.ts`).
    if (order.at(-1) !== 'file') return refuse('All fields must come before the file.')
    const seconds = integer(fields.get('expires_after') ?? null)
    if (seconds !== undefined && !(seconds >= LIFETIME.least && seconds <= LIFETIME.most)) {
      return refuse(`expires_after must be between ${LIFETIME.least} and ${LIFETIME.most} seconds.`)
    }
    const expiresAt = seconds === undefined ? undefined : now + seconds * 1000
    return { name: fileName, purpose: fields.get('purpose') ?? '', expiresAt }
  },
}

export async function uploadFile(world: World, exchange: Exchange): Promise<Reply> {
  return jsonReply(200, await fileObject(await receiveUpload(world, exchange, UPLOADS)))
}

export async function listFiles(world: World, { account }: Exchange): Promise<Reply> {
  const files = world.files.list(account.hash).toReversed()
  return jsonReply(200, { data: await Promise.all(files.map(fileObject)), pagination_token: null })
}

export async function retrieveFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  return jsonReply(200, await fileObject(fileOf(world, exchange, id)))
}

export async function downloadFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  return serveFile(fileOf(world, exchange, id), 'application/octet-stream')
}

export async function deleteFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  await world.files.remove(fileOf(world, exchange, id))
  return jsonReply(200, { id, object: 'file', deleted: true })
}

function fileOf(world: World, { account }: Exchange, id: string): StoredFile {
  return world.files.get(account.hash, id) ?? refuse(`File ${id} was not found.`, null, null, 404)
}

async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  const expiresAt = file.expiresAt === undefined ? null : seconds(file.expiresAt)
  return { ...(await openaiFileObject(file)), expires_at: expiresAt }
}
