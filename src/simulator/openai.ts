import type { IncomingHttpHeaders } from 'node:http'
import { createBatches } from './openai/batches.ts'
import { ENDPOINTS } from './openai/endpoints.ts'
import { errorOfStatus, errorReply, invalidRequest, refuse } from './openai/envelope.ts'
import { fileRules } from './openai/files.ts'
import { fileRoutes } from './openai-like/files.ts'
import { bearerAccount, type KeyRules } from './openai-like/identify.ts'
import { answerLive, type LiveRules } from './openai-like/live.ts'
import { isModel, LISTED_MODELS } from './openai/models.ts'
import {
  jsonReply,
  type Account,
  type ProviderSurface,
  type Reply,
  type SurfaceDefinition,
  type World,
} from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'

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

  const live: LiveRules = {
    isModel: (name) => isModel(name, world.models),
    errorBody: (status, message) => ({ error: errorOfStatus(status, message) }),
    refuse,
  }
  const routes: readonly RouteLine[] = [
    ...fileRoutes(world, fileRules(world)),
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
    route(method, path) {
      const endpoint = method === 'POST' ? ENDPOINTS.get(`/v1${path}`) : undefined
      if (endpoint) return { operation: 'live', handle: (exchange) => answerLive(world, endpoint, exchange, live) }
      return findRoute(routes, method, path)
    },
    refuse: (status, message) => errorReply(status, errorOfStatus(status, message)),
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

const KEYS: KeyRules = {
  provider: 'openai',
  headers: ['openai-organization', 'openai-project'],
  organization: (headers) => String(headers['openai-organization'] ?? '') || 'org-simulator',
  missing() {
    const message =
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    return errorReply(401, invalidRequest(message))
  },
  unknown: () => errorReply(401, invalidRequest('Incorrect API key provided.', null, 'invalid_api_key')),
}

/** Key, organisation and project together are one account. */
function identify(headers: IncomingHttpHeaders): Account | Reply {
  return bearerAccount(headers, KEYS)
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'openai' }
}

function retrieveModel(id: string, further: readonly string[]): Reply {
  if (isModel(id, further)) return jsonReply(200, modelObject(id))
  return errorReply(404, invalidRequest(`The model '${id}' does not exist`, 'model', 'model_not_found'))
}
