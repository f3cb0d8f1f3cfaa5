import { z } from 'zod'
import type { Refusal } from '../../core/adapter.ts'
import type { BatchProblem } from '../../core/batch.ts'
import type { ProviderError } from '../../core/errors.ts'

const Refused = z.object({
  error: z.object({
    status: z.string().nullish().catch(null),
    message: z.string().catch(''),
    details: z
      .array(
        z.object({
          reason: z.string().nullish().catch(null),
          fieldViolations: z
            .array(z.object({ field: z.string().catch(''), description: z.string().catch('') }))
            .nullish()
            .catch(null),
        }),
      )
      .nullish()
      .catch(null),
  }),
})

/** Reasons and states of a 400 that are about the account: Google's key check answers 400 [googleapis/googleapis error_reason.proto]. */
const ACCOUNT = new Set(['API_KEY_INVALID', 'API_KEY_EXPIRED', 'BILLING_DISABLED', 'FAILED_PRECONDITION'])
/**
 * Where a complaint names its row: inline ones by their place, counted from 0 (`batch.input_config.requests.requests[3]`), those of a file by
 * their line (`Error on line 4: invalid JSON, near column 23: …`, one complaint a line) [recorded in UKGovernmentBEIS/inspect_ai#3257, #5100].
 */
const INLINE_ROW = /requests\[(\d+)\]/
const FILE_ROW = /^Error on line (\d+):/

/** A 400 is about some row, unless it says otherwise: Google reads the whole input before it answers a create. */
export function readRefusal({ status, body, message }: ProviderError): Refusal | undefined {
  if (status !== 400) return undefined
  const parsed = Refused.safeParse(jsonOf(body))
  const { error } = parsed.success ? parsed.data : { error: { status: undefined, message, details: undefined } }
  const details = error.details ?? []
  // A file that was just uploaded may take a moment [ai.google.dev/gemini-api/docs/files].
  if (/not in an ACTIVE state/i.test(error.message)) return 'capacity'
  if ([error.status, ...details.map(({ reason }) => reason)].some((word) => word && ACCOUNT.has(word))) return 'account'
  if (/payload size exceeds|too large/i.test(error.message)) return 'too-large'
  const code = error.status ?? undefined
  const violations = details.flatMap(({ fieldViolations }) => fieldViolations ?? [])
  const named = violations.flatMap(({ field, description }) => problemAt(code, `${field} ${description}`, description))
  if (named.length > 0) return { rows: named }
  return { rows: error.message.split('\n').flatMap((line) => problemAt(code, line, line)) }
}

function problemAt(code: string | undefined, place: string, message: string): readonly BatchProblem[] {
  const inline = INLINE_ROW.exec(place)?.[1]
  const line = inline === undefined ? Number(FILE_ROW.exec(place)?.[1]) : Number(inline) + 1
  return Number.isNaN(line) ? [] : [{ code, message, line, param: undefined }]
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
