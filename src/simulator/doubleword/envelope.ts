import type { Answer } from '../endpoint.ts'
import { errorOfStatus, errorReply, invalidRequest } from '../openai/envelope.ts'
import { jsonReply, Refusal, type Reply } from '../provider.ts'

/** Requests themselves are refused in OpenAI's envelope. */
export function errorBody(status: number, message: string): Answer {
  return { error: errorOfStatus(status, message) }
}

export function refuseRequest(
  message: string,
  param: string | null = null,
  code: string | null = null,
  status = 400,
): never {
  throw new Refusal(errorReply(status, invalidRequest(message, param, code)))
}

/** What the files and batches surface says is plain text (control-layer 10.13, `errors.rs`), except when there is no room. */
export function textReply(status: number, message: string): Reply {
  if (status === 429 || status === 503) return noRoom(status, message)
  return { status, body: { kind: 'text', text: message, type: 'text/plain; charset=utf-8' } }
}

const RETRY_SECONDS = 60

function noRoom(status: number, message: string): Reply {
  const error = status === 429 ? 'rate_limit_exceeded' : 'service_unavailable'
  const reply = jsonReply(status, { error, message, retry_after_seconds: RETRY_SECONDS })
  return { ...reply, headers: { 'retry-after': String(RETRY_SECONDS) } }
}

export function refuse(message: string, status = 400): never {
  throw new Refusal(textReply(status, message))
}
