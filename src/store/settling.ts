import type { JobId, Settlement } from '../core/job.ts'
import type { Requeue } from '../core/store.ts'
import { bulkInto } from './bulk.ts'
import type { Budgets } from './budgets.ts'
import type { Connection } from './connection.ts'
import type { HeldIntent } from './intents.ts'
import { nanoUsd } from './nano-usd.ts'
import { JOB } from './rows.ts'
import { runsOf } from './runs.ts'
import { spendingIn } from './spending.ts'
import { createSummer, dayOf } from './spending-sums.ts'

export interface Settling {
  settle(intent: HeldIntent, settlements: readonly Settlement[], now: number): readonly JobId[]
  requeue(intent: HeldIntent, jobs: readonly JobId[], how: Requeue): readonly JobId[]
}

/** Ends the submission of jobs, one way or the other. To be used inside a writing transaction, by a ref that holds the intent. */
export function settlingIn(connection: Connection, budgets: Budgets): Settling {
  const { database } = connection
  const spending = spendingIn(database)
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
  const answersFor = bulkInto(connection, 'answers', '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const requeueOne = database.prepare<[number, number, number, JobId, number]>(
    `UPDATE jobs SET state = ${JOB.queued}, intent = NULL, owner = ?, requeues = requeues + ?, possibly_billed = possibly_billed | ?
     WHERE id = ? AND intent = ? AND state = ${JOB.submitted}`,
  )

  return {
    settle(held, settlements, now) {
      const { id: intent, owner, budget } = held
      const summer = createSummer(held)
      let known = 0
      const unknown: JobId[] = []
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
          const { job, status, requestId, body, usage, cost } = settlement
          answers.add(
            job,
            status,
            requestId ?? null,
            body,
            usage?.input ?? null,
            usage?.output ?? null,
            usage?.cachedInput ?? null,
            usage?.reasoning ?? null,
            cost ? nanoUsd(cost.costUsd) : null,
            cost ? nanoUsd(cost.liveCostUsd) : null,
          )
          summer.add(settlement)
          if (cost) known += nanoUsd(cost.costUsd)
          else unknown.push(job)
          settled.push(job)
        }
      }
      answers.flush()
      spending.add(dayOf(now), held.provider, held.metadata, summer.sums)
      if (budget !== null) budgets.charge(intent, known, unknown)
      return settled
    },

    requeue({ id, owner, budget }, jobs, { counted, possiblyBilled = false }) {
      return jobs.filter((job) => {
        const isBack = requeueOne.run(owner, Number(counted), Number(possiblyBilled), job, id).changes > 0
        if (isBack && budget !== null) budgets.release(id, job, possiblyBilled)
        return isBack
      })
    },
  }
}

function stateAfter(status: number): number {
  return status >= 200 && status < 300 ? JOB.answered : JOB.failed
}
