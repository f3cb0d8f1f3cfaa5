import { z } from 'zod'
import type { BatchLine, JobResult } from '../../core/batch.ts'
import { memberText, oneLine } from './json-text.ts'

/** A line of input as OpenAI and its relatives read it, around the caller's own JSON text. */
export function inputLine({ customId, endpoint, body }: BatchLine): string {
  return `{"custom_id":"${customId}","method":"POST","url":"${endpoint}","body":${oneLine(body)}}`
}

const Row = z.object({
  custom_id: z.string(),
  id: z.string().nullish(),
  response: z.object({ status_code: z.number().int(), request_id: z.string().nullish(), body: z.unknown() }).nullish(),
  error: z.object({ code: z.string().nullish(), message: z.string().nullish() }).nullish(),
})

const NOT_RUN: Readonly<Record<string, 'expired' | 'cancelled'>> = {
  batch_expired: 'expired',
  batch_cancelled: 'cancelled',
}

/**
 * Reads one line of either result file. The order of decision is the provider's own: `error` first, then the row's HTTP status.
 * A 2xx whose body is missing is unreadable, not an answer.
 */
export function outputRow(line: string): JobResult {
  const row = parseRow(line)
  if (!row) return { kind: 'unreadable' }
  const customId = row.custom_id
  const { response, error } = row
  if (error && (error.code || error.message)) {
    const code = error.code ?? 'error'
    return { kind: 'unexecuted', customId, reason: NOT_RUN[code] ?? 'other', code, message: error.message ?? code }
  }
  const body = response ? memberText(line, ['response', 'body']) : undefined
  if (!response || body === undefined || response.status_code < 200 || response.status_code > 599)
    return { kind: 'unreadable' }
  const requestId = response.request_id || row.id || undefined
  return { kind: 'reply', customId, status: response.status_code, requestId, body, json: response.body }
}

type Row = z.infer<typeof Row>

function parseRow(line: string): Row | undefined {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }
  // The common shape is checked by hand: a schema costs more per row than everything else done with it.
  if (isAnsweredRow(json)) return json
  const parsed = Row.safeParse(json)
  return parsed.success ? parsed.data : undefined
}

function isAnsweredRow(json: unknown): json is Row {
  if (typeof json !== 'object' || json === null || !('custom_id' in json) || !('response' in json)) return false
  const { custom_id: customId, response } = json
  return (
    typeof customId === 'string' &&
    (!('error' in json) || json.error === null) &&
    (!('id' in json) || typeof json.id === 'string') &&
    typeof response === 'object' &&
    response !== null &&
    'status_code' in response &&
    Number.isInteger(response.status_code) &&
    (!('request_id' in response) || response.request_id === null || typeof response.request_id === 'string') &&
    'body' in response
  )
}
