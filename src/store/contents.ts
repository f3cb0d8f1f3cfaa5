import type { Database } from 'better-sqlite3'
import type { IntentState } from '../core/batch.ts'
import type { JobState } from '../core/job.ts'
import type { Spending } from '../core/store.ts'
import { INTENT, INTENT_COLUMNS, intentOf, type IntentRow, intentState, JOB, jobState } from './rows.ts'
import { spendingIn } from './spending.ts'

/** An intent that is not over, for people. */
export interface OpenIntentSummary {
  readonly tag: string
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly jobs: number
  readonly state: IntentState
  /** The provider's id of its batch. */
  readonly batch: string | undefined
  readonly createdAt: number
  readonly pid: number | undefined
  /** Until when nobody else may carry it on; in the past: anybody may. */
  readonly leaseUntil: number
}

export type JobCounts = Readonly<Record<JobState, number>>

export interface LiveOwner {
  readonly pid: number
  readonly leaseUntil: number
}

/** Answers to one model. */
export interface AnswersByModel {
  readonly provider: string
  readonly model: string
  readonly answers: number
  readonly bytes: number
  readonly oldestAt: number
}

/** What can be asked of a store without opening it as one. Each answer is read anew. */
export interface Contents {
  jobs(): JobCounts
  openIntents(): readonly OpenIntentSummary[]
  /** Those whose lease has not run out, the last to run out first. */
  liveOwners(now: number): readonly LiveOwner[]
  answers(): readonly AnswersByModel[]
  /** What was spent on this day (UTC) and after it. */
  spending(since: string): readonly Spending[]
  hasSalt(): boolean
  /** What is wrong with the first unfinished intent that a run could not read, and would fail on. */
  unreadableIntent(): string | undefined
}

export function contentsOf(database: Database): Contents {
  return {
    jobs() {
      const counts: Record<JobState, number> = { queued: 0, submitted: 0, answered: 0, failed: 0, dropped: 0 }
      const rows = database
        .prepare<[], readonly [state: number, count: number]>('SELECT state, count(*) FROM jobs GROUP BY state')
        .raw()
      for (const [state, count] of rows.all()) counts[jobState(state)] = count
      return counts
    },

    openIntents: () =>
      database
        .prepare<[], OpenIntentRow>(
          `SELECT tag, provider, endpoint, model, state, batch, created_at, pid, coalesce(lease_until, 0) AS lease_until,
             (SELECT count(*) FROM jobs WHERE jobs.id BETWEEN first_job AND last_job AND jobs.intent = intents.id
                AND jobs.state = ${JOB.submitted}) AS jobs
           FROM intents LEFT JOIN targets ON targets.id = intents.target LEFT JOIN owners ON owners.id = intents.owner
           WHERE state < ${INTENT.ended} ORDER BY intents.id`,
        )
        .all()
        .map((row) => ({
          tag: row.tag,
          provider: row.provider ?? 'unknown',
          endpoint: row.endpoint ?? 'unknown',
          model: row.model ?? 'unknown',
          jobs: row.jobs,
          state: intentState(row.state),
          batch: row.batch ?? undefined,
          createdAt: row.created_at,
          pid: row.pid ?? undefined,
          leaseUntil: row.lease_until,
        })),

    liveOwners: (now) =>
      database
        .prepare<[number], { pid: number; lease_until: number }>(
          'SELECT pid, lease_until FROM owners WHERE lease_until > ? ORDER BY lease_until DESC',
        )
        .all(now)
        .map(({ pid, lease_until }) => ({ pid, leaseUntil: lease_until })),

    answers: () =>
      database
        .prepare<[], AnswersByModel>(
          `SELECT coalesce(provider, 'unknown') AS provider, coalesce(model, 'unknown') AS model, count(*) AS answers,
             sum(octet_length(body)) AS bytes, min(settled_at) AS oldestAt
           FROM jobs JOIN answers ON answers.job = jobs.id LEFT JOIN targets ON targets.id = jobs.target
           WHERE state = ${JOB.answered} GROUP BY 1, 2 ORDER BY 1, 2`,
        )
        .all(),

    spending: (since) => (hasTable(database, 'spending') ? spendingIn(database).since(since) : []),

    unreadableIntent() {
      const rows = database.prepare<[], IntentRow>(`SELECT ${INTENT_COLUMNS} WHERE state < ${INTENT.ended}`).all()
      try {
        rows.forEach(intentOf)
        return undefined
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },

    hasSalt: () =>
      database.prepare<[], number>("SELECT length(value) FROM secrets WHERE name = 'salt'").pluck().get() === 32,
  }
}

/** A store that an older version has written, and no newer one has opened yet, has not every table. */
function hasTable(database: Database, name: string): boolean {
  return database.prepare<[string], number>('SELECT 1 FROM sqlite_schema WHERE name = ?').get(name) !== undefined
}

interface OpenIntentRow {
  readonly tag: string
  readonly provider: string | null
  readonly endpoint: string | null
  readonly model: string | null
  readonly state: number
  readonly batch: string | null
  readonly created_at: number
  readonly pid: number | null
  readonly lease_until: number
  readonly jobs: number
}
