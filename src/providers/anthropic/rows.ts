import { z } from 'zod'
import type { JobResult } from '../../core/batch.ts'
import { memberText } from '../toolkit/json-text.ts'

/** The HTTP status of each type of error, as https://platform.claude.com/docs/en/api/errors has them. */
const STATUS_OF_TYPE: ReadonlyMap<string, number> = new Map([
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['conflict_error', 409],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['api_error', 500],
  ['timeout_error', 504],
  ['overloaded_error', 529],
])

/** Where the SDK 1.11 (`core/error-classes`) has a class for a code at a status that its type does not tell. */
const STATUS_OF_CODE: ReadonlyMap<string, number> = new Map([
  ['sandbox_egress_restricted', 403],
  ['request_body_too_large_after_decoding', 413],
  ['cmek_context_unavailable', 503],
  ['cmek_key_unreachable', 503],
  ['compaction_unavailable', 529],
])

const Row = z.object({ custom_id: z.string(), result: z.object({ type: z.string(), message: z.unknown().optional() }) })

/** What is wrong, wherever an error says so. */
const Fault = z.object({
  type: z.string(),
  details: z.object({ error_code: z.string() }).nullish().catch(null),
})
type Fault = z.infer<typeof Fault>

/** A row nests twice: its error is the whole envelope that the live endpoint would have sent. */
const Errored = z.object({
  result: z.object({ error: z.object({ request_id: z.string().nullish().catch(null), error: Fault }) }),
})
/** The same without the envelope, should it ever be left out. */
const BareErrored = z.object({ result: z.object({ error: Fault }) })

const NOT_RUN: Readonly<Record<string, { reason: 'cancelled' | 'expired'; code: string; message: string }>> = {
  canceled: {
    reason: 'cancelled',
    code: 'batch_cancelled',
    message: 'the batch was canceled before this request was run',
  },
  expired: { reason: 'expired', code: 'batch_expired', message: 'the batch expired before this request was run' },
}

/** Reads one line of results. */
export function outputRow(line: string): JobResult {
  const json = parseJson(line)
  const row = Row.safeParse(json)
  if (!row.success) return { kind: 'unreadable' }
  const { custom_id: customId, result } = row.data
  const notRun = NOT_RUN[result.type]
  if (notRun) return { kind: 'unexecuted', customId, ...notRun }
  if (result.type === 'succeeded') return answer(line, customId, result.message)
  return result.type === 'errored' ? failure(line, customId, json) : { kind: 'unreadable' }
}

function answer(line: string, customId: string, json: unknown): JobResult {
  const body = memberText(line, ['result', 'message'])
  if (body === undefined || typeof json !== 'object' || json === null) return { kind: 'unreadable' }
  // A row that succeeded tells no request id.
  return { kind: 'reply', customId, status: 200, requestId: undefined, body, json }
}

function failure(line: string, customId: string, json: unknown): JobResult {
  const text = memberText(line, ['result', 'error'])
  if (text === undefined) return { kind: 'unreadable' }
  const whole = Errored.safeParse(json)
  if (whole.success) {
    const { request_id: requestId, error } = whole.data.result.error
    return reply(customId, statusOf(error), requestId ?? undefined, text)
  }
  const bare = BareErrored.safeParse(json)
  if (!bare.success) return { kind: 'unreadable' }
  const body = `{"type":"error","error":${text},"request_id":null}`
  return reply(customId, statusOf(bare.data.result.error), undefined, body)
}

function reply(customId: string, status: number, requestId: string | undefined, body: string): JobResult {
  return { kind: 'reply', customId, status, requestId, body, json: parseJson(body) }
}

/** A type nobody has heard of is the provider's own fault, as any it does not name is. */
function statusOf({ type, details }: Fault): number {
  const byCode = details ? STATUS_OF_CODE.get(details.error_code) : undefined
  return byCode ?? STATUS_OF_TYPE.get(type) ?? 500
}

/** The type that goes with an HTTP status: the other direction. */
export function typeOf(status: number): string {
  for (const [type, its] of STATUS_OF_TYPE) if (its === status) return type
  return 'invalid_request_error'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
