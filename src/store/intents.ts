import type { Intent, IntentRef } from '../core/batch.ts'
import type { JobId } from '../core/job.ts'
import type { IntentChange, NewIntent, Reservation } from '../core/store.ts'
import type { Budgets, Fit } from './budgets.ts'
import type { Connection } from './connection.ts'
import type { Owners } from './owners.ts'
import { INTENT, INTENT_COLUMNS, intentOf, JOB, type IntentRow } from './rows.ts'
import { runsOf } from './runs.ts'
import type { Targets } from './targets.ts'

/** Batches whose duration is remembered: providers change their pace. */
const LATEST = 100

export interface Intents {
  claim(
    owner: number,
    intent: NewIntent,
    jobs: readonly JobId[],
    now: number,
    reserve: Reservation | undefined,
  ): Intent | undefined
  advance(ref: IntentRef, change: IntentChange, leaseAfter: number): boolean
  intent(id: number): Intent | undefined
  openIntents(filter: { readonly account?: string; readonly owner?: number }): readonly Intent[]
  failedSplits(root: number): number
  durations(provider: string, model: string): readonly number[]
  knowsBatch(provider: string, id: string): boolean
  takeOver(id: number, owner: number, now: number): Intent | undefined
  /** What settling needs to know of an intent; undefined when this ref may not change it. */
  held(ref: IntentRef): HeldIntent | undefined
  /** The ids between which all its jobs are. */
  rangeOf(intent: number): { readonly first: JobId; readonly last: JobId } | undefined
  /** The provider's id of its batch. */
  readonly batchOf: (intent: number) => string | undefined
}

export interface HeldIntent {
  readonly id: number
  readonly owner: number
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  /** As it is stored. */
  readonly metadata: string
  readonly budget: number | null
}

