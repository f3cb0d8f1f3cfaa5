import type { RowError } from '../endpoint.ts'
import { jsonReply, Refusal, type Reply } from '../provider.ts'

/** What an OpenAI error says. */
export interface OpenAIError {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

export function invalidRequest(message: string, param: string | null = null, code: string | null = null): OpenAIError {
  return { message, type: 'invalid_request_error', param, code }
}

/** The same as the answer to one request. */
export function badRequest(message: string, param: string | null = null, code: string | null = null): RowError {
  return { status: 400, body: { error: invalidRequest(message, param, code) } }
}

/** The usual words for a status nobody explained. */
export function errorOfStatus(status: number, message: string): OpenAIError {
  if (status === 401) return invalidRequest(message, null, 'invalid_api_key')
  if (status === 429) return { message, type: 'requests', param: null, code: 'rate_limit_exceeded' }
  if (status >= 500) return { message, type: 'server_error', param: null, code: null }
  return invalidRequest(message)
}

export function errorReply(status: number, error: OpenAIError): Reply {
  return jsonReply(status, { error })
}

/** Ends a handler with a 400 (or another status). */
export function refuse(message: string, param: string | null = null, code: string | null = null, status = 400): never {
  throw new Refusal(errorReply(status, invalidRequest(message, param, code)))
}
