import { randomBytes } from 'node:crypto'
import { serveResults } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import type { Account, Exchange, Reply, World } from '../provider.ts'
import { addressOf } from './address.ts'
import { unknownRow } from './dialect.ts'
import { googleReply, refuse } from './envelope.ts'
import { pageOf } from './paging.ts'
import { timestamp } from './timestamp.ts'

/** What a file is for: uploaded ones are input, generated ones are the results of a batch that had a file as its input. */
export const PURPOSE = { uploaded: 'batch', generated: 'batch_output', hidden: 'inline_output' } as const

/** Uploads are kept for 48 hours [docs: ai.google.dev/gemini-api/docs/files]. */
const FILE_LIFE_MS = 48 * 60 * 60 * 1000
const JSON_LINES = 'application/jsonl'
const MAX_LIST = 100
const DEFAULT_LIST = 10

/** What Google knows of a file beside what the store does. */
export interface FileDetails {
  readonly mimeType: string
  /** Of the uploaded bytes: base64 of the hexadecimal digest, as Google writes it. */
  readonly sha256Hash: string
}

export interface Files {
  get(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  remove(exchange: Exchange, id: string): Promise<Reply>
  download(exchange: Exchange, id: string): Promise<Reply>
  /** An uploaded file, by its name: `files/…`. */
  input(account: Account, name: string): StoredFile | undefined
  /** Takes an upload in, and shows it. */
  add(exchange: Exchange, id: string, displayName: string, details: FileDetails): Promise<Record<string, unknown>>
}

export const newFileId = (): string => randomBytes(6).toString('hex')

/** In the store, where ids are everybody's, an id begins with its account. */
export const storeId = ({ hash }: Account, id: string): string => `${hash}.${id}`

export const fileName = ({ id }: { readonly id: string }): string => `files/${id.slice(id.indexOf('.') + 1)}`

export function createFiles(world: World): Files {
  const details = new Map<string, FileDetails>()

  function find({ account }: Exchange, id: string): StoredFile {
    const file = world.files.get(account.hash, storeId(account, id))
    if (file && file.purpose !== PURPOSE.hidden) return file
    // Google does not tell a file that is somebody else's from one that never was.
    return refuse(403, `You do not have permission to access the File ${id} or it may not exist.`)
  }

  async function resource(file: StoredFile, { headers }: Exchange): Promise<Record<string, unknown>> {
    const name = fileName(file)
    const uploaded = details.get(file.id)
    const uri = `${addressOf(headers)}/v1beta/${name}`
    return {
      name,
      ...(file.name === '' ? {} : { displayName: file.name }),
      mimeType: uploaded?.mimeType ?? JSON_LINES,
      sizeBytes: String(await file.bytes()),
      createTime: timestamp(file.createdAt),
      updateTime: timestamp(file.createdAt),
      ...(file.expiresAt === undefined ? {} : { expirationTime: timestamp(file.expiresAt) }),
      ...(uploaded === undefined ? {} : { sha256Hash: uploaded.sha256Hash }),
      uri,
      ...(uploaded === undefined ? { downloadUri: `${uri}:download?alt=media` } : {}),
      state: 'ACTIVE',
      source: uploaded === undefined ? 'GENERATED' : 'UPLOADED',
    }
  }

  return {
    async get(exchange, id) {
      return googleReply(200, await resource(find(exchange, id), exchange))
    },
    async list(exchange) {
      const files = world.files.list(exchange.account.hash).filter(({ purpose }) => purpose !== PURPOSE.hidden)
      const { page, nextPageToken } = pageOf(files.toReversed(), exchange.query, DEFAULT_LIST, MAX_LIST)
      const shown = await Promise.all(page.map((file) => resource(file, exchange)))
      return googleReply(200, {
        ...(shown.length === 0 ? {} : { files: shown }),
        ...(nextPageToken === undefined ? {} : { nextPageToken }),
      })
    },
    async remove(exchange, id) {
      const file = find(exchange, id)
      details.delete(file.id)
      await world.files.remove(file)
      return googleReply(200, {})
    },
    async download(exchange, id) {
      const file = find(exchange, id)
      // "Only set for downloadable (generated) files" [@google/genai 3.1.0, File.downloadUri].
      if (file.purpose !== PURPOSE.generated)
        return refuse(400, `The File ${id} was uploaded and cannot be downloaded.`)
      if (exchange.query.get('alt') !== 'media') return refuse(400, 'Only alt=media can be downloaded here.')
      return serveResults(world, file, JSON_LINES, (key) => unknownRow('file', key))
    },
    input(account, name) {
      if (!name.startsWith('files/')) return undefined
      const file = world.files.get(account.hash, storeId(account, name.slice('files/'.length)))
      return file?.purpose === PURPOSE.uploaded ? file : undefined
    },
    async add(exchange, id, displayName, uploaded) {
      const { account } = exchange
      const now = world.clock.now()
      const file = world.files.add({
        id: storeId(account, id),
        owner: account.hash,
        name: displayName,
        purpose: PURPOSE.uploaded,
        createdAt: now,
        expiresAt: now + FILE_LIFE_MS,
      })
      details.set(file.id, uploaded)
      return resource(file, exchange)
    },
  }
}
