import type { StoredFile } from '../file-store.ts'
import { contentOf, deletedFile, type FileRules } from '../openai-like/files.ts'
import type { Upload, UploadFacts, UploadRules } from '../openai-like/upload.ts'
import { integer, listObject, pageAfter, seconds } from '../openai-like/wire.ts'
import { Refusal, type World } from '../provider.ts'
import { unknownRow } from './dialect.ts'
import { errorReply, invalidRequest, refuse } from './envelope.ts'
import { newFileId } from './ids.ts'

const PURPOSES = ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals']
const MAX_FILE_BYTES = 512 * 1024 * 1024
const MAX_LIST = 10_000
const DAY = 24 * 60 * 60
/** What a file for a batch lives, unless its upload says otherwise. */
const BATCH_FILE_SECONDS = 30 * DAY

const UPLOADS: UploadRules = {
  newId: newFileId,
  maxBytes: MAX_FILE_BYTES,
  refuseForm: (message) => refuse(message),
  refuseSize: (limit) => refuseSize(limit),
  accept: (upload, now) => factsOf(upload, now),
}

function refuseSize(limit: number): never {
  const error = invalidRequest(`Maximum file size is ${limit} bytes.`, 'file', 'file_too_large')
  throw new Refusal(errorReply(413, error))
}

export function fileRules(world: World): FileRules {
  return {
    root: '',
    uploads: UPLOADS,
    uploadedStatus: 200,
    object: fileObject,
    list: listFiles,
    deleted: deletedFile,
    notFound: (id) => refuse(`No such File object: ${id}`, 'id', null, 404),
    content: (file) => contentOf(world, file, 'batch_output', unknownRow),
  }
}

async function listFiles(all: readonly StoredFile[], query: URLSearchParams): Promise<Record<string, unknown>> {
  const limit = integer(query.get('limit')) ?? MAX_LIST
  if (limit < 1 || limit > MAX_LIST) return refuse(`Invalid 'limit': expected a value from 1 to ${MAX_LIST}.`, 'limit')
  const purpose = query.get('purpose')
  const files = all.filter((file) => purpose === null || file.purpose === purpose)
  const after = query.get('after')
  const page = pageAfter(query.get('order') === 'asc' ? files.toReversed() : files, after, limit)
  if (!page) return refuse(`No such File object: ${after}`, 'after')
  return listObject(page, await Promise.all(page.items.map(fileObject)))
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

function factsOf({ fields, fileName }: Upload, now: number): UploadFacts {
  if (fileName === undefined) return refuse("Missing required parameter: 'file'.", 'file', 'missing_required_parameter')
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
  return { name: fileName, purpose, expiresAt: living === undefined ? undefined : now + living * 1000 }
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
