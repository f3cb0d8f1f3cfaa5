import { modelOf, type Endpoint } from '../endpoint.ts'
import type { ErrorBody } from '../execute.ts'
import { isObject, parseJson } from '../json.ts'
import { playLive } from '../live.ts'
import { boundaryOf } from '../multipart.ts'
import { readText, type Exchange, type Reply, type World } from '../provider.ts'
import { findTrigger } from '../triggers.ts'
import { readFields } from './upload.ts'

/** Ends a handler with an error in the provider's own envelope; by default a 400. */
export type Refuse = (message: string, param?: string | null, code?: string | null, status?: number) => never

export interface LiveRules {
  readonly isModel: (name: string) => boolean
  readonly errorBody: ErrorBody
  readonly refuse: Refuse
  /** Whether forms are read too. Default false. */
  readonly forms?: boolean
}

/** Answers a realtime call. */
export async function answerLive(
  world: World,
  endpoint: Endpoint,
  { account, headers, body: input }: Exchange,
  { isModel, errorBody, refuse, forms = false }: LiveRules,
): Promise<Reply> {
  const boundary = forms ? boundaryOf(headers['content-type']) : undefined
  const text =
    boundary === undefined
      ? await readText(input)
      : JSON.stringify(Object.fromEntries(await readFields(input, boundary)))
  const body = parseJson(text)
  if (!isObject(body)) {
    return refuse(
      'We could not parse the JSON body of your request. (HINT: This likely means you are not using your HTTP library correctly. The API expects a JSON payload.)',
    )
  }
  const model = modelOf(endpoint, body)
  if (model === undefined) return refuse('you must provide a model parameter')
  if (!isModel(model)) {
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
  return playLive(world, account, { endpoint, body, model }, trigger, errorBody)
}
