import type { JsonObject } from '../../core/request.ts'
import { modelOf, type Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { playLive } from '../live.ts'
import { boundaryOf } from '../multipart.ts'
import { readFields } from '../openai-like/upload.ts'
import { readText, type Exchange, type Reply, type World } from '../provider.ts'
import { findTrigger } from '../triggers.ts'
import { errorBody, refuse, refuseDetail } from './envelope.ts'

/** Answers a realtime call. */
export async function answerLive(world: World, endpoint: Endpoint, exchange: Exchange): Promise<Reply> {
  const text = await textOf(exchange)
  const body = asObject(text)
  const trigger = findTrigger(text)
  if (trigger?.kind === 'invalid') return refuse(422, 'The request asked to be invalid.')
  if (body['stream'] === true && !endpoint.events) return refuse(400, `${endpoint.path} does not stream here.`)
  return playLive(world, exchange.account, { endpoint, body, model: modelOf(endpoint, body) ?? '' }, trigger, errorBody)
}

/** JSON, or a form: the SDK sends one for each transcription, also where the recording is elsewhere. */
async function textOf({ headers, body }: Exchange): Promise<string> {
  const boundary = boundaryOf(headers['content-type'])
  return boundary === undefined ? readText(body) : JSON.stringify(Object.fromEntries(await readFields(body, boundary)))
}

export function asObject(text: string): JsonObject {
  const body = parseJson(text)
  return isObject(body) ? body : refuseDetail({ type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error' })
}
