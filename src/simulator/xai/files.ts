import { serveFile } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { deletedFile, type FileRules } from '../openai-like/files.ts'
import type { UploadRules } from '../openai-like/upload.ts'
import { fileObject as openaiFileObject, integer, randomHex, seconds } from '../openai-like/wire.ts'
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

export function fileRules(): FileRules {
  return {
    root: '',
    uploads: UPLOADS,
    uploadedStatus: 200,
    object: fileObject,
    list: async (files) => ({ data: await Promise.all(files.map(fileObject)), pagination_token: null }),
    deleted: deletedFile,
    notFound: (id) => refuse(`File ${id} was not found.`, null, null, 404),
    content: (file) => serveFile(file, 'application/octet-stream'),
  }
}

async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  const expiresAt = file.expiresAt === undefined ? null : seconds(file.expiresAt)
  return { ...(await openaiFileObject(file)), expires_at: expiresAt }
}
