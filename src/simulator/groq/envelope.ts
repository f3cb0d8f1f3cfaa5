import type { Answer } from '../endpoint.ts'
import { errorFacts, type ErrorFacts } from '../openai-like/reword.ts'
import { errorOfStatus } from '../openai/envelope.ts'
import { jsonReply, Refusal, type Reply } from '../provider.ts'

/** OpenAI's envelope; what has no value is absent (groq-sdk 1.6, `ErrorObject`). */
export function groqError({ message, type, param, code }: Omit<ErrorFacts, 'status'>): Answer {
  return { error: { message, type, ...(param === null ? {} : { param }), ...(code === null ? {} : { code }) } }
}

export function errorBody(status: number, message: string): Answer {
  return groqError(errorFacts({ status, body: { error: errorOfStatus(status, message) } }))
}

export function errorReply(status: number, message: string, code: string | null, param: string | null = null): Reply {
  return jsonReply(status, groqError({ message, type: 'invalid_request_error', param, code }))
}

export function refuse(message: string, param: string | null = null, code: string | null = null, status = 400): never {
  throw new Refusal(errorReply(status, message, code, param))
}
