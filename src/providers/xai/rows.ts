import { z } from 'zod'
import type { BatchLine, JobResult } from '../../core/batch.ts'
import { memberText } from '../toolkit/json-text.ts'
import { inputLine } from '../toolkit/openai-rows.ts'
import { envelope } from './envelope.ts'
import { toResponse } from './response.ts'

/** Ends the custom id of a row for /v1/responses: its answer does not tell. */
const RESPONSE_MARK = '-r'

/** A line of input. */
export function line(batchLine: BatchLine): string {
  const mark = batchLine.endpoint === '/v1/responses' ? RESPONSE_MARK : ''
  return inputLine({ ...batchLine, customId: batchLine.customId + mark })
}

/** A code is a number of gRPC's, as number or text, or a word. */
const Code = z.union([z.string(), z.number().transform(String)]).nullish()

const Row = z.object({
  batch_request_id: z.string(),
  batch_result: z
    .object({
      response: z.record(z.string(), z.unknown()).nullish(),
      error: z
        .union([
          z.string().transform((message) => ({ code: null, message })),
          z.object({ code: Code, message: z.string().nullish() }),
        ])
        .nullish(),
    })
    .nullish(),
  error_message: z.string().nullish(),
})

/** gRPC's codes as HTTP's (https://grpc.io/docs/guides/status-codes); all others are the server's own fault. */
const STATUSES: Readonly<Record<string, number>> = {
  '3': 400,
  '4': 504,
  '5': 404,
  '7': 403,
  '8': 429,
  '9': 400,
  '11': 400,
  '14': 503,
  '16': 401,
}
const CANCELLED = new Set(['1', 'cancelled', 'batch_cancelled'])

/** Reads a row, given its text and the same parsed. */
export function toResult(text: string, json: unknown): JobResult {
  const row = Row.safeParse(json).data
  if (!row) return { kind: 'unreadable' }
  const id = row.batch_request_id
  const isForResponses = id.endsWith(RESPONSE_MARK)
  const customId = isForResponses ? id.slice(0, -RESPONSE_MARK.length) : id
  const { response, error } = row.batch_result ?? {}
  // No error is told as none, or as code 0.
  const code = error?.code && error.code !== '0' ? error.code : undefined
  const message = row.error_message || error?.message || ''
  if (code !== undefined || row.error_message || (error && error.code == null && message)) {
    return failure(customId, code, message)
  }
  const [name] = Object.entries(response ?? {}).find(([, value]) => typeof value === 'object' && value !== null) ?? []
  const body = name === undefined ? undefined : memberText(text, ['batch_result', 'response', name])
  if (name === undefined || body === undefined) return { kind: 'unreadable' }
  const answer = response?.[name]
  return isForResponses && !isResponse(answer)
    ? asResponse(customId, answer)
    : { kind: 'reply', customId, status: 200, requestId: undefined, body, json: answer }
}

function asResponse(customId: string, chat: unknown): JobResult {
  const json = toResponse(chat)
  // xAI's chat answers may hold an error with a 200 around it.
  const error = ErrorInAnswer.safeParse(chat).data
  if (!json && error) return failure(customId, error.code ?? undefined, error.error)
  if (!json) return { kind: 'unreadable' }
  return { kind: 'reply', customId, status: 200, requestId: undefined, body: JSON.stringify(json), json }
}

const ErrorInAnswer = z.object({ code: z.string().nullish(), error: z.string() })

function failure(customId: string, code: string | undefined, text: string): JobResult {
  const message = text || (code ?? 'the provider gave no reason')
  if (code !== undefined && CANCELLED.has(code.toLowerCase())) {
    return { kind: 'unexecuted', customId, reason: 'cancelled', code, message }
  }
  const body = envelope({ code: code ?? 'error', message })
  const status = STATUSES[code ?? ''] ?? 500
  return { kind: 'reply', customId, status, requestId: undefined, body, json: JSON.parse(body) }
}

function isResponse(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'object' in answer && answer.object === 'response'
}
