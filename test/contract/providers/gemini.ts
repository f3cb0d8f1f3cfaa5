import type { JsonObject } from '../../../src/core/request.ts'
import type { Subject } from './subject.ts'

const generate = (text: string): JsonObject => ({ contents: [{ role: 'user', parts: [{ text }] }] })
const embed = (text: string): JsonObject => ({
  model: 'models/gemini-embedding-001',
  content: { parts: [{ text }] },
  outputDimensionality: 8,
})

const GENERATE = '/models/gemini-2.5-flash:generateContent'
const EMBED = '/models/gemini-embedding-001:embedContent'
const EMBED_MANY = '/models/gemini-embedding-001:batchEmbedContents'

export const gemini: Subject = {
  name: 'gemini',
  path: GENERATE,
  bodyFor: generate,
  rejected: generate('[[simulate:400]]'),
  requests: {
    [GENERATE]: generate('hello'),
    [EMBED]: embed('hello'),
    [EMBED_MANY]: { requests: [embed('one'), embed('two'), embed('three')] },
  },
  others: [
    ['GET', GENERATE],
    ['POST', '/models/gemini-2.5-flash:streamGenerateContent'],
    ['POST', '/models/gemini-2.5-flash:countTokens'],
    ['POST', '/models/gemini-2.5-flash:batchGenerateContent'],
    ['POST', '/models/gemini-embedding-001:asyncBatchEmbedContent'],
    ['POST', '/models/imagen-4.0-generate-001:predict'],
    ['POST', '/models/veo-3.1-generate-preview:predictLongRunning'],
    ['POST', '/models/gemini-2.5-flash:generateContent/'],
    ['POST', '/models/gemini-2.5-flash:GenerateContent'],
    ['POST', '/models/:generateContent'],
    ['POST', '/tunedModels/mine:generateContent'],
    ['POST', '/models/gemini-2.5-flash'],
    ['GET', '/models'],
    ['POST', '/interactions'],
    ['GET', '/batches'],
    ['GET', '/batches/abc'],
    ['POST', '/batches/abc:cancel'],
    ['DELETE', '/batches/abc'],
    ['GET', '/files/abc'],
    ['GET', '/files/abc:download'],
    ['POST', '/cachedContents'],
    ['POST', ''],
  ],
  keyHeaders: (key) => [['x-goog-api-key', key]],
  readLine(line) {
    const { key: customId, request: body } = line as { key: unknown; request: unknown } // our own line
    return { customId, body }
  },
  requestIds: false,
  // "The job will not have any results to retrieve" [ai.google.dev/gemini-api/docs/batch-api, of expired jobs].
  expired: { outcome: 'expired', rest: 'all-missing' },
  cancelled: { outcome: 'cancelled', rest: 'missing' },
  invalid: { by: 'create', body: '{"stream":true}', line: 2 },
  pollsOneByOne: true,
  unknownBatch: (n) => `batches/unknown${n}`,
  uploadPath: EMBED,
  upload: {},
  stateReply: (state) => ({ name: 'batches/B1', metadata: { state } }),
}
