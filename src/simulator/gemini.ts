import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { PREFIX } from './gemini/address.ts'
import { createBatches } from './gemini/batches.ts'
import { errorBody, googleReply, refuse } from './gemini/envelope.ts'
import { createFiles } from './gemini/files.ts'
import {
  answerBatchEmbed,
  answerEmbed,
  answerGenerate,
  answerStream,
  countTokens,
  type ModelCall,
} from './gemini/live.ts'
import { LISTED_MODELS, modelResource, supports } from './gemini/models.ts'
import { pageOf } from './gemini/paging.ts'
import { createUploads } from './gemini/uploads.ts'
import type { Operation } from './operation.ts'
import type { Account, Exchange, ProviderSurface, Reply, SurfaceDefinition, World } from './provider.ts'
import { findRoute, type RouteLine } from './routes.ts'

/** A key that Google would not know begins with this. */
const UNKNOWN_KEY = 'sk-invalid'

/**
 * The Gemini API of AI Studio, live and batch, written from its reference and its SDK's types, independently of the adapter.
 * Any key is let in, except those that begin with `sk-invalid`.
 */
export const gemini: SurfaceDefinition = {
  name: 'gemini',
  prefix: PREFIX,
  env: { baseUrl: 'GOOGLE_GEMINI_BASE_URL', key: 'GEMINI_API_KEY' },
  open: openSurface,
}

function openSurface(world: World): ProviderSurface {
  const files = createFiles(world)
  const uploads = createUploads(world, files)
  const batches = createBatches(world, files)
  const models = [...LISTED_MODELS, ...world.models]

  const routes: readonly RouteLine[] = [
    ['POST', path`/upload/${V}/files`, 'upload', (exchange, version) => uploads.receive(exchange, version)],
    ['PUT', path`/upload/${V}/files`, 'upload', (exchange, version) => uploads.receive(exchange, version)],
    ['GET', path`/${V}/files`, 'file-list', (exchange) => files.list(exchange)],
    ['GET', path`/${V}/files/${ID}`, 'file', (exchange, _, id) => files.get(exchange, id)],
    ['DELETE', path`/${V}/files/${ID}`, 'delete', (exchange, _, id) => files.remove(exchange, id)],
    ['GET', path`/${V}/files/${ID}:download`, 'results', (exchange, _, id) => files.download(exchange, id)],
    ['GET', path`/download/${V}/files/${ID}:download`, 'results', (exchange, _, id) => files.download(exchange, id)],
    ['GET', path`/${V}/batches`, 'list', (exchange) => batches.list(exchange)],
    ['GET', path`/${V}/batches/${ID}`, 'poll', (exchange, _, id) => batches.get(exchange, id)],
    ['POST', path`/${V}/batches/${ID}:cancel`, 'cancel', (exchange, _, id) => batches.cancel(exchange, id)],
    ['DELETE', path`/${V}/batches/${ID}`, 'delete', (exchange, _, id) => batches.remove(exchange, id)],
    ['GET', path`/${V}/models`, 'models', async (exchange) => listModels(exchange)],
    ['GET', path`/${V}/models/${ID}`, 'models', async (_, version, id) => getModel(version, id)],
    method('generateContent', 'live', (call, exchange) => answerGenerate(world, call, exchange)),
    method('streamGenerateContent', 'live', (call, exchange) => answerStream(world, call, exchange)),
    method('embedContent', 'live', (call, exchange) => answerEmbed(world, call, exchange)),
    method('batchEmbedContents', 'live', (call, exchange) => answerBatchEmbed(world, call, exchange)),
    // Nobody pays for counting.
    method('countTokens', 'other', (call, exchange) => countTokens(world, call, exchange)),
    method('batchGenerateContent', 'create', (call, exchange) => batches.create(exchange, call, 'generateContent')),
    method('asyncBatchEmbedContent', 'create', (call, exchange) => batches.create(exchange, call, 'embedContent')),
  ]

  function listModels({ query }: Exchange): Reply {
    const { page, nextPageToken } = pageOf(models, query, 50, 1000)
    const shown = page.map((id) => modelResource(id, world.models))
    return googleReply(200, { models: shown, ...(nextPageToken === undefined ? {} : { nextPageToken }) })
  }

  function getModel(version: string, id: string): Reply {
    const known = supports(id, 'generateContent', world.models) || supports(id, 'embedContent', world.models)
    if (known) return googleReply(200, modelResource(id, world.models))
    return refuse(404, `models/${id} is not found for API version ${version}.`)
  }

  return {
    identify(headers, query) {
      const uploadId = query.get('upload_id')
      const uploader = uploadId === null ? undefined : uploads.accountOf(uploadId)
      return uploader ?? identify(headers, query)
    },
    // Google gives its replies no id.
    headers: () => ({ vary: 'Origin, X-Origin, Referer', 'server-timing': 'gfet4t7; dur=1' }),
    route: (method, path) => findRoute(routes, method, path),
    refuse: (status, message) => googleReply(status, errorBody(status, message)),
    settle: () => batches.settle(),
    close: () => batches.close(),
  }
}

/** All versions do the same here. */
const V = '(v1|v1beta|v1alpha)'
const ID = '([^/:]+)'

function path(texts: TemplateStringsArray, ...patterns: readonly string[]): RegExp {
  return new RegExp(`^${String.raw({ raw: texts }, ...patterns)}$`)
}

/** A call of one of a model's methods. */
function method(
  name: string,
  operation: Operation,
  answer: (call: ModelCall, exchange: Exchange) => Promise<Reply>,
): RouteLine {
  const pattern = path`/${V}/models/${ID}:${name}`
  return ['POST', pattern, operation, (exchange, version, model) => answer({ version, model }, exchange)]
}

/** The project of a key is billed; with OAuth, a header may name another. */
function identify(headers: IncomingHttpHeaders, query: URLSearchParams): Account | Reply {
  const key = headers['x-goog-api-key'] ?? query.get('key')
  const token = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const credential = key === null || key === '' ? token : String(key)
  if (credential === undefined) {
    const message =
      "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API."
    return googleReply(403, errorBody(403, message))
  }
  if (credential.startsWith(UNKNOWN_KEY)) return credential === token ? unknownToken() : unknownKey()
  const project = String(headers['x-goog-user-project'] ?? '')
  const hash = createHash('sha256').update(['gemini', credential, project].join('\0')).digest('hex').slice(0, 12)
  return { provider: 'gemini', hash, organization: project || 'project-simulator' }
}

/** Google calls a key it does not know an invalid argument [wire: cequence-io/openai-scala-client#109, continuedev/continue#10290]. */
function unknownKey(): Reply {
  const message = 'API key not valid. Please pass a valid API key.'
  const details = [
    {
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: 'API_KEY_INVALID',
      domain: 'googleapis.com',
      metadata: { service: 'generativelanguage.googleapis.com' },
    },
    { '@type': 'type.googleapis.com/google.rpc.LocalizedMessage', locale: 'en-US', message },
  ]
  return googleReply(400, errorBody(400, message, { details }))
}

function unknownToken(): Reply {
  const message =
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.'
  return googleReply(401, errorBody(401, message))
}
