import type { Json } from '../../core/request.ts'
import type { Answer, RowError } from '../endpoint.ts'
import { randomHex } from '../openai-like/wire.ts'
import { jsonReply, Refusal, type Reply } from '../provider.ts'

/** One complaint of a validation, as the SDK's type `ValidationError` has it. */
export interface Detail {
  readonly type: string
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly input?: Json | undefined
}

/**
 * Mistral words its errors in four ways: a gateway's `message`, a router's `detail`, a validation's list of details (422), and for all
 * else an `object: 'error'` (users' reports: elasticsearch #128538, openclaude #739, langchaingo #1233; codes of 5xx uncertain).
 */
export function errorBody(status: number, message: string): Answer {
  switch (status) {
    case 401:
      return { message: 'Unauthorized', request_id: randomHex(16) }
    case 404:
      return { detail: message }
    case 422:
      return { detail: [{ type: 'value_error', loc: ['body'], msg: message }] }
    case 429:
      return errorObject('Rate limit exceeded', 'rate_limited', '1300')
    default:
      return status >= 500
        ? errorObject(message, 'internal_server_error', '3000')
        : errorObject(message, 'invalid_request_error', null)
  }
}

function errorObject(message: string, type: string, code: string | null): Answer {
  return { object: 'error', message, type, param: null, code }
}

export function invalidModel(model: string): RowError {
  return { status: 400, body: errorObject(`Invalid model: ${model}`, 'invalid_model', '1500') }
}

export function invalid(detail: Detail): RowError {
  return { status: 422, body: { detail: [detail] } }
}

export function errorReply(status: number, message: string): Reply {
  return jsonReply(status, errorBody(status, message))
}

/** Ends a handler with an error. */
export function refuse(status: number, message: string): never {
  throw new Refusal(errorReply(status, message))
}

/** Ends a handler with a 422. */
export function refuseDetail(detail: Detail): never {
  const { status, body } = invalid(detail)
  throw new Refusal(jsonReply(status, body))
}
