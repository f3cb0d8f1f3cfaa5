import type { JsonObject } from '../core/request.ts'
import { digestHex, type Digest } from './digest.ts'
import type { Answer, Endpoint, RowError } from './endpoint.ts'
import type { Trigger } from './triggers.ts'

/** A request a provider can be asked to execute. */
export interface Executable {
  readonly endpoint: Endpoint
  readonly body: JsonObject
  readonly model: string
  readonly digest: Digest
  readonly trigger: Trigger | undefined
  /** Seconds since the epoch. */
  readonly createdAt: number
}

export type Outcome =
  | { readonly kind: 'answered'; readonly status: 200; readonly body: Answer }
  | ({ readonly kind: 'refused' } & RowError)

/** A provider's own envelope around the usual words for a status nobody explained. */
export type ErrorBody = (status: number, message: string) => Answer

/** The error this request gets, without the work of an answer; undefined: it will be answered. */
export function verdictOn(
  { endpoint, body, trigger }: Pick<Executable, 'endpoint' | 'body' | 'trigger'>,
  errorBody: ErrorBody,
): RowError | undefined {
  const problem = endpoint.check(body)
  if (problem) return problem
  if (trigger?.kind !== 'status') return undefined
  const { status } = trigger
  return { status, body: errorBody(status, `The request asked to be answered with ${status}`) }
}

export function execute(executable: Executable, errorBody: ErrorBody): Outcome {
  const verdict = verdictOn(executable, errorBody)
  if (verdict) return { kind: 'refused', ...verdict }
  const { endpoint, body, model, digest, trigger, createdAt } = executable
  const context = { digest: digestHex(digest), model, createdAt, wantsTool: trigger?.kind === 'tool' }
  return { kind: 'answered', status: 200, body: endpoint.answer(body, context) }
}
