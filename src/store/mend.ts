import type { Database } from 'better-sqlite3'
import { INTENT, JOB } from './rows.ts'

/** What the salvaged rows told about those that are gone, and what was made of it. */
export interface Mended {
  /** Jobs whose record was made again from their place and their answer. */
  readonly restoredJobs: number
  /** Batches whose record was made again from their tag: the next run with their key looks for them at the provider. */
  readonly restoredIntents: number
  /** Paid answers that are gone here, and that the next run with their key reads again from the provider. */
  readonly answersToReadAgain: number
  /** Paid answers that are gone here, in batches nobody knows any more. */
  readonly lostAnswers: number
  /** Jobs that left traces, and cannot be told any more. */
  readonly lostJobs: number
  /** Jobs that were never sent, and whose body is gone. */
  readonly lostUnsent: number
  /** Jobs that were in a batch nobody knows any more: sent again only when a program asks for them again. */
  readonly possiblyBilled: number
  /** Batches that can only be known by name. */
  readonly lostIntents: readonly { readonly tag: string; readonly batch: string | undefined }[]
}

/** So that ids of rows that left no trace at all are not given again. */
const ID_MARGIN = 100_000

/**
 * Makes salvaged tables agree with each other again. What may have been billed is never left in a state from which it is sent again
 * before it was looked for, as long as anything is left to look for it by. `tags` are intents' tags by id, from their index.
 * Inside one transaction.
 */
