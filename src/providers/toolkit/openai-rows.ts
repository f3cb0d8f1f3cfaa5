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
  return usualRow(line) ?? anyRow(line)
}

/** The beginning and the end of a row as OpenAI writes it, spaces or not. */
const USUAL_START =
  /^\{"id": ?"([\w-]+)", ?"custom_id": ?"([\w-]+)", ?"response": ?\{"status_code": ?([2-5]\d\d), ?"request_id": ?(?:"([\w-]*)"|null), ?"body": ?/
const USUAL_END = /\}, ?"error": ?null\}$/
/** Characters of the longest such end. */
const END_LENGTH = '}, "error": null}'.length

/**
 * A row of the usual shape costs one parse, of its body alone: with nothing but the body between this start and this end, the row is
 * JSON exactly if the body is. undefined: let the parser tell what it is.
 */
function usualRow(line: string): JobResult | undefined {
  const start = USUAL_START.exec(line)
  const end = start && USUAL_END.exec(line.slice(-END_LENGTH))
  if (!end) return undefined
  const [before, id, customId, status, requestId] = start
  if (customId === undefined) return undefined
  const body = line.slice(before.length, -end[0].length)
  try {
    const json: unknown = JSON.parse(body)
    if (json === null) return undefined
    return { kind: 'reply', customId, status: Number(status), requestId: requestId || id, body, json }
  } catch {
    return undefined
  }
}

function anyRow(line: string): JobResult {
  const row = parseRow(line)
  if (!row) return { kind: 'unreadable' }
  const customId = row.custom_id
  const { response, error } = row
  if (error && (error.code || error.message)) {
    const code = error.code ?? 'error'
    return { kind: 'unexecuted', customId, reason: NOT_RUN[code] ?? 'other', code, message: error.message ?? code }
  }
  const body = response ? memberText(line, ['response', 'body']) : undefined
  const isBody = body !== undefined && body !== 'null'
  if (!response || !isBody || response.status_code < 200 || response.status_code > 599) return { kind: 'unreadable' }
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
  const parsed = Row.safeParse(json)
  return parsed.success ? parsed.data : undefined
}
