import { modelOf, type Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { playLive } from '../live.ts'
import { readText, type Exchange, type Reply, type World } from '../provider.ts'
import { findTrigger } from '../triggers.ts'
import { errorOfStatus, refuse } from './envelope.ts'
import { isModel } from './models.ts'

/** Answers a realtime call. */
export async function answerLive(world: World, endpoint: Endpoint, { account, body: input }: Exchange): Promise<Reply> {
  const text = await readText(input)
  const body = parseJson(text)
  if (!isObject(body)) {
    return refuse(
      'We could not parse the JSON body of your request. (HINT: This likely means you are not using your HTTP library correctly. The API expects a JSON payload.)',
    )
  }
  const model = modelOf(endpoint, body)
  if (model === undefined) return refuse('you must provide a model parameter')
  if (!isModel(model, world.models)) {
    return refuse(
      `The model \`${model}\` does not exist or you do not have access to it.`,
      null,
      'model_not_found',
      404,
    )
  }
  const trigger = findTrigger(text)
  if (trigger?.kind === 'invalid') return refuse('The request asked to be invalid.')
  if (body['stream'] === true && !endpoint.events)
    return refuse(`${endpoint.path} does not stream here.`, 'stream', 'unsupported_value')

  const row = { endpoint, body, model }
  return playLive(world, account, row, trigger, (status, message) => ({ error: errorOfStatus(status, message) }))
}
