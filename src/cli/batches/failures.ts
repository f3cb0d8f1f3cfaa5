import { readEnvelope } from '../../manager/caller.ts'
import { printable, truncate } from '../../progress/width.ts'
import type { BatchReader } from '../../store/read-batches.ts'

/** One cause of failure among the jobs of some batches. */
export interface Cause {
  readonly reason: string
  count: number
  /** Of these, how many were asked again since. */
  retried: number
  readonly example: { readonly job: number; readonly status: number; readonly message: string }
}

const LONGEST_MESSAGE = 200

/** The most frequent first. The messages are the provider's. */
export function failureCauses(reader: Pick<BatchReader, 'failures'>, intents: readonly number[]): readonly Cause[] {
  const causes = new Map<string, Cause>()
  for (const intent of intents) {
    for (const { job, status, answer, isRetried } of reader.failures(intent)) {
      const { code, message } = readEnvelope(answer)
      const reason = code ?? `http-${status}`
      const cause = causes.get(reason) ?? {
        reason,
        count: 0,
        retried: 0,
        example: { job, status, message: truncate(printable(message ?? ''), LONGEST_MESSAGE, '…') },
      }
      cause.count += 1
      if (isRetried) cause.retried += 1
      causes.set(reason, cause)
    }
  }
  return [...causes.values()].sort((a, b) => b.count - a.count)
}
