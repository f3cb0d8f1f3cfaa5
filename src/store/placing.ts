import type { JobId } from '../core/job.ts'
import type { NewJob, Placement } from '../core/store.ts'
import type { Connection } from './connection.ts'
import type { Owners } from './owners.ts'
import { answerOf, JOB, type AnswerRow } from './rows.ts'
import type { Targets } from './targets.ts'

export interface Placing {
  enqueue(owner: number, jobs: readonly NewJob[], now: number): readonly Placement[]
  drop(owner: number, jobs: readonly JobId[]): readonly JobId[]
  reclaim(owner: number, jobs: readonly JobId[], now: number): readonly JobId[]
}

type FoundRow = readonly [id: JobId, state: number, owner: number, intent: number | null]

/** Puts new jobs into the queue, or finds the ones they repeat. To be used inside a writing transaction. */
export function placingIn(
  { database }: Connection,
  owners: Owners,
  targets: Targets,
  batchOf: (intent: number) => string | undefined,
): Placing {
  const nextId = database.prepare<[], number>("SELECT next FROM counters WHERE name = 'job'").pluck()
  const keepNextId = database.prepare<[number]>("UPDATE counters SET next = ? WHERE name = 'job'")
  const insertJob = database.prepare<[JobId, number, number, number, number, string]>(
    `INSERT INTO jobs (id, target, state, owner, requeues, possibly_billed, created_at, occurrence, fingerprint)
     VALUES (?, ?, ${JOB.queued}, ?, 0, 0, ?, ?, ?)
     ON CONFLICT (fingerprint, occurrence) WHERE occurrence > 0 DO NOTHING`,
  )
  const insertBody = database.prepare<[JobId, string]>('INSERT INTO bodies VALUES (?, ?)')
  const find = database
    .prepare<[string, number], FoundRow>(
      'SELECT id, state, owner, intent FROM jobs WHERE fingerprint = ? AND occurrence = ? AND occurrence > 0',
    )
    .raw()
  const answer = database
    .prepare<[JobId], AnswerRow>('SELECT status, request_id, body FROM answers WHERE job = ?')
    .raw()
  const revive = database.prepare<[number, number, JobId]>(
    `UPDATE jobs SET state = ${JOB.queued}, intent = NULL, owner = ?, target = ? WHERE id = ?`,
  )
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
      const first = nextId.get() ?? 1
      let next = first
      const placements: Placement[] = []
      const gone = new Map<number, boolean>()
      const batches = new Map<number, string | undefined>()
      // Most groups are all new or all known, so that the last job tells what to try first with the next.
      let expectNew = true

      for (const job of jobs) {
        const known: FoundRow | undefined = expectNew ? undefined : find.get(job.fingerprint, job.occurrence)
        const placement: Placement | undefined = known
          ? reuse(known, job)
          : (insert(job) ?? reuse(find.get(job.fingerprint, job.occurrence), job))
        placements.push(placement ?? renew(job))
        expectNew = placement === undefined || placement.job >= first
      }
      if (next !== first) keepNextId.run(next)
      return placements

      function insert(job: NewJob): Placement | undefined {
        const target = targets.idOf(job.target)
        const inserted = insertJob.run(next, target, owner, now, job.occurrence, job.fingerprint)
        if (inserted.changes === 0) return undefined
        insertBody.run(next, job.body)
        return { kind: 'queued', job: next++ }
      }

      /** undefined: the known job ended in a failure and has made room for a new one. */
      function reuse(row: FoundRow | undefined, job: NewJob): Placement | undefined {
        if (!row) return undefined
        const [id, state, holder, intent] = row
        if (state === JOB.answered) {
          const stored = answer.get(id)
          if (stored) return { kind: 'answered', job: id, answer: answerOf(stored), batch: batchOfJob(intent) }
        }
        if (state === JOB.answered || state === JOB.failed) {
          giveUpOccurrence.run(id)
          return undefined
        }
        if (state === JOB.dropped || (state === JOB.queued && isGone(holder))) {
          revive.run(owner, targets.idOf(job.target), id)
          return { kind: 'queued', job: id }
        }
        return { kind: 'waiting', job: id }
      }

      function renew(job: NewJob): Placement {
        const placement = insert(job)
        if (!placement) throw new Error('A job that had just made room was found again.')
        return placement
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
