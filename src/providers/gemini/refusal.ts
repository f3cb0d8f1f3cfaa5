import { z } from 'zod'
import type { Refusal } from '../../core/adapter.ts'
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
const ROW_OF_FIELD = /requests\[(\d+)\]/

/** A 400 is about some row, unless it says otherwise. Inline rows are named by their place, counted from 0: `batch.input_config.requests.requests[3]`. */
export function readRefusal({ status, body, message }: ProviderError): Refusal | undefined {
  if (status !== 400) return undefined
  const parsed = Refused.safeParse(jsonOf(body))
  const { error } = parsed.success ? parsed.data : { error: { status: undefined, message, details: undefined } }
  const details = error.details ?? []
  // A file that was just uploaded may take a moment [ai.google.dev/gemini-api/docs/files].
  if (/not in an ACTIVE state/i.test(error.message)) return 'capacity'
  if ([error.status, ...details.map(({ reason }) => reason)].some((word) => word && ACCOUNT.has(word))) return 'account'
  if (/payload size exceeds|too large/i.test(error.message)) return 'too-large'
  const violations = details.flatMap(({ fieldViolations }) => fieldViolations ?? [])
  return {
    rows: violations.flatMap(({ field, description }) => {
      const row = ROW_OF_FIELD.exec(field)?.[1]
      const named = { code: error.status ?? undefined, message: description || error.message, param: field }
      return row === undefined ? [] : [{ ...named, line: Number(row) + 1 }]
    }),
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
