import type { AnswerCost } from './pricing.ts'
import type { Usage } from './reply.ts'

/** A job's row id in its store. Also the `<n>` of its `custom_id`. */
export type JobId = number

/** queued → submitted → answered | failed; a queued job whose caller left is dropped. */
export type JobState = 'queued' | 'submitted' | 'answered' | 'failed' | 'dropped'

/** The outcome of a settled job, as stored. */
export interface Answer {
  readonly status: number
  readonly requestId: string | undefined
  /** JSON text. */
  readonly body: string
}

/** How a row of results, or the lack of one, ends a job. */
export interface Settlement extends Answer {
  readonly job: JobId
  /** As the provider reported them. */
  readonly usage?: Usage | undefined
  /** undefined: nobody knows, which is not zero. */
  readonly cost?: AnswerCost | undefined
  /** What it was for, where the jobs of its batch differ in that. */
  readonly target?: { readonly endpoint: string; readonly model: string } | undefined
}

const CUSTOM_ID = /^([A-Za-z0-9]{6,40})-(\d{1,16})$/

/** The id a job carries inside a batch: `<intent>-<job>`, within `[A-Za-z0-9_-]{1,64}` that every provider accepts. */
export function customId(tag: string, job: JobId): string {
  return `${tag}-${job}`
}

/** Reads a `custom_id` back; undefined when we did not write it. */
export function parseCustomId(text: string): { tag: string; job: JobId } | undefined {
  const parts = CUSTOM_ID.exec(text)
  if (!parts?.[1] || !parts[2]) return undefined
  const job = Number(parts[2])
  return Number.isSafeInteger(job) ? { tag: parts[1], job } : undefined
}
