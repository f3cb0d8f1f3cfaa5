import type { JobId } from '../core/job.ts'
import type { NewJob } from '../core/store.ts'
import type { Connection } from './connection.ts'

/**
 * Which job has which place: a fingerprint and an occurrence. Fingerprints are random, so that an index kept up to date with each
 * group would rewrite nearly all of its pages each time, which at a million jobs costs more than everything else together. The table
 * `places` is therefore brought up to date once per many jobs, in order; the jobs after that are kept in memory, read from the
 * table `jobs` itself. To be used inside a writing transaction, where nobody else adds any.
 */
export interface Places {
  /** Learns what other connections have added. Returns the id of the next job. */
  catchUp(): JobId
  /** The job that has this place, or had it: a job that lost it meanwhile has failed, or is gone. */
  find(job: Pick<NewJob, 'fingerprint' | 'occurrence'>): JobId | undefined
  add(job: NewJob, id: JobId): void
  giveUp(job: NewJob, id: JobId): void
  /** To be called with the id of the next job once all that were added are written. */
  keep(next: JobId): void
  /** To be called when a transaction did not go through: what it added is gone. */
  forget(): void
}

/** Jobs kept in memory at most: some megabytes, and some tenths of a second when they are written to a large table. */
const UNINDEXED_JOBS = 65_536

type FreshRow = readonly [id: JobId, fingerprint: string, occurrence: number]

export function placesIn({ database }: Connection): Places {
  const counter = database.prepare<[string], number>('SELECT next FROM counters WHERE name = ?').pluck()
  const setCounter = database.prepare<[JobId, string]>('UPDATE counters SET next = ? WHERE name = ?')
  const selectFresh = database
    .prepare<[JobId], FreshRow>(
      'SELECT id, fingerprint, occurrence FROM jobs WHERE id >= ? AND occurrence > 0 ORDER BY id',
    )
    .raw()
  const findIndexed = database
    .prepare<[string, number], JobId>('SELECT job FROM places WHERE fingerprint = ? AND occurrence = ?')
    .pluck()
  const remove = database.prepare<[string, number, JobId]>(
    'DELETE FROM places WHERE fingerprint = ? AND occurrence = ? AND job = ?',
  )
  // In order of the table, so that each of its pages is written once.
  const index = database.prepare<[JobId]>(
    `INSERT INTO places SELECT fingerprint, occurrence, id FROM jobs WHERE id >= ? AND occurrence > 0
     ORDER BY fingerprint, occurrence ON CONFLICT DO UPDATE SET job = excluded.job`,
  )

  const fresh = new Map<string, JobId>()
  /** Jobs below this are in the table, those from here on in memory, as far as they are below `seen`. */
  let indexed = 0
  let seen = 0

  return {
    catchUp() {
      const next = counter.get('job') ?? 1
      const nowIndexed = counter.get('indexed') ?? 1
      if (nowIndexed !== indexed) {
        fresh.clear()
        indexed = nowIndexed
        seen = nowIndexed
      }
      if (seen < next) {
        // A later job with the same place has taken it from an earlier one.
        for (const [id, fingerprint, occurrence] of selectFresh.iterate(seen)) {
          fresh.set(keyOf(fingerprint, occurrence), id)
        }
        seen = next
      }
      return next
    },

    find({ fingerprint, occurrence }) {
      if (occurrence === 0) return undefined
      const known = fresh.get(keyOf(fingerprint, occurrence))
      if (known !== undefined || indexed === 1) return known
      return findIndexed.get(fingerprint, occurrence)
    },

    add({ fingerprint, occurrence }, id) {
      if (occurrence > 0) fresh.set(keyOf(fingerprint, occurrence), id)
    },

    giveUp({ fingerprint, occurrence }, id) {
      fresh.delete(keyOf(fingerprint, occurrence))
      remove.run(fingerprint, occurrence, id)
    },

    keep(next) {
      if (next === seen) return
      setCounter.run(next, 'job')
      seen = next
      if (next - indexed < UNINDEXED_JOBS) return
      index.run(indexed)
      setCounter.run(next, 'indexed')
      indexed = next
      fresh.clear()
    },

    forget() {
      fresh.clear()
      indexed = 0
    },
  }
}

/** Fingerprints have no spaces. Nearly all occurrences are the first, whose key costs nothing this way. */
function keyOf(fingerprint: string, occurrence: number): string {
  return occurrence === 1 ? fingerprint : `${fingerprint} ${occurrence}`
}
