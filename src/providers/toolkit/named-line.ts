import type { BatchProblem } from '../../core/batch.ts'

/** A complaint in plain words, with the line it names: `Line 3: Missing 'model'`. */
export function problemIn(message: string): BatchProblem {
  const line = Number(/\bline\s+#?(\d+)/i.exec(message)?.[1] ?? 0)
  return { code: undefined, message, line: line > 0 ? line : undefined, param: undefined }
}
