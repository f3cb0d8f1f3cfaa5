import { randomBytes } from 'node:crypto'
import type { Intent, IntentRef, IntentState } from '../core/batch.ts'
import {
  isSettled,
  type IntentChange,
  type JobStatus,
  type JobTarget,
  type NewIntent,
  type NewJob,
} from '../core/store.ts'
import type { Found, Learned, Placement, Requeue, Reservation, Store, StoredBody } from '../core/store.ts'
import type { Answer, JobId, JobState, Settlement } from '../core/job.ts'
import { memoryBudgets } from './memory-budgets.ts'
import { nanoUsd } from './nano-usd.ts'
import { presence } from './presence.ts'
import { memorySpending } from './memory-spending.ts'
import { createSummer, dayOf } from './spending-sums.ts'

type Wanted = Pick<NewJob, 'fingerprint' | 'occurrence' | 'reuse'>

interface MemoryJob {
  readonly id: JobId
  readonly fingerprint: string
  readonly body: string
  readonly createdAt: number
  target: JobTarget
  occurrence: number
  state: JobState
  owner: number
  intent: number | undefined
  requeues: number
  possiblyBilled: boolean
  answer: Answer | undefined
  settledAt: number
}

interface MemoryIntent {
  intent: Intent
  /** Every job that was ever claimed for it. */
  readonly jobs: readonly MemoryJob[]
}

