import { fileRoutes } from './openai-like/files.ts'
import { bearerAccount, type KeyRules } from './openai-like/identify.ts'
import { answerLive, type LiveRules } from './openai-like/live.ts'
import { jsonReply, type ProviderSurface, type SurfaceDefinition, type World } from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'
import { createBatches } from './xai/batches.ts'
import { LIVE } from './xai/endpoints.ts'
import { errorBody, errorReply, refuse } from './xai/envelope.ts'
import { fileRules } from './xai/files.ts'
import { isModel, LISTED_MODELS } from './xai/models.ts'

/** xAI, written from its documentation and the AI SDK's own batches, independently of the adapter. */
export const xai: SurfaceDefinition = {
  name: 'xai',
  prefix: '/xai/v1',
  env: { baseUrl: 'XAI_BASE_URL', key: 'XAI_API_KEY' },
  open: openSurface,
}

const KEYS: KeyRules = {
  provider: 'xai',
  headers: [],
  organization: () => 'team-simulator',
  missing: () => errorReply(401, 'No API key was provided.'),
  // Not a 401: an incorrect key is an invalid argument like any other.
  unknown: () => errorReply(400, 'Incorrect API key provided.'),
}

function openSurface(world: World): ProviderSurface {
  const batches = createBatches(world)
  const models = [...LISTED_MODELS, ...world.models]
  const live: LiveRules = { isModel: (name) => isModel(name, world.models), errorBody, refuse }
  const routes: readonly RouteLine[] = [
    ...fileRoutes(world, fileRules()),
    ['POST', /^\/batches$/, 'create', (exchange) => batches.create(exchange)],
    ['GET', /^\/batches$/, 'list', (exchange) => batches.list(exchange)],
    ['POST', /^\/batches\/([^/]+):cancel$/, 'cancel', (exchange, id) => batches.cancel(exchange, id)],
    ['POST', /^\/batches\/([^/]+)\/requests$/, 'upload', (exchange, id) => batches.addRequests(exchange, id)],
    ['GET', /^\/batches\/([^/]+)\/results$/, 'results', (exchange, id) => batches.results(exchange, id)],
    ['GET', /^\/batches\/([^/]+)$/, 'poll', (exchange, id) => batches.retrieve(exchange, id)],
    ['GET', /^\/models$/, 'models', async () => jsonReply(200, { object: 'list', data: models.map(modelObject) })],
  ]
  return {
    identify: (headers) => bearerAccount(headers, KEYS),
    headers: (requestId) => ({ 'x-request-id': requestId }),
    route(method, path) {
      const endpoint = method === 'POST' ? LIVE.get(`/v1${path}`) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange, live) }
      return findRoute(routes, method, path)
    },
    refuse: errorReply,
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'xai' }
}
