import { z } from 'zod'
import type { Call, ProviderAdapter, TaggedBatch } from '../core/adapter.ts'
import type { Intent, JobResult } from '../core/batch.ts'
import { NetworkError } from '../core/errors.ts'
import type { JsonObject } from '../core/request.ts'
import { partsOf, refuseBody } from './gemini/admission.ts'
import { downloadResults, resourcePath, uploadInput } from './gemini/files.ts'
import {
  createdMs,
  displayNameOf,
  type Kept,
  keptOf,
  Operation,
  OperationList,
  readOutput,
  toState,
} from './gemini/operation.ts'
import { readRefusal } from './gemini/refusal.ts'
import { createRowReader, fileRow, inlineRow, partRows } from './gemini/rows.ts'
import { ownErrorBody } from './gemini/rpc-status.ts'
import { type JsonSchemaSetting, withResponseSchema } from './gemini/structured-output.ts'
import { geminiStub } from './gemini/stub.ts'
import { readUsage } from './gemini/usage.ts'
import { findListed, mapPages, turnPages } from './toolkit/look-up.ts'
import { askFor, pollEach } from './toolkit/poll.ts'
import { readLines } from './toolkit/read-lines.ts'
import { discard, postJson, readReply } from './toolkit/replies.ts'

/*
 * The Batch API of Gemini (AI Studio). Facts from ai.google.dev/api/batch-api and /gemini-api/docs/batch-api, the types and requests of
 * @google/genai 3.1, the AI SDK's google-batch.ts (4.0) and recordings of crmne/ruby_llm (2026-08), read 2026-11; what they leave open is marked.
 *
 * The model and the API version stand in the URL, and a row is the caller's body as written for that version. So every call of ours stays
 * below the caller's own version, as the official SDK does it for its own batches; documented is v1beta, the SDK's default is v1.
 */

/** What a live method becomes. */
const METHODS = new Map([
  ['generateContent', 'batchGenerateContent'],
  ['embedContent', 'asyncBatchEmbedContent'],
  ['batchEmbedContents', 'asyncBatchEmbedContent'],
])
const LIVE = /^\/models\/([^/:]+):(\w+)$/

/** Before our tag in a batch's display name. */
const DISPLAY_NAME = 'offpeak-'
/** An entry may hold the whole output of its batch, twice: a page should not hold too many of them, and may take as long as its bytes take. */
const PAGE_SIZE = 25

/** A create with its rows in it may have 20 MB [docs]; the AI SDK stops at 20,000,000 bytes. What surrounds the rows fits in the rest. */
const INLINE_BYTES = 19_000_000
/**
 * Inline rows come back in every look at their batch, twice: 150 images made it unreadable for good [Google AI forum 174261]. So only small
 * batches of text go inline.
 */
const INLINE_ROWS = 100
const MEDIA_MODEL = /image|audio|tts|video|music|veo|lyria/

const Settings = z.strictObject({ jsonSchema: z.enum(['convert', 'live', 'send']).default('convert') })

