import type { JsonObject } from '../../core/request.ts'
import { requestDigest } from '../digest.ts'
import { tokensOf, type Answer } from '../endpoint.ts'
import { execute, type Executable } from '../execute.ts'
import { isObject, parseJson } from '../json.ts'
import { playLive } from '../live.ts'
import { readText, type Exchange, type Reply, type World } from '../provider.ts'
import { findTrigger, type Trigger } from '../triggers.ts'
import { embedContent } from './embed-content.ts'
import { errorBody, googleReply, refuse } from './envelope.ts'
import { generateContent, streamed } from './generate-content.ts'
import {
  batchEmbedContentsRequest,
  countTokensRequest,
  embedContentRequest,
  generateContentRequest,
} from './messages.ts'
import { supports, type Method } from './models.ts'
import { complaint, readMessage, type Message } from './proto-json.ts'

/** A call of one model, as its path says. */
export interface ModelCall {
  readonly version: string
  readonly model: string
}

export async function answerGenerate(world: World, call: ModelCall, exchange: Exchange): Promise<Reply> {
  const { body, trigger } = await readCall(world, call, 'generateContent', generateContentRequest, exchange)
  const endpoint = generateContent(call.model, 'live')
  return playLive(world, exchange.account, { endpoint, body, model: call.model, streams: false }, trigger, errorBody)
}

/** Events with `alt=sse`, else one list of the same pieces. */
export async function answerStream(world: World, call: ModelCall, exchange: Exchange): Promise<Reply> {
  const { body, trigger } = await readCall(world, call, 'generateContent', generateContentRequest, exchange)
  const endpoint = generateContent(call.model, 'live')
  const events = exchange.query.get('alt') === 'sse'
  const reply = playLive(
    world,
    exchange.account,
    { endpoint, body, model: call.model, streams: events },
    trigger,
    errorBody,
  )
  if (events || reply.status !== 200 || reply.body.kind !== 'text') return reply
  const answer = parseJson(reply.body.text)
  return isObject(answer) ? googleReply(200, streamed(answer)) : reply
}

export async function answerEmbed(world: World, call: ModelCall, exchange: Exchange): Promise<Reply> {
  const { body, trigger } = await readCall(world, call, 'embedContent', embedContentRequest, exchange)
  const endpoint = embedContent(call.model, 'live')
  return playLive(world, exchange.account, { endpoint, body, model: call.model, streams: false }, trigger, errorBody)
}

/** Several embeddings in one call: each is an execution of its own, and if one of them fails, so do all. */
export async function answerBatchEmbed(world: World, call: ModelCall, exchange: Exchange): Promise<Reply> {
  const { body, trigger } = await readCall(world, call, 'embedContent', batchEmbedContentsRequest, exchange)
  const { model } = call
  const requests = Array.isArray(body['requests']) ? body['requests'].filter((request) => isObject(request)) : []
  if (requests.length === 0) return refuse(400, '* BatchEmbedContentsRequest.requests: requests is not specified')

  const endpoint = embedContent(model, 'live')
  const createdAt = Math.floor(world.clock.now() / 1000)
  const executables = requests.map(({ model: named, ...body }, index): Executable => {
    if (named !== `models/${model}`) {
      return refuse(400, `* BatchEmbedContentsRequest.requests[${index}].model: must be 'models/${model}'`)
    }
    return { endpoint, body, model, digest: requestDigest(endpoint.path, body), trigger, createdAt }
  })
  const outcomes = executables.map((executable) => execute(executable, errorBody))
  const failed = outcomes.find(({ kind }) => kind === 'refused')
  if (failed) {
    world.ledger.failed('live')
    return googleReply(failed.status, failed.body)
  }
  for (const { body, digest } of executables) {
    const describe = (): { model: string; prompt: string } => ({ model, prompt: endpoint.prompt(body) })
    world.ledger.executed({ way: 'live', account: exchange.account, endpoint: endpoint.path, digest, describe })
  }
  return googleReply(200, {
    embeddings: outcomes.map(({ body }) => body['embedding']),
    usageMetadata: { promptTokenCount: sumOf(executables.map(({ body }) => tokensOf(endpoint.prompt(body)))) },
  })
}

export async function countTokens(world: World, call: ModelCall, exchange: Exchange): Promise<Reply> {
  const { body } = await readCall(world, call, 'generateContent', countTokensRequest, exchange)
  const inner = body['generateContentRequest']
  const answer: Answer = generateContent(call.model, 'live').answer(isObject(inner) ? inner : body, {
    digest: '',
    model: call.model,
    createdAt: 0,
    wantsTool: false,
  })
  const usage = answer['usageMetadata']
  const tokens = isObject(usage) ? usage['promptTokenCount'] : 0
  return googleReply(200, { totalTokens: tokens, promptTokensDetails: [{ modality: 'TEXT', tokenCount: tokens }] })
}

interface ReadCall {
  /** Without the model, which is in the path. */
  readonly body: JsonObject
  readonly trigger: Trigger | undefined
}

async function readCall(
  world: World,
  { version, model }: ModelCall,
  method: Method,
  message: Message,
  { body: input }: Exchange,
): Promise<ReadCall> {
  const text = await readText(input)
  mustSupport(world, { version, model }, method, method)
  const parsed = parseJson(text)
  if (!isObject(parsed)) return refuse(400, 'Invalid JSON payload received. Unexpected end of string or token.')
  const { value, violations } = readMessage(parsed, message)
  if (violations.length > 0) {
    const { message, details } = complaint(violations)
    return refuse(400, message, details)
  }
  const trigger = findTrigger(text)
  if (trigger?.kind === 'invalid') return refuse(400, 'The request asked to be invalid.')
  const { model: _, ...body } = value
  return { body, trigger }
}

/** `called` is the method as the caller named it. */
export function mustSupport(world: World, { version, model }: ModelCall, method: Method, called: string): void {
  if (supports(model, method, world.models)) return
  refuse(
    404,
    `models/${model} is not found for API version ${version}, or is not supported for ${called}. Call ModelService.ListModels to see the list of available models and their supported methods.`,
  )
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
