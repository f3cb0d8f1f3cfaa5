import type { JobId } from '../core/job.ts'
import type { NewJob, Placement } from '../core/store.ts'
import { bulkInto, ROWS_AT_ONCE } from './bulk.ts'
import type { Connection } from './connection.ts'
import type { Owners } from './owners.ts'
import { type AnswerRow, answerOf, JOB } from './rows.ts'
import type { Targets } from './targets.ts'

export interface Placing {
  enqueue(owner: number, jobs: readonly NewJob[], now: number): readonly Placement[]
  drop(owner: number, jobs: readonly JobId[]): readonly JobId[]
  reclaim(owner: number, jobs: readonly JobId[], now: number): readonly JobId[]
}

type FoundRow = readonly [id: JobId, state: number, owner: number, intent: number | null]

/** Puts new jobs into the queue, or finds the ones they repeat. To be used inside a writing transaction. */
export function placingIn(
  connection: Connection,
  owners: Owners,
  targets: Targets,
  batchOf: (intent: number) => string | undefined,
): Placing {
  const { database } = connection
  const nextId = database.prepare<[], number>("SELECT next FROM counters WHERE name = 'job'").pluck()
  const keepNextId = database.prepare<[number]>("UPDATE counters SET next = ? WHERE name = 'job'")
  const insertSql = (rows: number): string =>
    `INSERT INTO jobs (id, target, state, owner, requeues, possibly_billed, created_at, occurrence, fingerprint)
     VALUES ${Array(rows).fill(`(?, ?, ${JOB.queued}, ?, 0, 0, ?, ?, ?)`).join(', ')}
     ON CONFLICT (fingerprint, occurrence) WHERE occurrence > 0 DO NOTHING`
  const insertOne = database.prepare<(number | string)[]>(insertSql(1))
  const insertMany = database.prepare<(number | string)[]>(insertSql(ROWS_AT_ONCE))
  const bodiesFor = bulkInto(connection, 'bodies', 2)
  const find = database
    .prepare<[string, number], FoundRow>(
      'SELECT id, state, owner, intent FROM jobs WHERE fingerprint = ? AND occurrence = ? AND occurrence > 0',
    )
    .raw()
  // Not a join: this SQLite plans a join of parameters anew each time it is run, which costs ten times as much as running it.
  const findAnswer = database
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
      const bodies = bodiesFor()
      const gone = new Map<number, boolean>()
      const batches = new Map<number, string | undefined>()
      // Most groups are all new or all known: the last jobs tell what to try first with the next.
      let newInARow = ROWS_AT_ONCE

      while (placements.length < jobs.length) {
        const together = jobs.slice(placements.length, placements.length + ROWS_AT_ONCE)
        if (newInARow >= ROWS_AT_ONCE && together.length === ROWS_AT_ONCE) insertTogether(together)
        else for (const job of together) placements.push(place(job))
      }
      bodies.flush()
      if (next !== first) keepNextId.run(next)
      return placements

      /** All at once; where some of them are known already, those are looked at one by one. */
      function insertTogether(together: readonly NewJob[]): void {
        const ids = next
        const { changes } = insertMany.run(...together.flatMap((job, at) => rowOf(ids + at, job)))
        const areNew = changes === together.length
        if (changes > 0) next += together.length
        for (const [at, job] of together.entries()) {
          const id = ids + at
          const known = areNew || job.occurrence === 0 ? undefined : find.get(job.fingerprint, job.occurrence)
          if (known && known[0] !== id) placements.push(reuse(known, job) ?? insertInstead(job))
          else placements.push(queued(id, job))
        }
      }

      function place(job: NewJob): Placement {
        const known = newInARow > 0 ? undefined : find.get(job.fingerprint, job.occurrence)
        if (known) return reuse(known, job) ?? insertInstead(job)
        const inserted = insert(job)
        if (inserted) return inserted
        const found = find.get(job.fingerprint, job.occurrence)
        return (found && reuse(found, job)) ?? insertInstead(job)
      }

      function insert(job: NewJob): Placement | undefined {
        if (insertOne.run(...rowOf(next, job)).changes === 0) return undefined
        next += 1
        return queued(next - 1, job)
      }

      function insertInstead(job: NewJob): Placement {
        const inserted = insert(job)
        if (!inserted) throw new Error('A job that had just made room was found again.')
        return inserted
      }

      function rowOf(id: JobId, job: NewJob): (number | string)[] {
        return [id, targets.idOf(job.target), owner, now, job.occurrence, job.fingerprint]
      }

      function queued(id: JobId, job: NewJob): Placement {
        newInARow += 1
        bodies.add([id, job.body])
        return { kind: 'queued', job: id }
      }

      /** undefined: the known job ended in a failure and has made room for a new one. */
      function reuse(row: FoundRow, job: NewJob): Placement | undefined {
        newInARow = 0
        const [id, state, holder, intent] = row
        if (state === JOB.answered) {
          const answer = findAnswer.get(id)
          if (answer) return { kind: 'answered', job: id, answer: answerOf(answer), batch: batchOfJob(intent) }
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
