import type { IncomingHttpHeaders } from 'node:http'
import { createBatches } from './anthropic/batches.ts'
import { errorReply, refuse } from './anthropic/envelope.ts'
import { answerLive, countTokens } from './anthropic/live.ts'
import { isModel, LISTED_MODELS, modelObject } from './anthropic/models.ts'
import { accountHash, UNKNOWN_KEY } from './openai-like/identify.ts'
import {
  jsonReply,
  type Account,
  type ProviderSurface,
  type Reply,
  type SurfaceDefinition,
  type World,
} from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'

/** "Versions" in its documentation, and what the SDK 1.11 sends. */
const VERSIONS = new Set(['2023-01-01', '2023-06-01', '2026-10-21'])

/** Anthropic's Messages and Message Batches, written from its reference and its SDK's types, independently of the adapter. */
export const anthropic: SurfaceDefinition = {
  name: 'anthropic',
  prefix: '/anthropic',
  env: { baseUrl: 'ANTHROPIC_BASE_URL', key: 'ANTHROPIC_API_KEY' },
  open: openSurface,
}

function openSurface(world: World): ProviderSurface {
  const batches = createBatches(world)
  const models = [...LISTED_MODELS, ...world.models]
  const routes: readonly RouteLine[] = [
    ['POST', /^\/v1\/messages$/, 'live', (exchange) => answerLive(world, exchange)],
    ['POST', /^\/v1\/messages\/count_tokens$/, 'other', (exchange) => countTokens(world, exchange)],
    ['POST', /^\/v1\/messages\/batches$/, 'create', (exchange) => batches.create(exchange)],
    ['GET', /^\/v1\/messages\/batches$/, 'list', (exchange) => batches.list(exchange)],
    ['GET', /^\/v1\/messages\/batches\/([^/]+)$/, 'poll', (exchange, id) => batches.retrieve(exchange, id)],
    ['DELETE', /^\/v1\/messages\/batches\/([^/]+)$/, 'delete', (exchange, id) => batches.remove(exchange, id)],
    ['POST', /^\/v1\/messages\/batches\/([^/]+)\/cancel$/, 'cancel', (exchange, id) => batches.cancel(exchange, id)],
    ['GET', /^\/v1\/messages\/batches\/([^/]+)\/results$/, 'results', (exchange, id) => batches.results(exchange, id)],
    ['GET', /^\/v1\/models$/, 'models', async () => jsonReply(200, listOf(models.map(modelObject)))],
    ['GET', /^\/v1\/models\/([^/]+)$/, 'models', async (_, id) => retrieveModel(id, world.models)],
  ]
  return {
    identify,
    headers: (requestId) => ({ 'request-id': requestId }),
    route: (method, path) => findRoute(routes, method, path),
    refuse: errorReply,
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

/** Key and workspace together are one account, whatever version and betas it speaks. */
function identify(headers: IncomingHttpHeaders): Account | Reply {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const key = headers['x-api-key'] ?? bearer
  if (typeof key !== 'string' || key === '') return errorReply(401, 'x-api-key header is required')
  if (key.startsWith(UNKNOWN_KEY))
    return errorReply(401, bearer === undefined ? 'invalid x-api-key' : 'Invalid bearer token')
  const version = headers['anthropic-version']
  if (version === undefined) return errorReply(400, 'anthropic-version: header is required')
  if (!VERSIONS.has(String(version))) {
    return errorReply(400, `anthropic-version: "${String(version)}" is not a valid version`)
  }
  const workspace = String(headers['anthropic-workspace-id'] ?? '')
  const hash = accountHash('anthropic', key, workspace)
  return { provider: 'anthropic', hash, organization: 'org-simulator' }
}

function listOf(data: readonly Record<string, unknown>[]): Record<string, unknown> {
  return { data, has_more: false, first_id: data[0]?.['id'] ?? null, last_id: data.at(-1)?.['id'] ?? null }
}

function retrieveModel(id: string, further: readonly string[]): Reply {
  return isModel(id, further) ? jsonReply(200, modelObject(id)) : refuse(404, `model: ${id}`)
}
