import { z } from 'zod'
import type { BatchCounts, BatchHandle, Intent, IntentState } from '../core/batch.ts'
import { OffpeakError } from '../core/errors.ts'
import type { Answer, JobState } from '../core/job.ts'
import type { JsonObject } from '../core/request.ts'

/** How job states are stored. Numbers are for ever; new ones go to the end. */
export const JOB: Readonly<Record<JobState, number>> = { queued: 0, submitted: 1, answered: 2, failed: 3, dropped: 4 }
const JOB_STATES: readonly JobState[] = ['queued', 'submitted', 'answered', 'failed', 'dropped']

export const JOB_STATE_COUNT: number = JOB_STATES.length

/** How intent states are stored; from `ended` on an intent is over. */
export const INTENT: Readonly<Record<IntentState, number>> = {
  claimed: 0,
  uploaded: 1,
  creating: 2,
  created: 3,
  ended: 4,
  abandoned: 5,
}
const INTENT_STATES: readonly IntentState[] = ['claimed', 'uploaded', 'creating', 'created', 'ended', 'abandoned']

export const INTENT_STATE_COUNT: number = INTENT_STATES.length

/** A number of a row back to its word. */
export function jobState(code: number): JobState {
  return JOB_STATES[code] ?? unreadable(`job state ${code}`)
}

export function intentState(code: number): IntentState {
  return INTENT_STATES[code] ?? unreadable(`intent state ${code}`)
}

export type AnswerRow = readonly [status: number, requestId: string | null, body: string]

export function answerOf(row: AnswerRow): Answer {
  return { status: row[0], requestId: row[1] ?? undefined, body: row[2] }
}

/** What `INTENT_COLUMNS` selects. */
export interface IntentRow {
  readonly id: number
  readonly tag: string
  readonly provider: string
  readonly base_url: string
  readonly endpoint: string
  readonly model: string
  readonly account: string
  readonly queue_key: string
  readonly state: number
  readonly owner: number
  readonly epoch: number
  readonly completion_window: string
  readonly metadata: string
  readonly jobs: number
  readonly root: number
  readonly created_at: number
  readonly upload: string | null
  readonly handle: string | null
  readonly status: string | null
  readonly counts: string | null
  readonly creates: number
  readonly creating_at: number | null
  readonly submitted_at: number | null
  readonly ended_at: number | null
}

export const INTENT_COLUMNS: string = `intents.id, tag, provider, base_url, endpoint, model, account, queue_key, state, owner, epoch,
  completion_window, metadata, jobs, root, created_at, upload, handle, status, counts, creates, creating_at, submitted_at, ended_at
  FROM intents JOIN targets ON targets.id = intents.target`

const Metadata = z.record(z.string(), z.string())
const Upload = z.record(z.string(), z.json())
const Handle = z.object({ id: z.string() }).catchall(z.json())
const Counts = z.object({ total: z.number(), completed: z.number(), failed: z.number() })

export function intentOf(row: IntentRow): Intent {
  return {
    id: row.id,
    tag: row.tag,
    provider: row.provider,
    baseUrl: row.base_url,
    endpoint: row.endpoint,
    model: row.model,
    account: row.account,
    queueKey: row.queue_key,
    state: intentState(row.state),
    owner: row.owner,
    epoch: row.epoch,
    window: row.completion_window,
    metadata: parsed(Metadata, row.metadata, 'metadata'),
    jobs: row.jobs,
    upload: row.upload === null ? undefined : (parsed(Upload, row.upload, 'upload') satisfies JsonObject),
    handle: row.handle === null ? undefined : (parsed(Handle, row.handle, 'handle') satisfies BatchHandle),
    status: row.status ?? undefined,
    counts: row.counts === null ? undefined : (parsed(Counts, row.counts, 'counts') satisfies BatchCounts),
    root: row.root,
    createdAt: row.created_at,
    creates: row.creates,
    creatingAt: row.creating_at ?? undefined,
    submittedAt: row.submitted_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
  }
}

function parsed<T>(schema: z.ZodType<T>, text: string, column: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    return unreadable(`an intent's ${column}`, cause)
  }
}

function unreadable(what: string, cause?: unknown): never {
  throw new OffpeakError('store-unusable', `The store holds ${what} that cannot be read; it may be damaged.`, { cause })
}
