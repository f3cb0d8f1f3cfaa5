import type { JsonObject } from '../core/request.ts'
import { requestDigest } from './digest.ts'
import type { Endpoint } from './endpoint.ts'
import { execute, type ErrorBody } from './execute.ts'
import { jsonReply, type Account, type Reply, type World } from './provider.ts'
import type { Trigger } from './triggers.ts'

/** A realtime call its provider has let in. */
export interface LiveCall {
  readonly endpoint: Endpoint
  readonly body: JsonObject
  readonly model: string
  /** Default: what the body's `stream` says. */
  readonly streams?: boolean
}

/** Executes a realtime call, and answers it as a whole or as events. */
export function playLive(
  world: World,
  account: Account,
  { endpoint, body, model, streams = body['stream'] === true }: LiveCall,
  trigger: Trigger | undefined,
  errorBody: ErrorBody,
): Reply {
  const digest = requestDigest(endpoint.path, body)
  const createdAt = Math.floor(world.clock.now() / 1000)
  const outcome = execute({ endpoint, body, model, digest, trigger, createdAt }, errorBody)
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
