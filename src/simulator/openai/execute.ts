import type { JsonObject } from '../../core/request.ts'
import { digestHex, type Digest } from '../digest.ts'
import type { Trigger } from '../triggers.ts'
import type { Answer, Endpoint } from './endpoint.ts'
import { errorOfStatus, type OpenAIError } from './envelope.ts'

/** A request OpenAI can be asked to execute. */
export interface Executable {
  readonly endpoint: Endpoint
  readonly body: JsonObject
  readonly digest: Digest
  readonly trigger: Trigger | undefined
  /** Seconds since the epoch. */
  readonly createdAt: number
}

export type Outcome =
  | { readonly kind: 'answered'; readonly status: 200; readonly body: Answer }
  | { readonly kind: 'refused'; readonly status: number; readonly body: { readonly error: OpenAIError } }

/** The error this request gets, without the work of an answer; undefined: it will be answered. */
export function verdictOn({
  endpoint,
  body,
  trigger,
}: Omit<Executable, 'digest' | 'createdAt'>): { readonly status: number; readonly error: OpenAIError } | undefined {
  const problem = endpoint.check(body)
  if (problem) return { status: 400, error: problem }
  if (trigger?.kind !== 'status') return undefined
  const { status } = trigger
  return { status, error: errorOfStatus(status, `The request asked to be answered with ${status}`) }
}

export function execute(executable: Executable): Outcome {
  const verdict = verdictOn(executable)
  if (verdict) return { kind: 'refused', status: verdict.status, body: { error: verdict.error } }
  const { endpoint, body, digest, trigger, createdAt } = executable
  const context = {
    digest: digestHex(digest),
    model: modelOf(endpoint, body) ?? '',
    createdAt,
    wantsTool: trigger?.kind === 'tool',
  }
  return { kind: 'answered', status: 200, body: endpoint.answer(body, context) }
}

export function modelOf(endpoint: Endpoint, body: JsonObject): string | undefined {
  const model = body['model'] ?? endpoint.defaultModel
  return typeof model === 'string' && model !== '' ? model : undefined
}
