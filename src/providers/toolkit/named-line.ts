import type { Refusal } from '../../core/adapter.ts'
import type { BatchProblem } from '../../core/batch.ts'
import type { ProviderError } from '../../core/errors.ts'

/** A complaint in plain words, with the line it names: `Line 3: Missing 'model'`. */
export function problemIn(message: string): BatchProblem {
  const line = Number(/\bline\s+#?(\d+)/i.exec(message)?.[1] ?? 0)
  return { code: undefined, message, line: line > 0 ? line : undefined, param: undefined }
}

/** A refused upload or create whose words name a line is about that row, not about those that share its batch. */
export function refusedLine({ status, message }: Pick<ProviderError, 'status' | 'message'>): Refusal | undefined {
  const problem = problemIn(message)
  return (status === 400 || status === 422) && problem.line !== undefined ? { rows: [problem] } : undefined
}
