import { z } from 'zod'
import type { JobResult } from '../../core/batch.ts'
import { memberText } from '../toolkit/json-text.ts'

const Response = z.object({ status_code: z.number().int().min(200).max(599), body: z.unknown().optional() })

const Row = z.object({
  custom_id: z.string(),
  response: Response.nullish().catch(null),
  error: z.unknown().optional(),
})

/** What an error may be is not documented: text, or an object with any of these. */
const Fault = z.union([
  z.string().transform((message) => ({ message, status_code: undefined, code: undefined })),
  z.object({
    message: z.string().nullish().catch(null),
    status_code: z.number().nullish().catch(null),
    code: z.union([z.number(), z.string()]).nullish().catch(null),
  }),
])

/**
 * Reads one line of either result file, or one of a job's own outputs. A response is what the live endpoint has said, whatever stands
 * beside it; its body stays as it is, since Mistral's errors differ in shape from one to the next.
 */
export function outputRow(line: string): JobResult {
  const row = parseRow(line)
  if (!row) return { kind: 'unreadable' }
  const { custom_id: customId, response, error } = row
  const body = response ? memberText(line, ['response', 'body']) : undefined
  if (response && body !== undefined && body !== 'null') {
    // Its `id` is the row's, not the request's.
    return { kind: 'reply', customId, status: response.status_code, requestId: undefined, body, json: response.body }
  }
  return failure(customId, error)
}

/** A row without a response failed before there was one: the provider's own fault, unless it says otherwise. */
function failure(customId: string, error: unknown): JobResult {
  const fault = Fault.safeParse(error)
  if (!fault.success) return { kind: 'unreadable' }
  const { message, status_code: told, code } = fault.data
  const status = [told, Number(code)].find((number) => isErrorStatus(number)) ?? 500
  const json = {
    object: 'error',
    message: message ?? 'the provider gave no reason',
    type: 'batch_error',
    code: code ?? null,
  }
  return { kind: 'reply', customId, status, requestId: undefined, body: JSON.stringify(json), json }
}

function isErrorStatus(number: number | null | undefined): number is number {
  return typeof number === 'number' && Number.isInteger(number) && number >= 400 && number <= 599
}

function parseRow(line: string): z.infer<typeof Row> | undefined {
  try {
    return Row.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
