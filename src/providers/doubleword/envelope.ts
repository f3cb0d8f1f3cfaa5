import type { Problem } from '../../core/reply.ts'

/** One shape that both SDKs it is used with read: OpenAI's looks into `error`, Anthropic's takes the whole. */
export function envelope({ code, message, param }: Omit<Problem, 'status'>): string {
  const error = { type: 'invalid_request_error', message, param: param ?? null, code }
  return JSON.stringify({ type: 'error', error })
}
