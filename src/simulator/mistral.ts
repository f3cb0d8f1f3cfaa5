import { deleteFile, downloadFile, listFiles, retrieveFile, uploadFile } from './mistral/files.ts'
import { endpointsFor } from './mistral/endpoints.ts'
import { errorReply, refuse } from './mistral/envelope.ts'
import { createJobs } from './mistral/jobs.ts'
import { answerLive } from './mistral/live.ts'
import { isModel, LISTED_MODELS, modelObject } from './mistral/models.ts'
import { bearerAccount, type KeyRules } from './openai-like/identify.ts'
import { jsonReply, type ProviderSurface, type SurfaceDefinition, type World } from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'

/** Mistral's realtime and batch surface, written from its reference and its SDK's types, independently of the adapter. */
export const mistral: SurfaceDefinition = {
  name: 'mistral',
  prefix: '/mistral',
  // Its SDK reads no environment variable for a base URL.
  env: { baseUrl: 'MISTRAL_BASE_URL', key: 'MISTRAL_API_KEY' },
  open: openSurface,
}

const KEYS: KeyRules = {
  provider: 'mistral',
  headers: [],
  organization: () => 'org-simulator',
  missing: () => errorReply(401, 'Unauthorized'),
  unknown: () => errorReply(401, 'Unauthorized'),
}

function openSurface(world: World): ProviderSurface {
  const endpoints = endpointsFor(world.models)
  const jobs = createJobs(world, endpoints)
  const models = [...LISTED_MODELS, ...world.models]
  const routes: readonly RouteLine[] = [
    ['POST', /^\/v1\/batch\/jobs$/, 'create', (exchange) => jobs.create(exchange)],
    ['GET', /^\/v1\/batch\/jobs$/, 'list', (exchange) => jobs.list(exchange)],
    ['GET', /^\/v1\/batch\/jobs\/([^/]+)$/, 'poll', (exchange, id) => jobs.retrieve(exchange, id)],
    ['DELETE', /^\/v1\/batch\/jobs\/([^/]+)$/, 'delete', (exchange, id) => jobs.remove(exchange, id)],
    ['POST', /^\/v1\/batch\/jobs\/([^/]+)\/cancel$/, 'cancel', (exchange, id) => jobs.cancel(exchange, id)],
    ['POST', /^\/v1\/files$/, 'upload', (exchange) => uploadFile(world, exchange)],
    ['GET', /^\/v1\/files$/, 'file-list', (exchange) => listFiles(world, exchange)],
    ['GET', /^\/v1\/files\/([^/]+)$/, 'file', (exchange, id) => retrieveFile(world, exchange, id)],
    ['GET', /^\/v1\/files\/([^/]+)\/content$/, 'results', (exchange, id) => downloadFile(world, exchange, id)],
    ['DELETE', /^\/v1\/files\/([^/]+)$/, 'delete', (exchange, id) => deleteFile(world, exchange, id)],
    ['GET', /^\/v1\/models$/, 'models', async () => jsonReply(200, { object: 'list', data: models.map(modelObject) })],
    [
      'GET',
      /^\/v1\/models\/([^/]+)$/,
      'models',
      async (_, id) => (isModel(id, world.models) ? jsonReply(200, modelObject(id)) : refuse(404, 'Model not found')),
    ],
  ]
  return {
    identify: (headers) => bearerAccount(headers, KEYS),
    // Seen in users' logs; no reference names it.
    headers: (requestId) => ({ 'mistral-correlation-id': requestId }),
    route(method, path) {
      const endpoint = method === 'POST' ? endpoints.get(path) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange) }
      return findRoute(routes, method, path)
    },
    refuse: errorReply,
    settle: () => jobs.settle(),
    close: () => jobs.close(),
  }
}
