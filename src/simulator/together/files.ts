import type { StoredFile } from '../file-store.ts'
import { contentOf, type FileRules } from '../openai-like/files.ts'
import type { UploadRules } from '../openai-like/upload.ts'
import { fileObject as openaiFileObject, randomHex } from '../openai-like/wire.ts'
import type { World } from '../provider.ts'
import { unknownRow } from './dialect.ts'
import { refuse } from './envelope.ts'

/** "Run a batch job". */
export const MAX_INPUT_BYTES: number = 100 * 1024 * 1024
export const PURPOSE = 'batch-api'
/** Ours, to know results by; the SDK's types know no such purpose. */
export const RESULTS = 'results'
const PURPOSES: ReadonlySet<string> = new Set(['fine-tune', 'eval', PURPOSE])

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

export function fileRules(world: World): FileRules {
  return {
    root: '',
    uploadPath: /^\/files\/upload$/,
    uploads: UPLOADS,
    uploadedStatus: 200,
    object: fileObject,
    list: async (files) => ({ data: await Promise.all(files.map(fileObject)) }),
    deleted: (id) => ({ id, deleted: true }),
    notFound: (id) => refuse(`File ${id} not found`, null, 'not_found', 404),
    content: (file) => contentOf(world, file, RESULTS, unknownRow),
  }
}

async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  const purpose = file.purpose === RESULTS ? PURPOSE : file.purpose
  const type = file.name.slice(file.name.lastIndexOf('.') + 1)
  return { ...(await openaiFileObject(file)), purpose, FileType: type, Processed: true }
}
