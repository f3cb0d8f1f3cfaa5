import type { IntentRef } from '../core/batch.ts'
import type { JobId, Settlement } from '../core/job.ts'
import type { Requeue } from '../core/store.ts'
import { bulkInto } from './bulk.ts'
import type { Connection } from './connection.ts'
import { JOB } from './rows.ts'
import { runsOf } from './runs.ts'

export interface Settling {
  settle(ref: IntentRef, settlements: readonly Settlement[], now: number): readonly JobId[]
  requeue(ref: IntentRef, jobs: readonly JobId[], how: Requeue): readonly JobId[]
}

/** Ends the submission of jobs, one way or the other. To be used inside a writing transaction, by a ref that holds the intent. */
export function settlingIn(connection: Connection): Settling {
  const { database } = connection
  const count = database
    .prepare<[JobId, JobId, number], number>(
      `SELECT count(*) FROM jobs WHERE id BETWEEN ? AND ? AND intent = ? AND state = ${JOB.submitted}`,
    )
    .pluck()
  const settleRange = database.prepare<[number, number, number, JobId, JobId]>(
    'UPDATE jobs SET state = ?, settled_at = ?, owner = ? WHERE id BETWEEN ? AND ?',
  )
  const settleOne = database.prepare<[number, number, number, JobId, number]>(
    `UPDATE jobs SET state = ?, settled_at = ?, owner = ? WHERE id = ? AND intent = ? AND state = ${JOB.submitted}`,
  )
  const answersFor = bulkInto(connection, 'answers', '(?, ?, ?, ?, ?, ?)')
  const requeueOne = database.prepare<[number, number, number, JobId, number]>(
    `UPDATE jobs SET state = ${JOB.queued}, intent = NULL, owner = ?, requeues = requeues + ?, possibly_billed = possibly_billed | ?
     WHERE id = ? AND intent = ? AND state = ${JOB.submitted}`,
  )

  return {
    settle({ id: intent, owner }, settlements, now) {
      const settled: JobId[] = []
      const answers = answersFor()
      const idOf = (settlement: Settlement): JobId => settlement.job
      const sameState = (a: Settlement, b: Settlement): boolean => stateAfter(a.status) === stateAfter(b.status)

      for (const { from, to } of runsOf(settlements, idOf, sameState)) {
        const run = settlements.slice(from, to)
        const [first, last] = [run[0], run.at(-1)]
        if (!first || !last) continue
        const state = stateAfter(first.status)
        const isWhole = run.length > 1 && count.get(first.job, last.job, intent) === run.length
        if (isWhole) settleRange.run(state, now, owner, first.job, last.job)
        for (const settlement of run) {
          if (!isWhole && settleOne.run(state, now, owner, settlement.job, intent).changes === 0) continue
          const { job, status, requestId, body, inputTokens, outputTokens } = settlement
          answers.add(job, status, requestId ?? null, body, inputTokens ?? null, outputTokens ?? null)
          settled.push(job)
        }
      }
      answers.flush()
      return settled
    },

    requeue(ref, jobs, { counted, possiblyBilled = false }) {
      return jobs.filter(
        (job) => requeueOne.run(ref.owner, Number(counted), Number(possiblyBilled), job, ref.id).changes > 0,
      )
    },
  }
}

function stateAfter(status: number): number {
  return status >= 200 && status < 300 ? JOB.answered : JOB.failed
}
