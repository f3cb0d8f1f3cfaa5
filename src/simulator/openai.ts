import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { createBatches } from './openai/batches.ts'
import { ENDPOINTS } from './openai/endpoints.ts'
import { errorOfStatus, errorReply, invalidRequest } from './openai/envelope.ts'
import { deleteFile, downloadFile, listFiles, retrieveFile, uploadFile } from './openai/files.ts'
import { answerLive } from './openai/live.ts'
import { isModel, LISTED_MODELS } from './openai/models.ts'
import {
  jsonReply,
  type Account,
  type Exchange,
  type ProviderSurface,
  type Reply,
  type Route,
  type SurfaceDefinition,
  type World,
} from './provider.ts'
import type { Operation } from './operation.ts'

/** A key that OpenAI would not know begins with this. */
const UNKNOWN_KEY = 'sk-invalid'

/**
 * OpenAI's realtime and batch surface, written from its reference and its SDK's types, independently of the adapter.
 * Any key is let in, except those that begin with `sk-invalid`.
 */
export const openai: SurfaceDefinition = {
  name: 'openai',
  prefix: '/v1',
  env: { baseUrl: 'OPENAI_BASE_URL', key: 'OPENAI_API_KEY' },
  open: openSurface,
}

function openSurface(world: World): ProviderSurface {
  const batches = createBatches(world)
  const models = [...LISTED_MODELS, ...world.models]

  type Handle = (exchange: Exchange, id: string) => Promise<Reply>
  const routes: readonly (readonly [method: string, path: RegExp, operation: Operation, handle: Handle])[] = [
    ['POST', /^\/files$/, 'upload', (exchange) => uploadFile(world, exchange)],
    ['GET', /^\/files$/, 'file-list', (exchange) => listFiles(world, exchange)],
    ['GET', /^\/files\/([^/]+)$/, 'file', (exchange, id) => retrieveFile(world, exchange, id)],
    ['GET', /^\/files\/([^/]+)\/content$/, 'results', (exchange, id) => downloadFile(world, exchange, id)],
    ['DELETE', /^\/files\/([^/]+)$/, 'delete', (exchange, id) => deleteFile(world, exchange, id)],
    ['POST', /^\/batches$/, 'create', (exchange) => batches.create(exchange)],
    ['GET', /^\/batches$/, 'list', (exchange) => batches.list(exchange)],
    ['GET', /^\/batches\/([^/]+)$/, 'poll', (exchange, id) => batches.retrieve(exchange, id)],
    ['POST', /^\/batches\/([^/]+)\/cancel$/, 'cancel', (exchange, id) => batches.cancel(exchange, id)],
    ['GET', /^\/models$/, 'models', async () => jsonReply(200, { object: 'list', data: models.map(modelObject) })],
    ['GET', /^\/models\/([^/]+)$/, 'models', async (_, id) => retrieveModel(id, world.models)],
  ]

  return {
    identify,
    headers: (requestId) => ({
      'x-request-id': requestId,
      'openai-version': '2020-10-01',
      'openai-processing-ms': '1',
    }),
    route(method, path): Route | undefined {
      const endpoint = method === 'POST' ? ENDPOINTS.get(`/v1${path}`) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange) }
      for (const [verb, pattern, operation, handle] of routes) {
        const match = verb === method ? pattern.exec(path) : null
        if (match) return { operation, handle: (exchange) => handle(exchange, decodeURIComponent(match[1] ?? '')) }
      }
      return undefined
    },
    refuse: (status, message) => errorReply(status, errorOfStatus(status, message)),
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

/** Key, organisation and project together are one account. */
function identify(headers: IncomingHttpHeaders): Account | Reply {
  const key = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (key === undefined) {
    const message =
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    return errorReply(401, invalidRequest(message))
  }
  if (key.startsWith(UNKNOWN_KEY)) {
    return errorReply(401, invalidRequest('Incorrect API key provided.', null, 'invalid_api_key'))
  }
  const organization = String(headers['openai-organization'] ?? '')
  const project = String(headers['openai-project'] ?? '')
  const hash = createHash('sha256').update([key, organization, project].join('\0')).digest('hex').slice(0, 12)
  return { provider: 'openai', hash, organization: organization || 'org-simulator' }
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'openai' }
}

function retrieveModel(id: string, further: readonly string[]): Reply {
  if (isModel(id, further)) return jsonReply(200, modelObject(id))
  return errorReply(404, invalidRequest(`The model '${id}' does not exist`, 'model', 'model_not_found'))
}
