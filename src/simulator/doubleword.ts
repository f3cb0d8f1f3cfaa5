import { createBatches } from './doubleword/batches.ts'
import { ENDPOINTS } from './doubleword/endpoints.ts'
import { errorBody, refuseRequest, textReply } from './doubleword/envelope.ts'
import { fileRules } from './doubleword/files.ts'
import { isModel, LISTED_MODELS } from './doubleword/models.ts'
import { fileRoutes } from './openai-like/files.ts'
import { bearerAccount, type KeyRules } from './openai-like/identify.ts'
import { answerLive, type LiveRules } from './openai-like/live.ts'
import { jsonReply, type ProviderSurface, type SurfaceDefinition, type World } from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'

/** Doubleword, written from the source of its server (control-layer 10.13), independently of the adapter. */
export const doubleword: SurfaceDefinition = {
  name: 'doubleword',
  prefix: '/doubleword/v1',
  env: { baseUrl: 'DOUBLEWORD_BASE_URL', key: 'DOUBLEWORD_API_KEY' },
  open: openSurface,
}

const KEYS: KeyRules = {
  provider: 'doubleword',
  headers: [],
  organization: () => 'org-simulator',
  missing: () => textReply(401, 'Authentication required'),
  unknown: () => textReply(401, 'Authentication required'),
}

function openSurface(world: World): ProviderSurface {
  const batches = createBatches(world)
  const models = [...LISTED_MODELS, ...world.models]
  const live: LiveRules = { isModel: (name) => isModel(name, world.models), errorBody, refuse: refuseRequest }
  const { findByFile } = batches
  const routes: readonly RouteLine[] = [
    ...fileRoutes(world, fileRules(world, findByFile)),
    ['POST', /^\/batches$/, 'create', (exchange) => batches.create(exchange)],
    ['GET', /^\/batches$/, 'list', (exchange) => batches.list(exchange)],
    ['GET', /^\/batches\/([^/]+)$/, 'poll', (exchange, id) => batches.retrieve(exchange, id)],
    ['POST', /^\/batches\/([^/]+)\/cancel$/, 'cancel', (exchange, id) => batches.cancel(exchange, id)],
    ['GET', /^\/models$/, 'models', async () => jsonReply(200, { object: 'list', data: models.map(modelObject) })],
  ]
  return {
    identify: (headers) => bearerAccount(headers, KEYS),
    headers: (requestId) => ({ 'x-request-id': requestId }),
    route(method, path) {
      const endpoint = method === 'POST' ? ENDPOINTS.get(`/v1${path}`) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange, live) }
      return findRoute(routes, method, path)
    },
    refuse: textReply,
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'Doubleword' }
}
