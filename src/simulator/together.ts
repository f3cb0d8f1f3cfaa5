import { fileRoutes } from './openai-like/files.ts'
import { bearerAccount, type KeyRules } from './openai-like/identify.ts'
import { answerLive, type LiveRules } from './openai-like/live.ts'
import { jsonReply, type ProviderSurface, type SurfaceDefinition, type World } from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'
import { createBatches } from './together/batches.ts'
import { LIVE_ENDPOINTS } from './together/endpoints.ts'
import { errorBody, errorReply, refuse } from './together/envelope.ts'
import { fileRules } from './together/files.ts'
import { isModel, LISTED_MODELS } from './together/models.ts'

/** Together AI, written from its documentation and together-ai 0.52, independently of the adapter. */
export const together: SurfaceDefinition = {
  name: 'together',
  prefix: '/together/v1',
  env: { baseUrl: 'TOGETHER_BASE_URL', key: 'TOGETHER_API_KEY' },
  open: openSurface,
}

const KEYS: KeyRules = {
  provider: 'together',
  headers: [],
  organization: () => 'org_simulator',
  missing: () => errorReply(401, 'Missing API key', null, 'invalid_api_key'),
  unknown: () => errorReply(401, 'Invalid API key provided', null, 'invalid_api_key'),
}

function openSurface(world: World): ProviderSurface {
  const batches = createBatches(world)
  const models = [...LISTED_MODELS, ...world.models]
  const live: LiveRules = { isModel: (name) => isModel(name, world.models), errorBody, refuse, forms: true }
  const routes: readonly RouteLine[] = [
    ...fileRoutes(world, fileRules(world)),
    ['POST', /^\/batches$/, 'create', (exchange) => batches.create(exchange)],
    ['GET', /^\/batches$/, 'list', (exchange) => batches.list(exchange)],
    ['GET', /^\/batches\/([^/]+)$/, 'poll', (exchange, id) => batches.retrieve(exchange, id)],
    ['POST', /^\/batches\/([^/]+)\/cancel$/, 'cancel', (exchange, id) => batches.cancel(exchange, id)],
    ['GET', /^\/models$/, 'models', async () => jsonReply(200, models.map(modelObject))],
  ]
  return {
    identify: (headers) => bearerAccount(headers, KEYS),
    headers: (requestId) => ({ 'x-request-id': requestId }),
    route(method, path) {
      const endpoint = method === 'POST' ? LIVE_ENDPOINTS.get(`/v1${path}`) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange, live) }
      return findRoute(routes, method, path)
    },
    refuse: (status, message) => jsonReply(status, errorBody(status, message)),
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, type: 'chat' }
}
