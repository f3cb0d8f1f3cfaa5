import type { Answer, JobId } from '../core/job.ts'
import type { JobStatus, JobTarget, StoredBody } from '../core/store.ts'
import type { Connection } from './connection.ts'
import type { Intents } from './intents.ts'
import type { Targets } from './targets.ts'
import { type AnswerRow, answerOf, JOB, jobState } from './rows.ts'

export interface Reading {
  status(jobs: readonly JobId[]): readonly JobStatus[]
  unsettled(intent: number): readonly JobStatus[]
  targetsOf(jobs: readonly JobId[]): readonly (Pick<JobTarget, 'endpoint' | 'model'> | undefined)[]
  /** Some of the bodies of an intent's unsettled jobs, from this job on. */
  page(intent: number, from: JobId, to: JobId): readonly StoredBody[]
}

/** A page ends with whichever comes first. Bodies are counted in characters, which is near enough. */
const PAGE_JOBS = 256
const PAGE_LENGTH = 1_000_000

type StatusRow = readonly [id: JobId, state: number, intent: number | null, requeues: number, possiblyBilled: number]
type BodyRow = readonly [job: JobId, body: string, target: number]

/** What those who wait for jobs, or send them, read. */
export function readingIn(
  { database }: Connection,
  targets: Targets,
  intents: Pick<Intents, 'batchOf' | 'rangeOf'>,
): Reading {
  const columns = 'SELECT id, state, intent, requeues, possibly_billed FROM jobs'
  const select = database.prepare<[JobId], StatusRow>(`${columns} WHERE id = ?`).raw()
  const selectUnsettled = database
    .prepare<[JobId, JobId, number], StatusRow>(
      `${columns} WHERE id BETWEEN ? AND ? AND intent = ? AND state = ${JOB.submitted} ORDER BY id`,
    )
    .raw()
  // Not a join, see `placing.ts`.
  const selectAnswer = database
    .prepare<[JobId], AnswerRow>('SELECT status, request_id, body FROM answers WHERE job = ?')
    .raw()
  const selectBodies = database
    .prepare<[JobId, JobId, number], BodyRow>(
      `SELECT jobs.id, body, target FROM jobs CROSS JOIN bodies ON bodies.job = jobs.id
       WHERE jobs.id BETWEEN ? AND ? AND intent = ? AND state = ${JOB.submitted} ORDER BY jobs.id LIMIT ${PAGE_JOBS}`,
    )
    .raw()

  const selectTarget = database.prepare<[JobId], number>('SELECT target FROM jobs WHERE id = ?').pluck()

  return {
    targetsOf: (jobs) =>
      jobs.map((job) => {
        const target = selectTarget.get(job)
        return target === undefined ? undefined : targets.nameOf(target)
      }),

    status(jobs) {
      const batches = new Map<number, string | undefined>()
      const batchOf = (intent: number): string | undefined => {
        if (!batches.has(intent)) batches.set(intent, intents.batchOf(intent))
        return batches.get(intent)
      }
      const found: JobStatus[] = []
      for (const job of jobs) {
        const row = select.get(job)
        if (!row) continue
        const isSettled = row[1] === JOB.answered || row[1] === JOB.failed
        const answer = isSettled ? selectAnswer.get(job) : undefined
        found.push(statusOf(row, answer && answerOf(answer), row[2] === null ? undefined : batchOf(row[2])))
      }
      return found
    },

    unsettled(intent) {
      const range = intents.rangeOf(intent)
      if (!range) return []
      const batch = intents.batchOf(intent)
      return selectUnsettled.all(range.first, range.last, intent).map((row) => statusOf(row, undefined, batch))
    },

    page(intent, from, to) {
      const bodies: StoredBody[] = []
      let length = 0
      for (const [job, body, target] of selectBodies.iterate(from, to, intent)) {
        bodies.push({ job, body, endpoint: targets.nameOf(target).endpoint })
        length += body.length
        if (length > PAGE_LENGTH) break
      }
      return bodies
    },
  }
}

function statusOf(row: StatusRow, answer: Answer | undefined, batch: string | undefined): JobStatus {
  const [job, state, intent, requeues, possiblyBilled] = row
  return {
    job,
    state: jobState(state),
    intent: intent ?? undefined,
    requeues,
    possiblyBilled: possiblyBilled === 1,
    answer,
    batch,
  }
}
