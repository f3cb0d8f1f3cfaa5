import type { JsonObject } from '../../core/request.ts'
import { modelOf } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { playLive } from '../live.ts'
import { jsonReply, readText, type Exchange, type Reply, type World } from '../provider.ts'
import { findTrigger } from '../triggers.ts'
import { errorEnvelope, refuse } from './envelope.ts'
import { inputTokens } from './message.ts'
import { messagesEndpoint, rulesOf } from './messages.ts'
import { isModel } from './models.ts'

/** POST /v1/messages */
export async function answerLive(world: World, { account, headers, query, body: input }: Exchange): Promise<Reply> {
  const text = await readText(input)
  const body = asObject(text)
  const trigger = findTrigger(text)
  if (trigger?.kind === 'invalid') return refuse(400, 'The request asked to be invalid.')
  const endpoint = messagesEndpoint(rulesOf(headers, query, 'live'), world.models)
  const call = { endpoint, body, model: modelOf(endpoint, body) ?? '' }
  return playLive(world, account, call, trigger, (status, message) => ({ ...errorEnvelope(status, message) }))
}

/** POST /v1/messages/count_tokens */
export async function countTokens(world: World, { body: input }: Exchange): Promise<Reply> {
  const body = asObject(await readText(input))
  const { model, messages } = body
  if (typeof model !== 'string') return refuse(400, 'model: Field required')
  if (!isModel(model, world.models)) return refuse(404, `model: ${model}`)
  if (!Array.isArray(messages)) return refuse(400, 'messages: Field required')
  return jsonReply(200, { input_tokens: inputTokens(body) })
}

function asObject(text: string): JsonObject {
  const body = parseJson(text)
  return isObject(body) ? body : refuse(400, 'The request body is not valid JSON')
}
