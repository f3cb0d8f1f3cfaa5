import type { ProviderAdapter, Refusal, TaggedBatch } from '../core/adapter.ts'
import type { HeaderPair } from '../core/request.ts'
import { deleteInput, readFiles, uploadFile } from './toolkit/files.ts'
import { findListed, mapPages } from './toolkit/look-up.ts'
import { createBody, listedAs, OpenaiBatch, OUT_OF_MONEY, stateOf, taggedOf } from './toolkit/openai-batch.ts'
import { openaiEnvelope } from './toolkit/openai-envelope.ts'
import { LIST_LIMIT, listPages } from './toolkit/openai-list.ts'
import { inputLine, outputRow } from './toolkit/openai-rows.ts'
import { askFor, pollFromList } from './toolkit/poll.ts'
import { discard, postJson, readReply } from './toolkit/replies.ts'
import { openaiStub } from './toolkit/stub-openai.ts'
import { readUsage } from './toolkit/usage.ts'

/*
 * OpenAI's Batch API. Facts from the OpenAPI description (openai/openai-openapi), the types of the `openai` SDK 7.55 and
 * https://platform.openai.com/docs/guides/batch, read 2026-11; what they leave open is marked.
 */

/** Path after the base URL → what a batch line names. JSON endpoints only; videos are not answered by a JSON reply to one call. */
const ENDPOINTS = new Map([
  ['/responses', '/v1/responses'],
  ['/chat/completions', '/v1/chat/completions'],
  ['/embeddings', '/v1/embeddings'],
  ['/completions', '/v1/completions'],
  ['/moderations', '/v1/moderations'],
  ['/images/generations', '/v1/images/generations'],
  ['/images/edits', '/v1/images/edits'],
])

/**
 * What the HTTP status of a refused upload or create does not tell. What has no money behind it is a 429, too: waiting does not help
 * (https://help.openai.com/en/articles/6614457).
 */
const REFUSALS: ReadonlyMap<string, Refusal> = new Map<string, Refusal>([
  ['billing_not_active', 'account'],
  ['account_deactivated', 'account'],
  ...OUT_OF_MONEY.map((code): [string, Refusal] => [code, 'account']),
  // Not documented; a 400 or 413 by any of these names says the same.
  ['file_too_large', 'too-large'],
  ['too_many_tasks', 'too-large'],
])

export const openai: ProviderAdapter = {
  name: 'openai',
  facts: {
    title: 'OpenAI',
    endpoints: [...ENDPOINTS.values()],
    discount: '50 %',
    recoveredBy: 'metadata',
    passesThrough: [
      '`stream: true`',
      '`background: true`',
      '`service_tier` other than `auto` and `default`',
      'audio, videos, files',
    ],
  },
  bases: ['', 'us.', 'eu.', 'ae.', 'au.', 'in.', 'jp.'].map((region) => `https://${region}api.openai.com/v1`),
  baseUrlEnv: 'OPENAI_BASE_URL',
  limits: {
    jobs: 50_000,
    bytes: 200_000_000,
    bytesPerJob: 200_000_000,
    windows: ['24h'],
    metadata: { pairs: 16, keyLength: 64, valueLength: 512 },
  },
  mixes: 'nothing',
  credentials: {
    headers: ['authorization', 'openai-organization', 'openai-project'],
    env: 'OPENAI_API_KEY',
    fromEnvironment(env) {
      const key = env.OPENAI_API_KEY?.trim()
      if (!key) return undefined
      const further: readonly HeaderPair[] = [
        ['openai-organization', env.OPENAI_ORG_ID ?? ''],
        ['openai-project', env.OPENAI_PROJECT_ID ?? ''],
      ]
      return [['authorization', `Bearer ${key}`], ...further.filter(([, value]) => value !== '')]
    },
  },
  requestIdHeader: 'x-request-id',
  refusal: ({ code }) => (code === undefined ? undefined : REFUSALS.get(code)),

  match({ method }, path) {
    const endpoint = method === 'POST' ? ENDPOINTS.get(path) : undefined
    return endpoint === undefined ? undefined : { endpoint }
  },

  admit(body) {
    if (body.background === true)
      return 'background: true answers at once and runs elsewhere, which a batch cannot wait for'
    const tier = body.service_tier
    if (typeof tier === 'string' && tier !== 'auto' && tier !== 'default') {
      return `service_tier "${tier}" asks for a price and pace of its own`
    }
    return undefined
  },

  // The limit on embedding inputs is over the whole file, not over its rows.
  weigh(body, { endpoint }) {
    const { input } = body
    if (endpoint !== '/v1/embeddings' || !Array.isArray(input) || typeof input[0] === 'number') return 1
    return Math.max(1, input.length)
  },

  line: inputLine,

  upload: (_intent, input, call) => uploadFile('/files', { purpose: 'batch' }, input, call),

  async create(intent, upload, _input, call) {
    const reply = await postJson('/batches', createBody(intent, upload?.fileId), call)
    return stateOf(await readReply(reply, OpenaiBatch))
  },

  find: (intent, call) =>
    findListed(
      mapPages(listPages(call), (batch) => listedAs(intent.tag, batch, stateOf)),
      intent,
    ),

  async *list(call): AsyncGenerator<TaggedBatch> {
    for await (const batches of listPages(call)) yield* taggedOf(batches, stateOf)
  },

  poll: (handles, call) =>
    pollFromList(handles, { read: () => mapPages(listPages(call), stateOf), size: LIST_LIMIT }, ({ id }) =>
      askFor(`/batches/${encodeURIComponent(id)}`, call, OpenaiBatch, stateOf),
    ),

  results: (handle, call) => readFiles(handle, call, outputRow),

  async cancel({ id }, call) {
    await discard(await call.send({ method: 'POST', path: `/batches/${encodeURIComponent(id)}/cancel` }))
  },

  release: deleteInput,
  envelope: openaiEnvelope,
  stub: openaiStub,
  usage: readUsage,
}