/** A store that lasts as long as the process: for tests, and for programs that want no file. */
export function openMemoryStore(): Store {
  const present = presence()
  const leases = new Map<number, number>()
  const finished = new Set<number>()
  const jobs = new Map<JobId, MemoryJob>()
  const byPlace = new Map<string, MemoryJob>()
  const intents = new Map<number, MemoryIntent>()
  let owners = 0
  let lastJob = 0
  let lastIntent = 0
  const budgets = memoryBudgets()
  const spending = memorySpending()
  const learned = new Map<string, Learned>()

  const leaseOf = (owner: number): number => leases.get(owner) ?? 0
  const isOver = (state: IntentState): boolean => state === 'ended' || state === 'abandoned'

  function place(owner: number, job: NewJob, now: number): Placement {
    const key = placeOf(job.fingerprint, job.occurrence)
    const known = job.occurrence > 0 ? byPlace.get(key) : undefined
    const isOurs = job.reuse !== 'unfinished' || (known && !finished.has(known.owner))
    if (known?.state === 'answered' && known.answer && isOurs) {
      // Whose answer it is now decides whether the next run may have it.
      if (job.reuse === 'unfinished') known.owner = owner
      return { kind: 'answered', job: known.id, answer: known.answer, batch: batchOf(known) }
    }
    if (known?.state === 'submitted' || (known?.state === 'queued' && leaseOf(known.owner) > now)) {
      return { kind: 'waiting', job: known.id }
    }
    if (known && !isSettled(known.state)) {
      Object.assign(known, { state: 'queued', intent: undefined, owner, target: job.target })
      return { kind: 'queued', job: known.id }
    }
    if (known) known.occurrence = 0
    lastJob += 1
    const { target, fingerprint, occurrence, body } = job
    const made: MemoryJob = {
      id: lastJob,
      target,
      fingerprint,
      occurrence,
      body,
      owner,
      createdAt: now,
      state: 'queued',
      intent: undefined,
      requeues: 0,
      possiblyBilled: false,
      answer: undefined,
      settledAt: 0,
    }
    jobs.set(made.id, made)
    if (occurrence > 0) byPlace.set(key, made)
    return { kind: 'queued', job: made.id }
  }

  function peek(wanted: Wanted, now: number, since: number): Found | undefined {
    const known = wanted.occurrence > 0 ? byPlace.get(placeOf(wanted.fingerprint, wanted.occurrence)) : undefined
    if (!known) return undefined
    const { id, state, owner, answer } = known
    if (state === 'submitted' || (state === 'queued' && leaseOf(owner) > now)) return { kind: 'waiting', job: id }
    const isGiven = wanted.reuse !== 'unfinished' || !finished.has(owner)
    if (state !== 'answered' || !answer || !isGiven || known.settledAt < since) return undefined
    return { kind: 'answered', job: id, answer, batch: batchOf(known) }
  }

  function batchOf(job: MemoryJob): string | undefined {
    return job.intent === undefined ? undefined : intents.get(job.intent)?.intent.handle?.id
  }

  function statusOf(job: MemoryJob): JobStatus {
    const { id, state, intent, requeues, possiblyBilled, answer } = job
    return { job: id, state, intent, requeues, possiblyBilled, answer, batch: batchOf(job) }
  }

  function claim(
    owner: number,
    wanted: NewIntent,
    ids: readonly JobId[],
    now: number,
    reserve?: Reservation,
  ): Intent | undefined {
    const most = new Map(ids.map((id, at) => [id, reserve?.maxCostUsd[at] ?? Number.NaN]))
    const queued = [...most.keys()]
      .flatMap((id) => jobs.get(id) ?? [])
      .filter((job) => job.state === 'queued' && job.owner === owner)
    const amounts =
      reserve &&
      budgets.fit(
        owner,
        queued.map(({ id }) => id),
        { limitUsd: reserve.limitUsd, maxCostUsd: queued.map(({ id }) => most.get(id) ?? Number.NaN) },
      )
    const claimed = amounts ? queued.filter(({ id }) => amounts.has(id)) : queued
    const stranger = claimed.find((job) => job.target.queueKey !== wanted.target.queueKey)
    if (stranger) throw new Error(`Job ${stranger.id} belongs to another queue than the batch it was claimed for.`)
    if (claimed.length === 0) return undefined
    lastIntent += 1
    const { tag, target, window, metadata, root = lastIntent } = wanted
    const intent: Intent = {
      ...target,
      id: lastIntent,
      tag,
      window,
      metadata,
      root,
      state: 'claimed',
      owner,
      epoch: 1,
      jobs: claimed.length,
      upload: undefined,
      handle: undefined,
      status: undefined,
      counts: undefined,
      createdAt: now,
      creates: 0,
      creatingAt: undefined,
      submittedAt: undefined,
      endedAt: undefined,
    }
    for (const job of claimed) Object.assign(job, { state: 'submitted', intent: intent.id })
    intents.set(intent.id, { intent, jobs: claimed.sort((a, b) => a.id - b.id) })
    if (amounts) budgets.hold(intent.id, owner, amounts)
    return intent
  }

  function held(ref: IntentRef): MemoryIntent | undefined {
    const found = intents.get(ref.id)
    const isHeld = found?.intent.owner === ref.owner && found.intent.epoch === ref.epoch && !isOver(found.intent.state)
    return isHeld ? found : undefined
  }

  function advance(ref: IntentRef, change: IntentChange, leaseAfter = -1): boolean {
    const found = held(ref)
    if (!found || leaseOf(ref.owner) <= leaseAfter) return false
    const given = Object.entries(change).filter(([, value]) => value !== undefined)
    const creates = found.intent.creates + (change.state === 'creating' ? 1 : 0)
    found.intent = { ...found.intent, ...Object.fromEntries(given), creates }
    if (isOver(found.intent.state)) budgets.end(ref.id)
    return true
  }

  function reserve(ref: IntentRef, ids: readonly JobId[], wanted: Reservation): boolean {
    if (!held(ref)) return false
    if (budgets.has(ref.id)) return true
    const amounts = budgets.fit(ref.owner, ids, wanted)
    if (amounts.size < ids.length) return false
    budgets.hold(ref.id, ref.owner, amounts)
    return true
  }

  function takeOver(id: number, owner: number, now: number): Intent | undefined {
    const found = intents.get(id)
    if (!found || isOver(found.intent.state)) return undefined
    if (leaseOf(found.intent.owner) > now || leaseOf(owner) <= now) return undefined
    found.intent = { ...found.intent, owner, epoch: found.intent.epoch + 1 }
    return found.intent
  }

  function submitted(intent: number, ids: readonly JobId[]): MemoryJob[] {
    return ids.flatMap((id) => jobs.get(id) ?? []).filter((job) => job.intent === intent && job.state === 'submitted')
  }

  function unsettled(intent: number): MemoryJob[] {
    return (intents.get(intent)?.jobs ?? []).filter((job) => job.intent === intent && job.state === 'submitted')
  }

  function settle(ref: IntentRef, settlements: readonly Settlement[], now: number): JobId[] {
    const found = held(ref)
    if (!found) return []
    const { provider, metadata } = found.intent
    const summer = createSummer(found.intent)
    const settled: JobId[] = []
    for (const settlement of settlements) {
      const { job: id, status, requestId, body, cost } = settlement
      const job = jobs.get(id)
      if (job?.intent !== ref.id || job.state !== 'submitted') continue
      job.state = status >= 200 && status < 300 ? 'answered' : 'failed'
      job.answer = { status, requestId, body }
      job.settledAt = now
      job.owner = ref.owner
      summer.add(settlement)
      budgets.charge(ref.id, id, cost && nanoUsd(cost.costUsd))
      settled.push(id)
    }
    spending.add(dayOf(now), provider, metadata, summer.sums)
    return present.changed(settled)
  }

  function requeue(ref: IntentRef, ids: readonly JobId[], how: Requeue): JobId[] {
    if (!held(ref)) return []
    const requeued = submitted(ref.id, ids)
    for (const job of requeued) {
      job.state = 'queued'
      job.intent = undefined
      job.owner = ref.owner
      if (how.counted) job.requeues += 1
      if (how.possiblyBilled) job.possiblyBilled = true
      budgets.release(ref.id, job.id, how.possiblyBilled ?? false)
    }
    return present.changed(requeued.map((job) => job.id))
  }

  function purge(before: number): number {
    const old = [...jobs.values()].filter((job) => {
      if (isSettled(job.state)) return job.settledAt < before
      if (job.state === 'dropped') return job.createdAt < before
      return job.state === 'queued' && leaseOf(job.owner) < before
    })
    for (const job of old) {
      jobs.delete(job.id)
      if (job.occurrence > 0) byPlace.delete(placeOf(job.fingerprint, job.occurrence))
    }
    for (const [id, { intent, jobs: claimed }] of intents) {
      const isOld = isOver(intent.state) && (intent.endedAt ?? intent.createdAt) < before
      if (isOld && !claimed.some((job) => job.intent === id && jobs.has(job.id))) intents.delete(id)
    }
    return old.length
  }

  /** Whether the owner of a budget is at work, or left something that a run after it may go on with. */
  function isUnderWay(owner: number, since: number): boolean {
    if (finished.has(owner)) return false
    return leaseOf(owner) > since || [...jobs.values()].some((job) => job.state === 'queued' && job.owner === owner)
  }

  return {
    location: 'memory',
    folder: undefined,
    salt: new Uint8Array(randomBytes(32)),
    enter({ leaseUntil, run, hasLimit }, now) {
      owners += 1
      leases.set(owners, leaseUntil)
      const isFollowing = run && 'after' in run && budgets.follow(owners, run.after)
      if (hasLimit && !isFollowing) budgets.join(owners, isUnderWay, now)
      present.entered(owners)
      return owners
    },
    renew(owner, leaseUntil, now) {
      if (leaseOf(owner) <= now) return false
      leases.set(owner, leaseUntil)
      return true
    },
    leave(owner, now, how) {
      if (how === 'finished') finished.add(owner)
      leases.set(owner, Math.min(leaseOf(owner), now))
      present.left(owner)
    },
    isGone: (owner, now) => leaseOf(owner) <= now,
    peek,
    enqueue: (owner, wanted, now) => wanted.map((job) => place(owner, job, now)),
    drop(owner, ids) {
      const dropped = ids.filter((id) => jobs.get(id)?.state === 'queued' && jobs.get(id)?.owner === owner)
      for (const id of dropped) Object.assign(jobs.get(id) ?? {}, { state: 'dropped' })
      return present.changed(dropped)
    },
    reclaim(owner, ids, now) {
      const reclaimed = ids
        .flatMap((id) => jobs.get(id) ?? [])
        .filter((job) => job.state === 'dropped' || (job.state === 'queued' && leaseOf(job.owner) <= now))
      for (const job of reclaimed) Object.assign(job, { state: 'queued', intent: undefined, owner })
      return reclaimed.map((job) => job.id)
    },
    status: (ids) => ids.flatMap((id) => jobs.get(id) ?? []).map(statusOf),
    version: () => present.changes(),
    claim,
    reserve,
    advance,
    intent: (id) => intents.get(id)?.intent,
    openIntents: ({ account, owner } = {}) =>
      [...intents.values()]
        .map(({ intent }) => intent)
        .filter((intent) => !isOver(intent.state))
        .filter((intent) => account === undefined || intent.account === account)
        .filter((intent) => owner === undefined || intent.owner === owner),
    knowsBatch: (provider, id) =>
      [...intents.values()].some(({ intent }) => intent.provider === provider && intent.handle?.id === id),
    failedSplits: (root) =>
      [...intents.values()].filter(({ intent }) => intent.root === root && intent.status === 'failed').length,
    durations: (provider, model) =>
      [...intents.values()].toReversed().flatMap(({ intent }) => {
        const { submittedAt, endedAt, status = '' } = intent
        const isKind = intent.provider === provider && intent.model === model
        const wasWatched = intent.state === 'ended' && intent.epoch === 1 && !/fail|cancel/i.test(status)
        return isKind && wasWatched && submittedAt !== undefined && endedAt !== undefined ? [endedAt - submittedAt] : []
      }),
    takeOver,
    *bodies(intent): Generator<StoredBody> {
      for (const job of unsettled(intent)) yield { job: job.id, body: job.body, endpoint: job.target.endpoint }
    },
    unsettled: (intent) => unsettled(intent).map(statusOf),
    targetsOf: (ids) => ids.map((id) => jobs.get(id)?.target),
    settle,
    requeue,
    budgetOf: (owner) => budgets.stateOf(owner),
    spending: (since = '') => spending.since(since),
    learned: () => [...learned.values()],
    keepLearned(all) {
      for (const each of all) learned.set([each.provider, each.endpoint, each.model].join('\0'), each)
    },
    purge,
    [Symbol.dispose]() {},
  }
}

function placeOf(fingerprint: string, occurrence: number): string {
  return `${fingerprint} ${occurrence}`
}
