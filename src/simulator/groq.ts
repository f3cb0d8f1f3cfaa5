import { createBatches } from './groq/batches.ts'
import { LIVE } from './groq/endpoints.ts'
import { errorBody, errorReply, refuse } from './groq/envelope.ts'
import { fileRules } from './groq/files.ts'
import { isModel, LISTED_MODELS } from './groq/models.ts'
import { fileRoutes } from './openai-like/files.ts'
import { bearerAccount, type KeyRules } from './openai-like/identify.ts'
import { answerLive, type LiveRules } from './openai-like/live.ts'
import { jsonReply, type ProviderSurface, type SurfaceDefinition, type World } from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'

/** Groq, written from its documentation and groq-sdk 1.6, independently of the adapter. */
export const groq: SurfaceDefinition = {
  name: 'groq',
  prefix: '/groq',
  env: { baseUrl: 'GROQ_BASE_URL', key: 'GROQ_API_KEY' },
  open: openSurface,
}

/** Outside of batches every path begins with this. */
const ROOT = '/openai'

const KEYS: KeyRules = {
  provider: 'groq',
  headers: [],
  organization: () => 'org_simulator',
  missing: () => errorReply(401, 'Invalid API Key', 'invalid_api_key'),
  unknown: () => errorReply(401, 'Invalid API Key', 'invalid_api_key'),
}

function openSurface(world: World): ProviderSurface {
  const batches = createBatches(world)
  const models = [...LISTED_MODELS, ...world.models]
  const live: LiveRules = { isModel: (name) => isModel(name, world.models), errorBody, refuse, forms: true }
  const routes: readonly RouteLine[] = [
    ...fileRoutes(world, fileRules(world)),
    ['POST', /^\/v1\/batches$/, 'create', (exchange) => batches.create(exchange)],
    ['GET', /^\/v1\/batches\/([^/]+)$/, 'poll', (exchange, id) => batches.retrieve(exchange, id)],
    ['POST', /^\/v1\/batches\/([^/]+)\/cancel$/, 'cancel', (exchange, id) => batches.cancel(exchange, id)],
    ['GET', /^\/v1\/models$/, 'models', async () => jsonReply(200, { object: 'list', data: models.map(modelObject) })],
  ]
  return {
    identify: (headers) => bearerAccount(headers, KEYS),
    headers: (requestId) => ({ 'x-request-id': requestId }),
    route(method, path, query) {
      if (!path.startsWith(`${ROOT}/`)) return undefined
      const rest = path.slice(ROOT.length)
      const endpoint = method === 'POST' ? LIVE.get(rest) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange, live) }
      if (method === 'GET' && rest === '/v1/batches') {
        const operation = query.has('id') ? 'poll' : 'list'
        return { operation, handle: (exchange) => batches.list(exchange) }
      }
      return findRoute(routes, method, rest)
    },
    refuse: (status, message) => jsonReply(status, errorBody(status, message)),
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'Groq', active: true, context_window: 131_072 }
}