function createGemini(jsonSchema: JsonSchemaSetting): ProviderAdapter {
  return {
    name: 'gemini',
    facts: {
      title: 'Gemini',
      endpoints: ['models.generateContent', 'models.embedContent', 'models.batchEmbedContents'],
      discount: '50 %, cached tokens at their usual price',
      recoveredBy: 'display name',
      passesThrough: [
        '`streamGenerateContent`',
        'interactions, Live, `predict`, `countTokens`',
        '`responseJsonSchema` that does not fit `responseSchema`',
        '`serviceTier` other than `standard`',
      ],
    },
    bases: ['v1beta', 'v1', 'v1alpha'].map((version) => `https://generativelanguage.googleapis.com/${version}`),
    prefixes: ['/v1beta', '/v1', '/v1alpha'],
    baseUrlEnv: 'GOOGLE_GEMINI_BASE_URL',
    limits: {
      // Rows are not limited, as far as anything documents; this bounds what a lost batch may cost.
      jobs: 50_000,
      // 2 GB [docs], less a margin.
      bytes: 1_900_000_000,
      // What a live call may hold inline since January 2026 [blog.google: gemini-api-new-file-limits].
      bytesPerJob: 100_000_000,
      windows: ['24h'],
      // Its batches carry none, so none is too much: events have it all the same.
      metadata: {
        pairs: Number.POSITIVE_INFINITY,
        keyLength: Number.POSITIVE_INFINITY,
        valueLength: Number.POSITIVE_INFINITY,
      },
    },
    mixes: 'nothing',
    credentials: {
      headers: ['x-goog-api-key', 'authorization', 'x-goog-user-project'],
      env: 'GEMINI_API_KEY',
      // In the order of the official SDK; the last is the AI SDK's.
      fromEnvironment({ GOOGLE_API_KEY, GEMINI_API_KEY, GOOGLE_GENERATIVE_AI_API_KEY }) {
        const keys = [GOOGLE_API_KEY, GEMINI_API_KEY, GOOGLE_GENERATIVE_AI_API_KEY].map((key) => key?.trim())
        const key = keys.find((found) => found)
        return key ? [['x-goog-api-key', key]] : undefined
      },
    },
    // SDKs read none, and rows have none.
    requestIdHeader: 'x-request-id',
    configure: (settings) => createGemini(Settings.parse(settings).jsonSchema),

    match({ method }, path) {
      const [, model, endpoint = ''] = (method === 'POST' && LIVE.exec(path)) || []
      return model === undefined || !METHODS.has(endpoint) ? undefined : { endpoint, model: decoded(model) }
    },

    carry(name, value) {
      // Who asks, how long they wait, and which part of a reply they want: none of it is about our calls.
      if (/^x-(?:goog-(?:api-client|request-params|fieldmask)|server-timeout)$/.test(name)) return undefined
      return name === 'cookie' && value.trim() === '' ? undefined : value
    },

    admit: (body, target) => refuseBody(body, target, jsonSchema),

    weigh: (body, target) => Math.max(1, partsOf(body, target).length),

    refusal: readRefusal,

    line({ customId, endpoint, body }) {
      if (endpoint === 'batchEmbedContents') return partRows(customId, body)
      return fileRow(customId, jsonSchema === 'convert' ? withResponseSchema(body) : body)
    },

    async upload(intent, input, call) {
      // Whether inline rows of embeddings keep their keys nobody has shown [choice].
      const isText = intent.endpoint === 'generateContent' && !MEDIA_MODEL.test(intent.model)
      if (isText && input.jobs <= INLINE_ROWS && input.bytes <= INLINE_BYTES) return {}
      return { file: await uploadInput(`${DISPLAY_NAME}${intent.tag}-input`, input, call) }
    },

    async create(intent, upload, input, call) {
      const displayName = JSON.stringify(DISPLAY_NAME + intent.tag)
      const source =
        typeof upload?.file === 'string'
          ? `"fileName":${JSON.stringify(upload.file)}`
          : `"requests":{"requests":[${await inlineRows((await input()).blob)}]}`
      const path = `/models/${encodeURIComponent(intent.model)}:${METHODS.get(intent.endpoint) ?? 'batchGenerateContent'}`
      const reply = await postJson(path, `{"batch":{"displayName":${displayName},"inputConfig":{${source}}}}`, call)
      return toState(await readReply(reply, Operation), keptFor(intent, upload))
    },

    find: (intent, call) =>
      findListed(
        mapPages(listPages(call), (operation) => ({
          isOurs: displayNameOf(operation) === DISPLAY_NAME + intent.tag,
          state: toState(operation, keptFor(intent, intent.upload)),
          createdMs: createdMs(operation) ?? Number.POSITIVE_INFINITY,
        })),
        intent,
      ),

    async *list(call): AsyncGenerator<TaggedBatch> {
      for await (const operations of listPages(call)) {
        for (const operation of operations) {
          const name = displayNameOf(operation)
          if (!name?.startsWith(DISPLAY_NAME)) continue
          const tag = name.slice(DISPLAY_NAME.length)
          yield { tag, state: toState(operation, {}), createdAt: createdMs(operation) }
        }
      }
    },

    // One by one: a page of the list may hold the whole output of every batch on it.
    poll: (handles, call) =>
      pollEach(handles, (handle) =>
        askFor(resourcePath(handle.id), call, Operation, (operation) => toState(operation, keptOf(handle))),
      ),

    async *results({ id }, call): AsyncGenerator<readonly JobResult[]> {
      const read = createRowReader()
      const { rows, file } = readOutput(await operationText(id, call))
      if (rows.length > 0) yield rows.flatMap(read)
      if (file === undefined) return
      for await (const lines of readLines(await downloadResults(file, call))) yield lines.flatMap(read)
    },

    async cancel({ id }, call) {
      await discard(await postJson(`${resourcePath(id)}:cancel`, '{}', call))
    },

    // Results stay with their batch until Google deletes both.
    async release({ inputFile }, call) {
      if (typeof inputFile !== 'string') return
      await discard(await call.send({ method: 'DELETE', path: resourcePath(inputFile) }))
    },

    envelope: ({ status, code, message }) => ownErrorBody(status, code, message),

    stub: geminiStub,

    usage: readUsage,
  }
}

export const gemini: ProviderAdapter = createGemini('convert')

function decoded(model: string): string {
  try {
    return decodeURIComponent(model)
  } catch {
    return model
  }
}

async function inlineRows(blob: Blob): Promise<string> {
  const lines = (await blob.text()).split('\n').filter((line) => line !== '')
  return lines.map(inlineRow).join(',')
}

function keptFor({ endpoint }: Intent, upload: JsonObject | undefined): Kept {
  return {
    ...(typeof upload?.file === 'string' ? { inputFile: upload.file } : {}),
    isSplit: endpoint === 'batchEmbedContents',
  }
}

function listPages(call: Call): AsyncGenerator<readonly Operation[]> {
  return turnPages(async (pageToken) => {
    const query = { pageSize: String(PAGE_SIZE), ...(pageToken === undefined ? {} : { pageToken }) }
    const reply = await call.send({ method: 'GET', path: '/batches', query, isTransfer: true })
    const page = await readReply(reply, OperationList)
    return { items: page.operations, next: page.nextPageToken || undefined }
  })
}

/** Read as text, so that rows can be handed on as they are written. */
async function operationText(id: string, call: Call): Promise<string> {
  const response = await call.send({ method: 'GET', path: resourcePath(id), isTransfer: true })
  try {
    const text = await response.text()
    JSON.parse(text)
    return text
  } catch (cause) {
    throw new NetworkError('the results are not whole', { cause })
  }
}