/** Statements about intents, to be used inside a transaction. */
export function intentsIn({ database }: Connection, owners: Owners, targets: Targets, budgets: Budgets): Intents {
  const insert = database.prepare<
    [string, number, number, string, string, number, JobId, JobId, number | null, number, number]
  >(
    `INSERT INTO intents (tag, target, state, owner, epoch, completion_window, metadata, jobs, first_job, last_job, root, created_at, run)
     VALUES (?, ?, ${INTENT.claimed}, ?, 1, ?, ?, ?, ?, ?, coalesce(?, 0), ?, (SELECT run FROM owners WHERE id = ?))`,
  )
  const makeRoot = database.prepare<[number]>('UPDATE intents SET root = id WHERE id = ? AND root = 0')
  const fill = database.prepare<[number, JobId, JobId, number]>(
    'UPDATE intents SET jobs = ?, first_job = ?, last_job = ? WHERE id = ?',
  )
  const remove = database.prepare<[number]>('DELETE FROM intents WHERE id = ?')
  const claimable = database
    .prepare<[JobId, JobId, number], readonly [count: number, least: number | null, most: number | null]>(
      `SELECT count(*), min(target), max(target) FROM jobs WHERE id BETWEEN ? AND ? AND owner = ? AND state = ${JOB.queued}`,
    )
    .raw()
  const claimRange = database.prepare<[number, JobId, JobId]>(
    `UPDATE jobs SET state = ${JOB.submitted}, intent = ? WHERE id BETWEEN ? AND ?`,
  )
  const targetOf = database
    .prepare<[JobId, number], number>(`SELECT target FROM jobs WHERE id = ? AND owner = ? AND state = ${JOB.queued}`)
    .pluck()
  const claimOne = database.prepare<[number, JobId]>(
    `UPDATE jobs SET state = ${JOB.submitted}, intent = ? WHERE id = ?`,
  )
  const select = database.prepare<[number], IntentRow>(`SELECT ${INTENT_COLUMNS} WHERE intents.id = ?`)
  const selectOpen = database.prepare<[], IntentRow>(
    `SELECT ${INTENT_COLUMNS} WHERE state < ${INTENT.ended} ORDER BY intents.id`,
  )
  const change = database.prepare<
    [
      state: number | null,
      upload: string | null,
      handle: string | null,
      batch: string | null,
      status: string | null,
      counts: string | null,
      isCreate: number,
      creatingAt: number | null,
      submittedAt: number | null,
      endedAt: number | null,
      id: number,
      owner: number,
      epoch: number,
      leaseAfter: number,
    ]
  >(
    `UPDATE intents SET
       state = coalesce(?, state), upload = coalesce(?, upload), handle = coalesce(?, handle), batch = coalesce(?, batch),
       status = coalesce(?, status), counts = coalesce(?, counts), creates = creates + ?, creating_at = coalesce(?, creating_at),
       submitted_at = coalesce(?, submitted_at), ended_at = coalesce(?, ended_at)
     WHERE id = ? AND owner = ? AND epoch = ? AND state < ${INTENT.ended}
       AND coalesce((SELECT lease_until FROM owners WHERE owners.id = intents.owner), 0) > ?`,
  )
  const held = database.prepare<[number, number, number], HeldIntent>(
    `SELECT intents.id, owner, provider, endpoint, model, metadata, budget FROM intents JOIN targets ON targets.id = intents.target
     WHERE intents.id = ? AND owner = ? AND epoch = ? AND state < ${INTENT.ended}`,
  )
  const failed = database
    .prepare<[number], number>("SELECT count(*) FROM intents WHERE root = ? AND status = 'failed'")
    .pluck()
  const durations = database
    .prepare<[string, string], number>(
      `SELECT ended_at - submitted_at FROM intents JOIN targets ON targets.id = intents.target
       WHERE provider = ? AND model = ? AND state = ${INTENT.ended} AND epoch = 1 AND submitted_at <= ended_at
         AND status NOT LIKE '%fail%' AND status NOT LIKE '%cancel%'
       ORDER BY intents.id DESC LIMIT ${LATEST}`,
    )
    .pluck()
  const known = database
    .prepare<[string, string], number>(
      'SELECT 1 FROM intents JOIN targets ON targets.id = intents.target WHERE batch = ? AND provider = ?',
    )
    .pluck()
  const take = database.prepare<[number, number]>('UPDATE intents SET owner = ?, epoch = epoch + 1 WHERE id = ?')
  const range = database.prepare<[number], { first: JobId; last: JobId }>(
    'SELECT first_job AS first, last_job AS last FROM intents WHERE id = ?',
  )
  const batch = database.prepare<[number], string | null>('SELECT batch FROM intents WHERE id = ?').pluck()

  function intent(id: number): Intent | undefined {
    const row = select.get(id)
    return row && intentOf(row)
  }

  /** Nothing is reserved for jobs that are no longer there to be claimed. */
  function fitting(owner: number, jobs: readonly JobId[], { limitUsd, maxCostUsd }: Reservation): Fit {
    const most = new Map<JobId, number>()
    for (const [at, job] of jobs.entries()) {
      if (targetOf.get(job, owner) !== undefined) most.set(job, maxCostUsd[at] ?? Number.NaN)
    }
    return budgets.fit(owner, [...most.keys()], { limitUsd, maxCostUsd: [...most.values()] })
  }

  return {
    claim(owner, wanted, allJobs, now, reserve) {
      const fit = reserve && fitting(owner, allJobs, reserve)
      const jobs = fit ? [...fit.amounts.keys()] : allJobs
      const target = targets.idOf(wanted.target)
      const metadata = JSON.stringify(wanted.metadata)
      const { lastInsertRowid } = insert.run(
        wanted.tag,
        target,
        owner,
        wanted.window,
        metadata,
        0,
        0,
        0,
        wanted.root ?? null,
        now,
        owner,
      )
      const id = Number(lastInsertRowid)
      let [count, first, last] = [0, Number.POSITIVE_INFINITY, 0]
      const claimed = (from: JobId, to: JobId): void => {
        count += to - from + 1
        first = Math.min(first, from)
        last = Math.max(last, to)
      }
      const sameQueue = new Set([target])
      const checkQueue = (job: JobId, other: number): void => {
        if (sameQueue.has(other)) return
        if (targets.queueKeyOf(other) !== wanted.target.queueKey) {
          throw new Error(`Job ${job} belongs to another queue than the batch it was claimed for.`)
        }
        sameQueue.add(other)
      }

      for (const { from, to } of runsOf(jobs, (job) => job)) {
        const [start, end] = [jobs[from], jobs[to - 1]]
        if (start === undefined || end === undefined) continue
        const [queued, least, most] = claimable.get(start, end, owner) ?? [0, null, null]
        if (queued === to - from && least === target && most === target) {
          claimRange.run(id, start, end)
          claimed(start, end)
          continue
        }
        if (queued === 0) continue
        for (let job = start; job <= end; job += 1) {
          const other = targetOf.get(job, owner)
          if (other === undefined) continue
          checkQueue(job, other)
          claimOne.run(id, job)
          claimed(job, job)
        }
      }

      if (count === 0) {
        remove.run(id)
        return undefined
      }
      fill.run(count, first, last, id)
      makeRoot.run(id)
      if (fit) budgets.hold(id, fit.budget, fit.amounts)
      return intent(id)
    },

    advance(ref, changes, leaseAfter) {
      const { state, upload, handle, status, counts, creatingAt, submittedAt, endedAt } = changes
      const changed = change.run(
        state === undefined ? null : INTENT[state],
        upload === undefined ? null : JSON.stringify(upload),
        handle === undefined ? null : JSON.stringify(handle),
        handle?.id ?? null,
        status ?? null,
        counts === undefined ? null : JSON.stringify(counts),
        state === 'creating' ? 1 : 0,
        creatingAt ?? null,
        submittedAt ?? null,
        endedAt ?? null,
        ref.id,
        ref.owner,
        ref.epoch,
        leaseAfter,
      )
      if (changed.changes === 0) return false
      if (state === 'ended' || state === 'abandoned') budgets.end(ref.id)
      return true
    },

    intent,

    openIntents: ({ account, owner }) =>
      selectOpen
        .all()
        .filter(
          (row) => (account === undefined || row.account === account) && (owner === undefined || row.owner === owner),
        )
        .map(intentOf),

    knowsBatch: (provider, id) => known.get(id, provider) !== undefined,
    failedSplits: (root) => failed.get(root) ?? 0,
    durations: (provider, model) => durations.all(provider, model),

    takeOver(id, owner, now) {
      const row = select.get(id)
      if (!row || row.state >= INTENT.ended || owners.leaseOf(row.owner) > now || owners.leaseOf(owner) <= now) {
        return undefined
      }
      // Its jobs follow without being touched: a job's own owner counts only while it is queued, and requeue sets it.
      take.run(owner, id)
      return intent(id)
    },

    held: (ref) => held.get(ref.id, ref.owner, ref.epoch),
    rangeOf: (id) => range.get(id),
    batchOf: (id) => batch.get(id) ?? undefined,
  }
}
