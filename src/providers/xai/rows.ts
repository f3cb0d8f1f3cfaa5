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

/**
 * gRPC's codes as HTTP's (https://grpc.io/docs/guides/status-codes), with the words xAI has for them in its live errors, as users report
 * them. All others are the server's own fault.
 */
const CODES: Readonly<Record<string, readonly [status: number, words: string]>> = {
  '3': [400, 'Client specified an invalid argument'],
  '4': [504, 'Deadline expired before operation could complete'],
  '5': [404, 'Some requested entity was not found'],
  '7': [403, 'The caller does not have permission to execute the specified operation'],
  '8': [429, 'Some resource has been exhausted'],
  '9': [400, 'The system is not in a state required for the operation'],
  '11': [400, 'Operation was attempted past the valid range'],
  '14': [503, 'The service is currently unavailable'],
  '16': [401, 'The request does not have valid authentication credentials for the operation'],
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
  const words = code !== undefined && !/^\d+$/.test(code) ? code : 'Internal error'
  // A code that comes in words may be one of these.
  const known = CODES[code ?? ''] ?? Object.values(CODES).find(([, said]) => said === code)
  const [status, said] = known ?? [500, words]
  const body = envelope({ code: said, message })
  return { kind: 'reply', customId, status, requestId: undefined, body, json: JSON.parse(body) }
}

function isResponse(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'object' in answer && answer.object === 'response'
}
