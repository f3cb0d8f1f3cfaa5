import type { JobId } from '../core/job.ts'
import type { NewJob, Placement } from '../core/store.ts'
import { bulkInto } from './bulk.ts'
import type { Connection } from './connection.ts'
import type { Owners } from './owners.ts'
import type { Places } from './places.ts'
import { type AnswerRow, answerOf, JOB } from './rows.ts'
import type { Targets } from './targets.ts'

export interface Placing {
  enqueue(owner: number, jobs: readonly NewJob[], now: number): readonly Placement[]
  drop(owner: number, jobs: readonly JobId[]): readonly JobId[]
  reclaim(owner: number, jobs: readonly JobId[], now: number): readonly JobId[]
}

type FoundRow = readonly [state: number, owner: number, intent: number | null]

/** Puts new jobs into the queue, or finds the ones they repeat. To be used inside a writing transaction. */
export function placingIn(
  connection: Connection,
  owners: Owners,
  targets: Targets,
  places: Places,
  batchOf: (intent: number) => string | undefined,
): Placing {
  const { database } = connection
  const jobsFor = bulkInto(
    connection,
    'jobs (id, target, state, owner, requeues, possibly_billed, created_at, occurrence, fingerprint)',
    `(?, ?, ${JOB.queued}, ?, 0, 0, ?, ?, ?)`,
  )
  const bodiesFor = bulkInto(connection, 'bodies', '(?, ?)')
  // Two statements, not a join: this SQLite plans a join with parameters anew each time, at ten times the cost of running it.
  const findJob = database.prepare<[JobId], FoundRow>('SELECT state, owner, intent FROM jobs WHERE id = ?').raw()
  const findAnswer = database
    .prepare<[JobId], AnswerRow>('SELECT status, request_id, body FROM answers WHERE job = ?')
    .raw()
  const revive = database.prepare<[number, number, JobId]>(
    `UPDATE jobs SET state = ${JOB.queued}, intent = NULL, owner = ?, target = ? WHERE id = ?`,
  )
  const keep = database.prepare<[number, JobId]>('UPDATE jobs SET owner = ? WHERE id = ?')
  const giveUpOccurrence = database.prepare<[JobId]>('UPDATE jobs SET occurrence = 0 WHERE id = ?')
  const dropJob = database.prepare<[JobId, number]>(
    `UPDATE jobs SET state = ${JOB.dropped} WHERE id = ? AND owner = ? AND state = ${JOB.queued}`,
  )
  const reclaimJob = database.prepare<[number, JobId, number]>(
    `UPDATE jobs SET state = ${JOB.queued}, intent = NULL, owner = ? WHERE id = ? AND (state = ${JOB.dropped}
       OR (state = ${JOB.queued} AND coalesce((SELECT lease_until FROM owners WHERE owners.id = jobs.owner), 0) <= ?))`,
  )

  return {
    enqueue(owner, jobs, now) {
      const first = places.catchUp()
      let next = first
      const newJobs = jobsFor()
      const bodies = bodiesFor()
      const gone = new Map<number, boolean>()
      const batches = new Map<number, string | undefined>()

      const placements = jobs.map((job) => {
        const known = places.find(job)
        return (known === undefined ? undefined : reuse(known, job)) ?? insert(job)
      })
      newJobs.flush()
      bodies.flush()
      places.keep(next)
      return placements

      function insert(job: NewJob): Placement {
        const id = next
        next += 1
        newJobs.add(id, targets.idOf(job.target), owner, now, job.occurrence, job.fingerprint)
        bodies.add(id, job.body)
        places.add(job, id)
        return { kind: 'queued', job: id }
      }

      /** undefined: the known job is gone, or has ended in a failure and made room for a new one. */
      function reuse(id: JobId, job: NewJob): Placement | undefined {
        // Of this very group, and perhaps not written yet.
        if (id >= first) return { kind: 'waiting', job: id }
        const row = findJob.get(id)
        if (!row) return undefined
        const [state, holder, intent] = row
        if (state === JOB.answered) {
          const answer = job.reuse === 'unfinished' && owners.isFinished(holder) ? undefined : findAnswer.get(id)
          // Whose answer it is now decides whether the next run may have it.
          if (answer && job.reuse === 'unfinished') keep.run(owner, id)
          if (answer) return { kind: 'answered', job: id, answer: answerOf(answer), batch: batchOfJob(intent) }
        }
        if (state === JOB.answered || state === JOB.failed) {
          giveUpOccurrence.run(id)
          places.giveUp(job, id)
          return undefined
        }
        if (state === JOB.dropped || (state === JOB.queued && isGone(holder))) {
          revive.run(owner, targets.idOf(job.target), id)
          return { kind: 'queued', job: id }
        }
        return { kind: 'waiting', job: id }
      }

      function isGone(holder: number): boolean {
        const known = gone.get(holder)
        if (known !== undefined) return known
        const isOver = owners.leaseOf(holder) <= now
        gone.set(holder, isOver)
        return isOver
      }

      function batchOfJob(intent: number | null): string | undefined {
        if (intent === null) return undefined
        if (!batches.has(intent)) batches.set(intent, batchOf(intent))
        return batches.get(intent)
      }
    },

    drop: (owner, jobs) => jobs.filter((job) => dropJob.run(job, owner).changes > 0),
    reclaim: (owner, jobs, now) => jobs.filter((job) => reclaimJob.run(owner, job, now).changes > 0),
  }
}
