import { contentOf, deletedFile, type FileRules } from '../openai-like/files.ts'
import type { UploadRules } from '../openai-like/upload.ts'
import { fileObject, randomHex } from '../openai-like/wire.ts'
import { unknownRow } from '../openai/dialect.ts'
import type { World } from '../provider.ts'
import { refuse } from './envelope.ts'

/** groq-sdk 1.6 says 100 MB, one state of the documentation 200 MB. */
export const MAX_INPUT_BYTES: number = 100 * 1024 * 1024
/** Data is kept for 30 days at most ("Groq Batch API"). */
const LIFETIME_MS = 30 * 24 * 60 * 60 * 1000

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

export function fileRules(world: World): FileRules {
  return {
    root: '/v1',
    uploads: UPLOADS,
    uploadedStatus: 200,
    object: fileObject,
    // All of them: the SDK's type knows no pages here.
    list: async (files) => ({ object: 'list', data: await Promise.all(files.map(fileObject)) }),
    deleted: deletedFile,
    notFound: (id) => refuse(`File not found: ${id}`, null, null, 404),
    content: (file) => contentOf(world, file, 'batch_output', unknownRow),
  }
}
