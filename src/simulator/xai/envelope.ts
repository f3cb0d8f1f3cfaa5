import type { Answer } from '../endpoint.ts'
import { jsonReply, Refusal, type Reply } from '../provider.ts'

/** How xAI names a status: with the words of the gRPC code behind it. */
const CODES: Readonly<Record<number, string>> = {
  400: 'Client specified an invalid argument',
  401: 'The request does not have valid authentication credentials for the operation',
  403: 'The caller does not have permission to execute the specified operation',
  404: 'Some requested entity was not found',
  413: 'Operation was attempted past the valid range',
  429: 'Some resource has been exhausted',
  503: 'The service is currently unavailable',
}

/** `{"code": …, "error": …}`: both are text (@ai-sdk/xai, `xai-error.ts`). */
export function errorBody(status: number, message: string): Answer {
  return { code: CODES[status] ?? 'Internal error', error: message }
}

export function errorReply(status: number, message: string): Reply {
  return jsonReply(status, errorBody(status, message))
}

export function refuse(message: string, _param?: string | null, _code?: string | null, status = 400): never {
  throw new Refusal(errorReply(status, message))
}
