import { createHash, randomBytes, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { isObject, parseJson } from '../json.ts'
import { readText, type Account, type Exchange, type Reply, type World } from '../provider.ts'
import { addressOf } from './address.ts'
import { googleReply, refuse } from './envelope.ts'
import { newFileId, storeId, type Files } from './files.ts'
import { complaint, one, readMessage, value, type Message } from './proto-json.ts'

/** [docs: ai.google.dev/gemini-api/docs/files] */
const MAX_FILE_BYTES = 2 * 1024 * 1024 * 1024
const OWN_ID = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/

/** Resumable uploads: one call names the file and gets an address, further calls send its bytes there, without a key. */
export interface Uploads {
  receive(exchange: Exchange, version: string): Promise<Reply>
  /** Whose upload this address is. */
  accountOf(uploadId: string): Account | undefined
}

interface Session {
  readonly account: Account
  readonly fileId: string
  readonly displayName: string
  readonly mimeType: string
  /** As announced; undefined: not at all. */
  readonly bytes: number | undefined
  readonly hash: Hash
  received: number
}

const file: Message = {
  type: 'File',
  fields: {
    name: value,
    displayName: value,
    mimeType: value,
    // Output only, but what the official SDKs send.
    sizeBytes: value,
    createTime: value,
    updateTime: value,
    expirationTime: value,
    sha256Hash: value,
    uri: value,
    state: value,
    source: value,
  },
}
const createFileRequest: Message = { type: 'CreateFileRequest', fields: { file: one(() => file) } }

export function createUploads(world: World, files: Files): Uploads {
  const sessions = new Map<string, Session>()
  const limit = world.limits.fileBytes ?? MAX_FILE_BYTES

  async function start(exchange: Exchange, version: string): Promise<Reply> {
    const session = await readStart(exchange)
    if ((session.bytes ?? 0) > limit) return tooLarge()
    const { account, fileId } = session
    if (world.files.get(account.hash, storeId(account, fileId)))
      return refuse(409, `The File ${fileId} already exists.`)
    const uploadId = randomBytes(24).toString('base64url')
    sessions.set(uploadId, session)
    // An empty file is a file too, should no bytes come.
    await (await open(pathOf(session), 'w', 0o600)).close()
    const query = `upload_id=${uploadId}&upload_protocol=resumable`
    return {
      ...googleReply(200, {}),
      headers: {
        'x-goog-upload-status': 'active',
        'x-goog-upload-url': `${addressOf(exchange.headers)}/upload/${version}/files?${query}`,
      },
    }
  }

  async function proceed(exchange: Exchange, uploadId: string, commands: ReadonlySet<string>): Promise<Reply> {
    const session = sessions.get(uploadId)
    if (!session) return refuse(404, 'Upload must start with X-Goog-Upload-Command: start; this one is not known.')
    if (commands.has('upload')) {
      const offset = Number(exchange.headers['x-goog-upload-offset'] ?? 0)
      if (offset !== session.received) {
        return refuse(400, `The upload is at byte ${session.received}, not at ${offset}.`)
      }
      await append(session, exchange.body)
    }
    if (commands.has('cancel')) {
      sessions.delete(uploadId)
      await world.files.discard(pathOf(session))
      return { ...googleReply(200, {}), headers: { 'x-goog-upload-status': 'cancelled' } }
    }
    if (!commands.has('finalize')) return active(session)
    if (session.bytes !== undefined && session.received !== session.bytes) {
      return refuse(400, `The upload has ${session.received} bytes; ${session.bytes} were announced.`)
    }
    sessions.delete(uploadId)
    const { fileId, displayName, mimeType, hash, account } = session
    const sha256Hash = Buffer.from(hash.digest('hex')).toString('base64')
    const shown = await files.add({ ...exchange, account }, fileId, displayName, { mimeType, sha256Hash })
    return { ...googleReply(200, { file: shown }), headers: { 'x-goog-upload-status': 'final' } }
  }

  async function append(session: Session, body: AsyncIterable<Buffer>): Promise<void> {
    const handle = await open(pathOf(session), 'a')
    try {
      for await (const piece of body) {
        if (session.received + piece.length > limit) return tooLarge()
        await handle.write(piece)
        session.hash.update(piece)
        session.received += piece.length
      }
    } finally {
      await handle.close()
    }
  }

  function tooLarge(): never {
    return refuse(400, `The file is larger than ${limit} bytes.`)
  }

  function pathOf({ account, fileId }: Session): string {
    return world.files.pathFor(storeId(account, fileId))
  }

  return {
    async receive(exchange, version) {
      const { headers, query } = exchange
      const words = String(headers['x-goog-upload-command'] ?? '').split(',')
      const commands = new Set(words.map((word) => word.trim().toLowerCase()))
      const uploadId = query.get('upload_id')
      if (uploadId !== null) return proceed(exchange, uploadId, commands)
      if (headers['x-goog-upload-protocol'] !== 'resumable' || !commands.has('start')) {
        return refuse(400, 'Only resumable uploads are taken here: X-Goog-Upload-Protocol must be resumable.')
      }
      return start(exchange, version)
    },
    accountOf: (uploadId) => sessions.get(uploadId)?.account,
  }
}

function active({ received }: Session): Reply {
  return {
    ...googleReply(200, {}),
    headers: { 'x-goog-upload-status': 'active', 'x-goog-upload-size-received': String(received) },
  }
}

async function readStart({ account, headers, body }: Exchange): Promise<Session> {
  const text = await readText(body)
  const parsed = text === '' ? {} : parseJson(text)
  if (!isObject(parsed)) return refuse(400, 'Invalid JSON payload received.')
  const { value, violations } = readMessage(parsed, createFileRequest)
  if (violations.length > 0) {
    const { message, details } = complaint(violations)
    return refuse(400, message, details)
  }
  const { name, displayName, mimeType } = isObject(value['file']) ? value['file'] : {}
  const length = headers['x-goog-upload-header-content-length']
  return {
    account,
    fileId: typeof name === 'string' && name !== '' ? ownId(name) : newFileId(),
    displayName: typeof displayName === 'string' ? displayName : '',
    mimeType:
      typeof mimeType === 'string'
        ? mimeType
        : String(headers['x-goog-upload-header-content-type'] ?? 'application/octet-stream'),
    bytes: length === undefined ? undefined : Number(length),
    hash: createHash('sha256'),
    received: 0,
  }
}

/** An id of the caller's own choice [@google/genai 3.1.0, File.name: up to 40 lower-case letters, digits and inner dashes]. */
function ownId(name: string): string {
  const id = name.startsWith('files/') ? name.slice('files/'.length) : name
  return OWN_ID.test(id) ? id : refuse(400, `Invalid file name '${name}'.`)
}
