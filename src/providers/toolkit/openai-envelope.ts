import type { Problem } from '../../core/reply.ts'

/** A refusal as OpenAI and most of its relatives word it. */
export function openaiEnvelope({ code, message, param }: Omit<Problem, 'status'>): string {
  return JSON.stringify({ error: { message, type: 'invalid_request_error', param: param ?? null, code } })
}
