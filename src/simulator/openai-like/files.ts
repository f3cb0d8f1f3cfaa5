import { serveFile, serveResults } from '../batches/result-faults.ts'
import type { StoredFile } from '../file-store.ts'
import { jsonReply, type Exchange, type Reply, type World } from '../provider.ts'
import type { RouteLine } from '../routes.ts'
import { receiveUpload, type UploadRules } from './upload.ts'

type Json = Record<string, unknown>

/** What providers with OpenAI's files surface disagree on. */
export interface FileRules {
  /** What comes before `/files`. */
  readonly root: string
  /** Default: where files are listed. */
  readonly uploadPath?: RegExp
  readonly uploads: UploadRules
  readonly uploadedStatus: 200 | 201
  object(file: StoredFile): Promise<Json>
  /** The reply to a list; files come newest first. */
  list(files: readonly StoredFile[], query: URLSearchParams): Promise<Json>
  deleted(id: string): Json
  notFound(id: string): never
  content(file: StoredFile, exchange: Exchange): Promise<Reply>
}

/** Upload, list, retrieve, download and delete. */
export function fileRoutes(world: World, rules: FileRules): readonly RouteLine[] {
  const files = new RegExp(`^${rules.root}/files$`)
  const file = new RegExp(`^${rules.root}/files/([^/]+)$`)
  const content = new RegExp(`^${rules.root}/files/([^/]+)/content$`)
  const find = ({ account }: Exchange, id: string): StoredFile =>
    world.files.get(account.hash, id) ?? rules.notFound(id)
  return [
    [
      'POST',
      rules.uploadPath ?? files,
      'upload',
      async (exchange) => {
        const uploaded = await receiveUpload(world, exchange, rules.uploads)
        return jsonReply(rules.uploadedStatus, await rules.object(uploaded))
      },
    ],
    [
      'GET',
      files,
      'file-list',
      async ({ account, query }) =>
        jsonReply(200, await rules.list(world.files.list(account.hash).toReversed(), query)),
    ],
    ['GET', file, 'file', async (exchange, id) => jsonReply(200, await rules.object(find(exchange, id)))],
    ['GET', content, 'results', async (exchange, id) => rules.content(find(exchange, id), exchange)],
    [
      'DELETE',
      file,
      'delete',
      async (exchange, id) => {
        await world.files.remove(find(exchange, id))
        return jsonReply(200, rules.deleted(id))
      },
    ],
  ]
}

/** What OpenAI and most others say when a file is gone. */
export function deletedFile(id: string): Json {
  return { id, object: 'file', deleted: true }
}

const JSON_LINES = 'application/octet-stream'

/** A download, in which results can go wrong. */
export function contentOf(
  world: World,
  file: StoredFile,
  resultPurpose: string,
  unknownRow: (customId: string) => string,
): Promise<Reply> {
  return file.purpose === resultPurpose
    ? serveResults(world, file, JSON_LINES, unknownRow)
    : serveFile(file, JSON_LINES)
}
