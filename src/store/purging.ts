import type { JobId } from '../core/job.ts'
import { RERUN_MS } from './budgets.ts'
import type { Connection } from './connection.ts'
import { INTENT, JOB } from './rows.ts'

/** Jobs looked at in one transaction, so that other processes do not wait for a long one. */
const JOBS_AT_ONCE = 5000

type OldRow = readonly [id: JobId, fingerprint: string, occurrence: number]

/**
 * Forgets what is older than `before`: settled jobs by the time they were settled, dropped ones by the time they were made, and
 * queued ones, unless only what is `finished` may go, whose owner has been gone that long. Submitted jobs stay: their batch may still
 * be billed.
 * One transaction per few thousand jobs; each is complete by itself.
 */
export function purgingIn({ database, read, write }: Connection): (before: number, which?: 'finished') => number {
  // Ids rise with time, so that a store with nothing old in it is not searched.
  const firstYoung = database
    .prepare<[number], JobId>('SELECT id FROM jobs WHERE created_at >= ? ORDER BY id LIMIT 1')
    .pluck()
  const page = database
    .prepare<[JobId, JobId], JobId>(
      `SELECT max(id) FROM (SELECT id FROM jobs WHERE id > ? AND id < ? ORDER BY id LIMIT ${JOBS_AT_ONCE})`,
    )
    .pluck()
  const old = database
    .prepare<[JobId, JobId, number, number, number, number], OldRow>(
      `SELECT id, fingerprint, occurrence FROM jobs WHERE id > ? AND id <= ? AND CASE state
         WHEN ${JOB.answered} THEN settled_at < ?
         WHEN ${JOB.failed} THEN settled_at < ?
         WHEN ${JOB.dropped} THEN 1
         WHEN ${JOB.queued} THEN ? = 0 AND coalesce((SELECT lease_until FROM owners WHERE owners.id = jobs.owner), 0) < ?
         ELSE 0 END`,
    )
    .raw()
  const forgetBody = database.prepare<[JobId]>('DELETE FROM bodies WHERE job = ?')
  const forgetAnswer = database.prepare<[JobId]>('DELETE FROM answers WHERE job = ?')
  const forgetPlace = database.prepare<[string, number, JobId]>(
    'DELETE FROM places WHERE fingerprint = ? AND occurrence = ? AND job = ?',
  )
  const forgetJob = database.prepare<[JobId]>('DELETE FROM jobs WHERE id = ?')
  const forgetIntents = database.prepare<[number]>(
    `DELETE FROM intents WHERE state >= ${INTENT.ended} AND coalesce(ended_at, created_at) < ? AND NOT EXISTS
       (SELECT 1 FROM jobs WHERE jobs.id BETWEEN intents.first_job AND intents.last_job AND jobs.intent = intents.id)`,
  )
  // A run that did not end in order may be run again within a day, and goes on with its budget.
  const forgetOwners = database.prepare<[number, number]>(
    `DELETE FROM owners WHERE lease_until < ? AND (budget IS NULL OR finished = 1 OR lease_until < ? - ${RERUN_MS})
       AND id NOT IN (SELECT owner FROM intents WHERE state < ${INTENT.ended})`,
  )

  return (before, which) => {
    const end = read(() => firstYoung.get(before)) ?? Number.MAX_SAFE_INTEGER
    let forgotten = 0
    let after = 0
    for (;;) {
      const last = read(() => page.get(after, end))
      if (!last) break
      const from = after
      forgotten += write(() => {
        const jobs = old.all(from, last, before, before, which === 'finished' ? 1 : 0, before)
        for (const [id, fingerprint, occurrence] of jobs) {
          if (occurrence > 0) forgetPlace.run(fingerprint, occurrence, id)
          forgetBody.run(id)
          forgetAnswer.run(id)
          forgetJob.run(id)
        }
        return jobs.length
      })
      after = last
    }
    write(() => {
      forgetIntents.run(before)
      forgetOwners.run(before, before)
    })
    return forgotten
  }
}
