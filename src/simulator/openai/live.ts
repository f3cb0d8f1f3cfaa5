import { requestDigest } from '../digest.ts'
import { isObject, parseJson } from '../json.ts'
import { jsonReply, readText, type Exchange, type Reply, type World } from '../provider.ts'
import { findTrigger } from '../triggers.ts'
import type { Endpoint } from './endpoint.ts'
import { refuse } from './envelope.ts'
import { execute, modelOf } from './execute.ts'
import { seconds } from './ids.ts'
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
  const streams = body['stream'] === true
  if (streams && !endpoint.events)
    return refuse(`${endpoint.path} does not stream here.`, 'stream', 'unsupported_value')

  const digest = requestDigest(endpoint.path, body)
  const createdAt = seconds(world.clock.now())
  const outcome = execute({ endpoint, body, digest, trigger, createdAt })
  if (outcome.kind === 'refused') {
    world.ledger.failed('live')
    return jsonReply(outcome.status, outcome.body)
  }
  world.ledger.executed({
    way: 'live',
    account,
    endpoint: endpoint.path,
    digest,
    describe: () => ({ model, prompt: endpoint.prompt(body) }),
  })
  if (!streams || !endpoint.events) return jsonReply(200, outcome.body)
  return { status: 200, body: { kind: 'events', events: endpoint.events(outcome.body, body) } }
}
