import { randomBytes } from 'node:crypto'
import { jsonReply, Refusal, type Reply } from '../provider.ts'

/** What an Anthropic error says; `request_id` as in the SDK's type `ErrorResponse`. */
export interface ErrorEnvelope {
  readonly type: 'error'
  readonly error: { readonly type: string; readonly message: string }
  readonly request_id: string
}

/** Anthropic's documentation, "Errors": one type for each status. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [409, 'conflict_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [500, 'api_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
])

export function errorEnvelope(status: number, message: string): ErrorEnvelope {
  const type = TYPES.get(status) ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
  return { type: 'error', error: { type, message }, request_id: newRequestId() }
}

/** The body and the header name the same request. */
export function errorReply(status: number, message: string): Reply {
  const envelope = errorEnvelope(status, message)
  return { ...jsonReply(status, envelope), headers: { 'request-id': envelope.request_id } }
}

/** Ends a handler with an error. */
export function refuse(status: number, message: string): never {
  throw new Refusal(errorReply(status, message))
}

function newRequestId(): string {
  return `req_${randomBytes(12).toString('hex')}`
}
