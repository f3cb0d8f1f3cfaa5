import type { JobId } from '../core/job.ts'
import type { Found, StoredAnswers } from '../core/store.ts'
import type { Connection } from './connection.ts'
import type { Places } from './places.ts'
import { type AnswerRow, answerOf, JOB } from './rows.ts'

type PeekRow = readonly [state: number, owner: number, intent: number | null, settledAt: number | null]

/** What a new job would find, by reading alone. Each look is a transaction of its own. */
export function peekingIn({ database, read }: Connection, places: Places): StoredAnswers['peek'] {
  const findJob = database
    .prepare<[JobId], PeekRow>('SELECT state, owner, intent, settled_at FROM jobs WHERE id = ?')
    .raw()
  const findAnswer = database
    .prepare<[JobId], AnswerRow>('SELECT status, request_id, body FROM answers WHERE job = ?')
    .raw()
  const leaseUntil = database.prepare<[number], number>('SELECT lease_until FROM owners WHERE id = ?').pluck()
  const isFinished = database.prepare<[number], number>('SELECT finished FROM owners WHERE id = ?').pluck()
  const batchOf = database.prepare<[number], string | null>("SELECT handle ->> 'id' FROM intents WHERE id = ?").pluck()

  return (job, now, since) =>
    read((): Found | undefined => {
      places.catchUp()
      const id = places.find(job)
      const row = id === undefined ? undefined : findJob.get(id)
      if (id === undefined || !row) return undefined
      const [state, owner, intent, settledAt] = row
      if (state === JOB.submitted || (state === JOB.queued && (leaseUntil.get(owner) ?? 0) > now)) {
        return { kind: 'waiting', job: id }
      }
      const isGiven = job.reuse !== 'unfinished' || isFinished.get(owner) === 0
      if (state !== JOB.answered || !isGiven || (settledAt ?? now) < since) return undefined
      const answer = findAnswer.get(id)
      const batch = intent === null ? undefined : (batchOf.get(intent) ?? undefined)
      return answer && { kind: 'answered', job: id, answer: answerOf(answer), batch }
    })
}
