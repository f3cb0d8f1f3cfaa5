import type { Intent } from '../core/batch.ts'
import type { JobTarget } from '../core/store.ts'

type AboutTarget = Pick<JobTarget, 'provider' | 'endpoint' | 'model'>

/** The part that every event of a target shares. */
export function about({ provider, endpoint, model }: AboutTarget, at: number): AboutTarget & { readonly at: number } {
  return { at, provider, endpoint, model }
}

/** The part that every event of a batch shares. */
export function aboutBatch(
  intent: Intent,
  at: number,
): AboutTarget & {
  readonly at: number
  readonly intent: string
  readonly id: string | undefined
  readonly submittedAt: number | undefined
  readonly jobs: number
  readonly counts: Intent['counts']
  readonly metadata: Intent['metadata']
} {
  const { tag, handle, submittedAt, jobs, counts, metadata } = intent
  return { ...about(intent, at), intent: tag, id: handle?.id, submittedAt, jobs, counts, metadata }
}
