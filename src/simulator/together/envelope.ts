import type { Answer } from '../endpoint.ts'
import { errorOfStatus, errorReply as openaiReply, invalidRequest } from '../openai/envelope.ts'
import { Refusal, type Reply } from '../provider.ts'

/** Together's envelope is OpenAI's (together-ai 0.52 hands it on unread). */
export function errorBody(status: number, message: string): Answer {
  return { error: errorOfStatus(status, message) }
}

export function errorReply(status: number, message: string, param: string | null, code: string | null): Reply {
  return openaiReply(status, invalidRequest(message, param, code))
}

export function refuse(message: string, param: string | null = null, code: string | null = null, status = 400): never {
  throw new Refusal(errorReply(status, message, param, code))
}
