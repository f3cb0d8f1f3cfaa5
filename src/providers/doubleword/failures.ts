import { z } from 'zod'
import type { JobResult } from '../../core/batch.ts'
import { openaiEnvelope } from '../toolkit/openai-envelope.ts'

/** Why a row failed: JSON in the message of its error. Newer parts of the server write the details beside the type. */
const About = z.object({
  status: z.number().int().min(400).max(599).optional().catch(undefined),
  body: z.string().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  error: z.string().optional().catch(undefined),
})
const Failure = About.extend({ type: z.string(), details: About.optional().catch(undefined) })

/** Reasons without a status of their own (fusillade, `FailureReason`), as the live endpoint would have answered. */
const STATUSES: Readonly<Record<string, number>> = {
  Timeout: 504,
  NetworkError: 502,
  TaskTerminated: 502,
  RequestBuilderError: 400,
}

/** Its last reason: the batch was over before the row had been tried. */
const NOT_RUN = 'BatchTerminated'

/** The reply a row's failure stands for: the status and body of the server behind it, where there was one. */
export function readFailure(customId: string, text: string): JobResult {
  const failure = Failure.safeParse(parsed(text)).data
  const about = { ...failure, ...failure?.details }
  const message = about.message ?? about.error ?? about.body ?? text
  const code = failure?.type ?? 'error'
  if (code === NOT_RUN) return { kind: 'unexecuted', customId, reason: 'cancelled', code, message }
  const status = about.status ?? STATUSES[code] ?? 500
  const json = parsed(about.body ?? '')
  if (typeof json === 'object' && json !== null && about.body !== undefined) {
    return { kind: 'reply', customId, status, requestId: undefined, body: about.body, json }
  }
  const body = openaiEnvelope({ code, message })
  return { kind: 'reply', customId, status, requestId: undefined, body, json: parsed(body) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