export function mend(database: Database, tags: ReadonlyMap<number, string>, now: number): Mended {
  const run = (sql: string, ...values: readonly (number | string)[]): number =>
    database.prepare(sql).run(...values).changes
  const number = (sql: string): number => database.prepare<[], number | null>(sql).pluck().get() ?? 0

  const restoredJobs = restoreJobs()
  const lostJobs = number(
    `SELECT count(*) FROM (SELECT job FROM bodies UNION SELECT job FROM answers) WHERE job NOT IN (SELECT id FROM jobs)`,
  )
  const restoredIntents = restoreIntents()
  const lostIntents = dropUnusableIntents()
  const { answersToReadAgain, lostAnswers } = readAgain()
  const possiblyBilled = run(
    `UPDATE jobs SET state = ${JOB.dropped}, possibly_billed = 1, intent = NULL
     WHERE state = ${JOB.submitted} AND intent NOT IN (SELECT id FROM intents)`,
  )
  // A batch can hold jobs of several targets; one whose own is gone gets the batch's.
  run(
    `UPDATE jobs SET target = (SELECT target FROM intents WHERE intents.id = jobs.intent)
     WHERE state = ${JOB.submitted} AND target NOT IN (SELECT id FROM targets)`,
  )
  const lostUnsent = run(
    `DELETE FROM jobs WHERE id NOT IN (SELECT job FROM bodies) AND (state IN (${JOB.queued}, ${JOB.dropped}) OR
       (state = ${JOB.submitted} AND intent IN (SELECT id FROM intents WHERE state < ${INTENT.creating})))`,
  )
  keepIds()
  run('DELETE FROM bodies WHERE job NOT IN (SELECT id FROM jobs)')
  run('DELETE FROM answers WHERE job NOT IN (SELECT id FROM jobs)')
  indexPlaces()
  run('UPDATE owners SET lease_until = min(lease_until, ?)', now)
  return {
    restoredJobs,
    restoredIntents,
    answersToReadAgain,
    lostAnswers,
    lostJobs,
    lostUnsent,
    possiblyBilled,
    lostIntents,
  }

  /** An answer and the place it is found by are all that a later run needs. */
  function restoreJobs(): number {
    return run(
      `INSERT INTO jobs (id, target, state, owner, intent, requeues, possibly_billed, created_at, settled_at, occurrence, fingerprint)
       SELECT answers.job,
         coalesce((SELECT target FROM intents WHERE answers.job BETWEEN first_job AND last_job LIMIT 1),
                  (SELECT min(id) FROM targets), 0),
         CASE WHEN answers.status BETWEEN 200 AND 299 THEN ${JOB.answered} ELSE ${JOB.failed} END,
         0, NULL, 0, 0, ?, ?, places.occurrence, places.fingerprint
       FROM places JOIN answers ON answers.job = places.job
       WHERE places.job NOT IN (SELECT id FROM jobs) AND places.occurrence > 0`,
      now,
      now,
    )
  }

  /** As after a crash during its create: the next run looks for the tag before anything else. */
  function restoreIntents(): number {
    const orphans = database
      .prepare<[], readonly [id: number, target: number, jobs: number, first: number, last: number, since: number]>(
        `SELECT intent, min(target), count(*), min(id), max(id), min(created_at) FROM jobs
         WHERE intent NOT IN (SELECT id FROM intents) AND target IN (SELECT id FROM targets)
         GROUP BY intent HAVING sum(state = ${JOB.submitted}) > 0`,
      )
      .raw()
      .all()
    const insert = database.prepare<[number, string, number, number, number, number, number, number, number]>(
      `INSERT INTO intents (id, tag, target, state, owner, epoch, completion_window, metadata, jobs, first_job, last_job, root,
         created_at, creates, creating_at)
       VALUES (?, ?, ?, ${INTENT.creating}, 0, 1,
         coalesce((SELECT completion_window FROM intents ORDER BY id DESC LIMIT 1), '24h'), '{}', ?, ?, ?, ?, ?, 1, ?)`,
    )
    let restored = 0
    for (const [id, target, jobs, first, last, since] of orphans) {
      const tag = tags.get(id)
      if (tag === undefined) continue
      insert.run(id, tag, target, jobs, first, last, id, since, since)
      restored += 1
    }
    return restored
  }

  function dropUnusableIntents(): Mended['lostIntents'] {
    run(
      `UPDATE intents SET target = coalesce((SELECT target FROM jobs WHERE jobs.id BETWEEN first_job AND last_job
         AND jobs.intent = intents.id AND target IN (SELECT id FROM targets) LIMIT 1), target)
       WHERE target NOT IN (SELECT id FROM targets)`,
    )
    const unusable = 'FROM intents WHERE target NOT IN (SELECT id FROM targets)'
    const lost = database
      .prepare<[], { tag: string; batch: string | null }>(`SELECT tag, batch ${unusable} AND state < ${INTENT.ended}`)
      .all()
    run(`DELETE ${unusable}`)
    return lost.map(({ tag, batch }) => ({ tag, batch: batch ?? undefined }))
  }

  /** Answers were paid for: where the batch is known, its results are read once more. */
  function readAgain(): Pick<Mended, 'answersToReadAgain' | 'lostAnswers'> {
    const isGone = `state = ${JOB.answered} AND id NOT IN (SELECT job FROM answers)`
    const answersToReadAgain = run(
      `UPDATE jobs SET state = ${JOB.submitted}, settled_at = NULL, possibly_billed = 1
       WHERE ${isGone} AND intent IN (SELECT id FROM intents WHERE handle IS NOT NULL)`,
    )
    run(
      `UPDATE intents SET state = ${INTENT.created}, ended_at = NULL WHERE state >= ${INTENT.ended} AND id IN
         (SELECT intent FROM jobs WHERE state = ${JOB.submitted})`,
    )
    const lostAnswers = run(`DELETE FROM jobs WHERE ${isGone}`)
    run(`DELETE FROM jobs WHERE state = ${JOB.failed} AND id NOT IN (SELECT job FROM answers)`)
    return { answersToReadAgain, lostAnswers }
  }

  function keepIds(): void {
    const lastJob = number(
      `SELECT max(id) FROM (SELECT max(id) AS id FROM jobs UNION ALL SELECT max(job) FROM bodies UNION ALL
         SELECT max(job) FROM answers UNION ALL SELECT max(job) FROM places UNION ALL SELECT max(last_job) FROM intents)`,
    )
    run("UPDATE counters SET next = max(next, ?) WHERE name = 'job'", lastJob + ID_MARGIN)
    const floors = {
      intents: 'SELECT max(id) FROM (SELECT max(intent) AS id FROM jobs UNION ALL SELECT max(id) FROM intents)',
      owners: `SELECT max(id) FROM (SELECT max(owner) AS id FROM jobs UNION ALL SELECT max(owner) FROM intents UNION ALL
        SELECT max(id) FROM owners)`,
      targets: `SELECT max(id) FROM (SELECT max(target) AS id FROM jobs UNION ALL SELECT max(target) FROM intents UNION ALL
        SELECT max(id) FROM targets)`,
    }
    for (const [table, sql] of Object.entries(floors)) {
      const known = tags.size > 0 && table === 'intents' ? Math.max(...tags.keys()) : 0
      const last = Math.max(number(sql), known) + ID_MARGIN
      run('DELETE FROM sqlite_sequence WHERE name = ?', table)
      run('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)', table, last)
    }
  }

  function indexPlaces(): void {
    run('DELETE FROM places')
    run(
      `INSERT INTO places SELECT fingerprint, occurrence, id FROM jobs WHERE occurrence > 0
       ORDER BY fingerprint, occurrence, id ON CONFLICT DO UPDATE SET job = excluded.job`,
    )
    run("UPDATE counters SET next = (SELECT next FROM counters WHERE name = 'job') WHERE name = 'indexed'")
  }
}

/** What a budget holds is what its open intents hold: of one that is gone nothing more will be heard. Inside one transaction. */
export function mendBudgets(database: Database): void {
  database.exec(
    `UPDATE budgets SET reserved =
       (SELECT coalesce(sum(intents.reserved), 0) FROM intents WHERE intents.budget = budgets.id AND state < ${INTENT.ended})`,
  )
}
