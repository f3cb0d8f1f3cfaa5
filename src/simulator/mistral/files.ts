import { randomUUID } from 'node:crypto'
import { serveFile, serveResults } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { receiveUpload, type UploadRules } from '../openai-like/upload.ts'
import { integer, seconds } from '../openai-like/wire.ts'
import { jsonReply, type Exchange, type Reply, type World } from '../provider.ts'
import { unknownRow } from './dialect.ts'
import { refuse, refuseDetail } from './envelope.ts'

const PURPOSES = ['fine-tune', 'batch', 'ocr']
const MAX_FILE_BYTES = 512 * 1024 * 1024
const MAX_PAGE = 100
const CONTENT = 'application/octet-stream'

/** What a file is, as the simulator keeps it and as Mistral says it: a result is of the same purpose as an input. */
export type FileKind = 'batch' | 'batch_result' | 'batch_error'

const SAMPLE_TYPES: ReadonlyMap<string, string> = new Map([
  ['fine-tune', 'instruct'],
  ['batch', 'batch_request'],
  ['ocr', 'ocr_input'],
])

const UPLOADS: UploadRules = {
  newId: () => randomUUID(),
  maxBytes: MAX_FILE_BYTES,
  refuseForm: (message) => refuse(422, message),
  refuseSize: (limit) => refuse(413, `The file is larger than ${limit} bytes.`),
  accept({ fields, fileName }) {
    if (fileName === undefined) return refuseDetail({ type: 'missing', loc: ['body', 'file'], msg: 'Field required' })
    const purpose = fields.get('purpose') ?? 'fine-tune'
    if (!PURPOSES.includes(purpose)) {
      const msg = `Input should be ${PURPOSES.map((one) => `'${one}'`).join(', ')}`
      return refuseDetail({ type: 'enum', loc: ['body', 'purpose'], msg, input: purpose })
    }
    return { name: fileName, purpose, expiresAt: undefined }
  },
}

/** POST /v1/files */
export async function uploadFile(world: World, exchange: Exchange): Promise<Reply> {
  return jsonReply(200, await fileObject(await receiveUpload(world, exchange, UPLOADS)))
}

/** GET /v1/files */
export async function listFiles(world: World, { account, query }: Exchange): Promise<Reply> {
  const { page, size } = pagingOf(query, MAX_PAGE)
  const purpose = query.get('purpose')
  const files = world.files
    .list(account.hash)
    .filter((file) => purpose === null || purposeOf(file) === purpose)
    .toReversed()
  const data = await Promise.all(files.slice(page * size, (page + 1) * size).map(fileObject))
  return jsonReply(200, { data, object: 'list', total: files.length })
}

/** GET /v1/files/{id} */
export async function retrieveFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  return jsonReply(200, { ...(await fileObject(fileOf(world, exchange, id))), deleted: false })
}

/** GET /v1/files/{id}/content */
export async function downloadFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  const file = fileOf(world, exchange, id)
  return isResult(file) ? serveResults(world, file, CONTENT, unknownRow) : serveFile(file, CONTENT)
}

/** DELETE /v1/files/{id} */
export async function deleteFile(world: World, exchange: Exchange, id: string): Promise<Reply> {
  await world.files.remove(fileOf(world, exchange, id))
  return jsonReply(200, { id, object: 'file', deleted: true })
}

/** Pages are counted from 0. */
export function pagingOf(query: URLSearchParams, largest: number): { readonly page: number; readonly size: number } {
  const page = integer(query.get('page')) ?? 0
  const size = integer(query.get('page_size')) ?? 100
  if (Number.isNaN(page)) return refuseQuery('page', 'Input should be a valid integer')
  if (!(size >= 1 && size <= largest)) return refuseQuery('page_size', `Input should be from 1 to ${largest}`)
  return { page, size }
}

function refuseQuery(name: string, msg: string): never {
  return refuseDetail({ type: 'value_error', loc: ['query', name], msg })
}

function fileOf(world: World, { account }: Exchange, id: string): StoredFile {
  return world.files.get(account.hash, id) ?? refuse(404, 'File not found')
}

function isResult({ purpose }: StoredFile): boolean {
  return purpose === 'batch_result' || purpose === 'batch_error'
}

function purposeOf(file: StoredFile): string {
  return isResult(file) ? 'batch' : file.purpose
}

async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  return {
    id: file.id,
    object: 'file',
    bytes: await file.bytes(),
    created_at: seconds(file.createdAt),
    filename: file.name,
    purpose: purposeOf(file),
    sample_type: SAMPLE_TYPES.get(file.purpose) ?? file.purpose,
    num_lines: null,
    mimetype: 'application/jsonl',
    source: isResult(file) ? 'mistral' : 'upload',
    signature: null,
    expires_at: null,
    visibility: 'workspace',
  }
}
