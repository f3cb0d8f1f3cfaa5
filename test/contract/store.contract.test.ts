import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Intent } from '../../src/core/batch.ts'
import type { JobId, Settlement } from '../../src/core/job.ts'
import type { Found, JobTarget, NewIntent, NewJob, Placement, Store } from '../../src/core/store.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { tempStore } from '../support/store.ts'

interface Opened extends Disposable {
  readonly store: Store
}

const stores: Readonly<Record<string, () => Opened>> = {
  SQLite: tempStore,
  memory() {
    const store = openMemoryStore()
    return { store, [Symbol.dispose]: () => store[Symbol.dispose]() }
  },
}

const target: JobTarget = {
  provider: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  endpoint: '/v1/responses',
  model: 'gpt-5',
  account: 'account-1',
  queueKey: 'queue-1',
}
const otherModel: JobTarget = { ...target, model: 'gpt-5-mini' }
const otherQueue: JobTarget = { ...target, account: 'account-2', queueKey: 'queue-2' }

const NOW = 1_000_000
const LEASE = NOW + 30_000
const AFTER_LEASE = LEASE + 1

function newJob(name: string, change: Partial<NewJob> = {}): NewJob {
  return { target, fingerprint: name.padEnd(22, '_'), occurrence: 1, body: `{"input":"${name}"}`, ...change }
}

function newJobs(count: number, change: Partial<NewJob> = {}): NewJob[] {
  return Array.from({ length: count }, (_, n) => newJob(`job-${n}`, change))
}

let tags = 0
function newIntent(change: Partial<NewIntent> = {}): NewIntent {
  tags += 1
  return { tag: `tag${tags}`.padEnd(12, '0'), target, window: '24h', metadata: {}, ...change }
}

function reply(job: JobId, change: Partial<Settlement> = {}): Settlement {
  return { job, status: 200, requestId: `req_${job}`, body: `{"answer":${job}}`, ...change }
}

const idsOf = (placements: readonly Placement[]): JobId[] => placements.map(({ job }) => job)
const kindsOf = (placements: readonly Placement[]): string[] => placements.map(({ kind }) => kind)

describe.each(Object.entries(stores))('the %s store', (_, open) => {
  let opened: Opened
  let store: Store
  let owner: number

  beforeEach(() => {
    opened = open()
    store = opened.store
    owner = store.enter({ pid: 1, leaseUntil: LEASE }, NOW)
  })
  afterEach(() => opened[Symbol.dispose]())

  function enter(leaseUntil: number = LEASE): number {
    return store.enter({ pid: 2, leaseUntil }, NOW)
  }

  function enqueue(jobs: readonly NewJob[], by: number = owner, now: number = NOW): readonly Placement[] {
    return store.enqueue(by, jobs, now)
  }

  function claim(jobs: readonly JobId[], change: Partial<NewIntent> = {}, by: number = owner): Intent {
    const intent = store.claim(by, newIntent(change), jobs, NOW)
    if (!intent) throw new Error('nothing was claimed')
    return intent
  }

  /** Jobs that were submitted, together. */
  function submit(jobs: readonly NewJob[]): { readonly intent: Intent; readonly jobs: JobId[] } {
    const ids = idsOf(enqueue(jobs))
    return { intent: claim(ids), jobs: ids }
  }

  /** Jobs that were answered, by a batch of this id. */
  function answer(jobs: readonly NewJob[], change: Partial<Settlement> = {}, now: number = NOW): JobId[] {
    const submitted = submit(jobs)
    store.advance(submitted.intent, { state: 'created', handle: { id: 'batch_1' } })
    store.settle(
      submitted.intent,
      submitted.jobs.map((job) => reply(job, change)),
      now,
    )
    return submitted.jobs
  }

  function stateOf(job: JobId | undefined): string | undefined {
    return job === undefined ? undefined : store.status([job])[0]?.state
  }

  const only = (placements: readonly Placement[]): Placement => {
    const [placement, ...more] = placements
    if (!placement || more.length > 0) throw new Error('expected one placement')
    return placement
  }

  describe('its salt', () => {
    test('has 32 bytes and is not all zeros', () => {
      expect(store.salt).toHaveLength(32)
      expect(store.salt.some((byte) => byte !== 0)).toBe(true)
    })

    test('is not that of another store', () => {
      using another = open()

      expect(another.store.salt).not.toEqual(store.salt)
    })
  })

  describe('owners', () => {
    test('each get an id of their own', () => {
      expect(new Set([owner, enter(), enter()]).size).toBe(3)
    })

    test('extend their lease while it runs', () => {
      expect(store.renew(owner, LEASE + 1000, LEASE - 1)).toBe(true)
      expect(store.renew(owner, LEASE + 2000, LEASE + 999)).toBe(true)
    })

    test('cannot extend a lease that has run out', () => {
      expect(store.renew(owner, LEASE + 1000, LEASE)).toBe(false)
      expect(store.renew(owner, LEASE + 1000, LEASE - 1)).toBe(true)
    })

    test('cannot extend their lease once they have left', () => {
      store.leave(owner, NOW)

      expect(store.renew(owner, LEASE, NOW)).toBe(false)
    })

    test('that nobody knows have no lease', () => {
      expect(store.renew(owner + 1000, LEASE, NOW)).toBe(false)
    })

    test('do not get a longer lease by leaving', () => {
      store.leave(owner, AFTER_LEASE)

      expect(store.renew(owner, LEASE * 2, LEASE)).toBe(false)
    })
  })

  describe('enqueue', () => {
    test('queues new jobs in order, under rising ids', () => {
      const placements = enqueue(newJobs(50))

      expect(kindsOf(placements)).toEqual(Array(50).fill('queued'))
      expect(idsOf(placements)).toEqual(idsOf(placements).toSorted((a, b) => a - b))
      expect(new Set(idsOf(placements)).size).toBe(50)
    })

    test('of nothing places nothing', () => {
      expect(enqueue([])).toEqual([])
    })

    test('keeps equal requests apart by their occurrence, and finds each again', () => {
      const first = enqueue([1, 2, 3].map((occurrence) => newJob('same', { occurrence })))

      const again = enqueue([3, 1, 2].map((occurrence) => newJob('same', { occurrence })))

      expect(kindsOf(first)).toEqual(['queued', 'queued', 'queued'])
      const [one, two, three] = idsOf(first)
      expect(idsOf(again)).toEqual([three, one, two])
      expect(kindsOf(again)).toEqual(['waiting', 'waiting', 'waiting'])
    })

    test('maps two equal requests of one group to one job', () => {
      const placements = enqueue([newJob('a'), newJob('b'), newJob('a')])

      expect(kindsOf(placements)).toEqual(['queued', 'queued', 'waiting'])
      expect(placements[2]?.job).toBe(placements[0]?.job)
    })

    test('tells known and new jobs apart when they come mixed', () => {
      const known = idsOf(enqueue([newJob('a'), newJob('c'), newJob('e')]))

      const placements = enqueue(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => newJob(name)))

      expect(kindsOf(placements)).toEqual(['waiting', 'queued', 'waiting', 'queued', 'waiting', 'queued'])
      expect([0, 2, 4].map((at) => placements[at]?.job)).toEqual(known)
      expect(new Set(idsOf(placements)).size).toBe(6)
    })

    test('answers what was answered before, naming the batch', () => {
      const [job] = answer([newJob('a')])

      const placement = only(enqueue([newJob('a')], enter(AFTER_LEASE + 1000), AFTER_LEASE))

      expect(placement).toEqual({
        kind: 'answered',
        job,
        answer: { status: 200, requestId: `req_${job}`, body: `{"answer":${job}}` },
        batch: 'batch_1',
      })
    })

    test('names no batch for an answer whose intent never had one', () => {
      const { intent, jobs } = submit([newJob('a')])
      store.settle(intent, [reply(jobs[0] ?? 0, { requestId: undefined })], NOW)

      const placement = only(enqueue([newJob('a')]))

      expect(placement).toMatchObject({ kind: 'answered', batch: undefined, answer: { requestId: undefined } })
    })

    test.each([400, 424, 429, 500])('never reuses an answer of status %i: a new job is queued', (status) => {
      const [failed] = answer([newJob('a')], { status })

      const placement = only(enqueue([newJob('a')]))

      expect(placement.kind).toBe('queued')
      expect(placement.job).not.toBe(failed)
      expect(store.status([failed ?? 0])).toMatchObject([{ state: 'failed', answer: { status } }])
    })

    test('finds the new job, not the failed one, from then on', () => {
      answer([newJob('a')], { status: 500 })
      const retried = only(enqueue([newJob('a')]))

      const found = only(enqueue([newJob('a')]))

      expect(found).toEqual({ kind: 'waiting', job: retried.job })
    })

    test('queues a dropped job again, as the same job of this owner', () => {
      const [job] = idsOf(enqueue([newJob('a')]))
      store.drop(owner, [job ?? 0])
      const another = enter()

      const placement = only(enqueue([newJob('a')], another))

      expect(placement).toEqual({ kind: 'queued', job })
      expect(claim([placement.job], {}, another).jobs).toBe(1)
    })

    test('waits for a job that a live owner has queued', () => {
      const [job] = idsOf(enqueue([newJob('a')]))

      expect(enqueue([newJob('a')], enter(), LEASE - 1)).toEqual([{ kind: 'waiting', job }])
    })

    test('takes over a job whose owner ran out of lease', () => {
      const [job] = idsOf(enqueue([newJob('a')]))
      const another = enter(AFTER_LEASE + 1000)

      const placement = only(enqueue([newJob('a')], another, AFTER_LEASE))

      expect(placement).toEqual({ kind: 'queued', job })
      expect(store.claim(owner, newIntent(), [placement.job], AFTER_LEASE)).toBeUndefined()
      expect(store.claim(another, newIntent(), [placement.job], AFTER_LEASE)?.jobs).toBe(1)
    })

    test('takes over a job whose owner has left', () => {
      const [job] = idsOf(enqueue([newJob('a')]))
      store.leave(owner, NOW)

      expect(enqueue([newJob('a')], enter())).toEqual([{ kind: 'queued', job }])
    })

    test('waits for a submitted job even when its owner is gone', () => {
      const { jobs } = submit([newJob('a')])
      store.leave(owner, NOW)

      expect(enqueue([newJob('a')], enter())).toEqual([{ kind: 'waiting', job: jobs[0] }])
    })

    test('of occurrence 0 always makes a new job, which nobody finds', () => {
      const [answered] = answer([newJob('a', { occurrence: 0 })])

      const placements = enqueue([newJob('a', { occurrence: 0 }), newJob('a', { occurrence: 0 }), newJob('a')])

      expect(kindsOf(placements)).toEqual(['queued', 'queued', 'queued'])
      expect(new Set([answered, ...idsOf(placements)]).size).toBe(4)
    })

    test('of occurrence 0 makes a new job beside an answered one', () => {
      answer([newJob('a')])

      expect(kindsOf(enqueue([newJob('a', { occurrence: 0 })]))).toEqual(['queued'])
    })

    test('keeps bodies as they are, whatever they hold', () => {
      const bodies = [
        '{"input":"\u{1F600} \u00e9\u4e2d"}',
        '{"input":"\\u0000\\ud800"}',
        `{"input":"${'x'.repeat(300_000)}"}`,
      ]
      const { intent } = submit(bodies.map((body, n) => newJob(`body-${n}`, { body })))

      expect([...store.bodies(intent.id)].map(({ body }) => body)).toEqual(bodies)
    })
  })

  describe('peek', () => {
    const peek = (name: string, change: Partial<NewJob> = {}, now = NOW, since = 0): Found | undefined =>
      store.peek(newJob(name, change), now, since)

    test('finds nothing of a job nobody asked for, and makes none', () => {
      expect(peek('a')).toBeUndefined()
      expect(peek('a')).toBeUndefined()
      expect(kindsOf(enqueue([newJob('a')]))).toEqual(['queued'])
    })

    test('finds what enqueue would give: an answer, or a job to wait for', () => {
      const [answered = 0, submitted = 0, queued = 0, failed = 0] = idsOf(
        enqueue(['a', 'b', 'c', 'd'].map((name) => newJob(name))),
      )
      const intent = claim([answered, submitted, failed])
      store.advance(intent, { state: 'created', handle: { id: 'batch_1' } })
      store.settle(intent, [reply(answered), reply(failed, { status: 400 })], NOW)

      const answer = { status: 200, requestId: `req_${answered}`, body: `{"answer":${answered}}` }
      expect(peek('a')).toEqual({ kind: 'answered', job: answered, answer, batch: 'batch_1' })
      expect(peek('b', {}, AFTER_LEASE)).toEqual({ kind: 'waiting', job: submitted })
      expect(peek('c')).toEqual({ kind: 'waiting', job: queued })
      expect(peek('c', {}, AFTER_LEASE)).toBeUndefined()
      expect(peek('d')).toBeUndefined()
      expect(peek('a', { occurrence: 2 })).toBeUndefined()
    })

    test('finds no answer that is forgotten by then, nor one that a finished run has read, where only unfinished ones count', () => {
      const [job = 0] = idsOf(enqueue([newJob('a')]))
      store.settle(claim([job]), [reply(job)], NOW)

      expect(peek('a', {}, NOW + 10, NOW + 1)).toBeUndefined()
      expect(peek('a', { reuse: 'unfinished' })).toMatchObject({ kind: 'answered' })
      store.leave(owner, NOW, 'finished')
      expect(peek('a', { reuse: 'unfinished' })).toBeUndefined()
      expect(peek('a')).toMatchObject({ kind: 'answered' })
    })
  })

  describe('drop', () => {
    test('takes queued jobs out of the queue', () => {
      const jobs = idsOf(enqueue(newJobs(3)))

      const dropped = store.drop(owner, jobs.slice(0, 2))

      expect(dropped).toEqual(jobs.slice(0, 2))
      expect(jobs.map(stateOf)).toEqual(['dropped', 'dropped', 'queued'])
      expect(claim(jobs).jobs).toBe(1)
    })

    test('leaves submitted, settled and dropped jobs as they are', () => {
      const { jobs } = submit([newJob('a')])
      const settled = answer([newJob('b')])
      const dropped = idsOf(enqueue([newJob('c')]))
      store.drop(owner, dropped)

      expect(store.drop(owner, [...jobs, ...settled, ...dropped, 9999])).toEqual([])
      expect([...jobs, ...settled].map(stateOf)).toEqual(['submitted', 'answered'])
    })

    test('leaves the jobs of another owner alone', () => {
      const jobs = idsOf(enqueue([newJob('a')]))

      expect(store.drop(enter(), jobs)).toEqual([])
      expect(stateOf(jobs[0])).toBe('queued')
    })
  })

  describe('reclaim', () => {
    test('takes dropped jobs, and queued ones whose owner is gone', () => {
      const jobs = idsOf(enqueue(newJobs(2)))
      store.drop(owner, jobs.slice(0, 1))
      const another = enter(AFTER_LEASE + 1000)

      expect(store.reclaim(another, jobs, AFTER_LEASE)).toEqual(jobs)
      expect(claim(jobs, {}, another).jobs).toBe(2)
    })

    test('takes a dropped job from an owner that is still there', () => {
      const jobs = idsOf(enqueue([newJob('a')]))
      store.drop(owner, jobs)

      expect(store.reclaim(enter(), jobs, NOW)).toEqual(jobs)
    })

    test('leaves queued jobs of a live owner, submitted and settled jobs', () => {
      const queued = idsOf(enqueue([newJob('a')], enter(LEASE * 2)))
      const { jobs } = submit([newJob('b')])
      const settled = answer([newJob('c')])
      const another = enter(LEASE * 2)

      expect(store.reclaim(another, [...queued, ...jobs, ...settled, 9999], AFTER_LEASE)).toEqual([])
      expect([...queued, ...jobs, ...settled].map(stateOf)).toEqual(['queued', 'submitted', 'answered'])
    })
  })

  describe('status', () => {
    test('tells of a queued, a submitted and a settled job', () => {
      const [queued] = idsOf(enqueue([newJob('a')]))
      const { intent, jobs } = submit([newJob('b')])
      const [settled] = answer([newJob('c')])

      expect(store.status([queued ?? 0, jobs[0] ?? 0, settled ?? 0])).toEqual([
        {
          job: queued,
          state: 'queued',
          intent: undefined,
          requeues: 0,
          possiblyBilled: false,
          answer: undefined,
          batch: undefined,
        },
        {
          job: jobs[0],
          state: 'submitted',
          intent: intent.id,
          requeues: 0,
          possiblyBilled: false,
          answer: undefined,
          batch: undefined,
        },
        {
          job: settled,
          state: 'answered',
          intent: intent.id + 1,
          requeues: 0,
          possiblyBilled: false,
          answer: { status: 200, requestId: `req_${settled}`, body: `{"answer":${settled}}` },
          batch: 'batch_1',
        },
      ])
    })

    test('leaves out jobs nobody knows', () => {
      const [job] = idsOf(enqueue([newJob('a')]))

      expect(store.status([9999, job ?? 0]).map((status) => status.job)).toEqual([job])
    })
  })

  describe('version', () => {
    test('stays when nothing is written', () => {
      expect(store.version()).toBe(store.version())
    })

    test('differs after another owner of the same store has settled, dropped or requeued', () => {
      const another = enter()
      const { intent, jobs } = submit(newJobs(3))
      const dropped = idsOf(enqueue([newJob('x')], another))
      const versions = [store.version()]

      store.settle(intent, [reply(jobs[0] ?? 0)], NOW)
      versions.push(store.version())
      store.requeue(intent, [jobs[1] ?? 0], { counted: true })
      versions.push(store.version())
      store.drop(another, dropped)
      versions.push(store.version())
      store.leave(another, NOW)
      versions.push(store.version())

      expect(new Set(versions).size).toBe(5)
    })
  })

  describe('claim', () => {
    test('writes an intent for the jobs, as it was given', () => {
      const jobs = idsOf(enqueue(newJobs(3)))

      const intent = claim(jobs, { tag: 'abcdefghijkl', window: '7d', metadata: { team: 'evals', note: '"é"' } })

      expect(intent).toEqual({
        ...target,
        id: intent.id,
        tag: 'abcdefghijkl',
        window: '7d',
        metadata: { team: 'evals', note: '"é"' },
        state: 'claimed',
        owner,
        epoch: 1,
        jobs: 3,
        root: intent.id,
        createdAt: NOW,
        upload: undefined,
        handle: undefined,
        status: undefined,
        counts: undefined,
        creates: 0,
        creatingAt: undefined,
        submittedAt: undefined,
        endedAt: undefined,
      })
      expect(store.intent(intent.id)).toEqual(intent)
      expect(jobs.map(stateOf)).toEqual(['submitted', 'submitted', 'submitted'])
    })

    test('leaves out jobs that are no longer queued, in the middle or at the ends', () => {
      const jobs = idsOf(enqueue(newJobs(10)))
      claim([jobs[0], jobs[4], jobs[9]].map((job) => job ?? 0))

      const intent = claim(jobs)

      expect(intent.jobs).toBe(7)
      expect(store.unsettled(intent.id).map(({ job }) => job)).toEqual(jobs.filter((_, at) => ![0, 4, 9].includes(at)))
    })

    test('takes exactly the jobs it is given, in whatever order', () => {
      const jobs = idsOf(enqueue(newJobs(10)))
      const wanted = [8, 1, 2, 3, 6].map((at) => jobs[at] ?? 0)

      const intent = claim(wanted)

      expect(intent.jobs).toBe(5)
      expect(store.unsettled(intent.id).map(({ job }) => job)).toEqual(wanted.toSorted((a, b) => a - b))
      expect(stateOf(jobs[0])).toBe('queued')
      expect(stateOf(jobs[7])).toBe('queued')
    })

    test('counts a job once that is named twice', () => {
      const [job] = idsOf(enqueue([newJob('a')]))

      expect(claim([job ?? 0, job ?? 0]).jobs).toBe(1)
    })

    test('makes no intent when no job was left', () => {
      const { jobs } = submit(newJobs(3))

      expect(store.claim(owner, newIntent(), jobs, NOW)).toBeUndefined()
      expect(store.claim(owner, newIntent(), [], NOW)).toBeUndefined()
      expect(store.openIntents()).toHaveLength(1)
    })

    test('leaves the jobs of another owner alone', () => {
      const another = enter()
      const theirs = idsOf(enqueue([newJob('a')], another))
      const ours = idsOf(enqueue([newJob('b')]))

      expect(claim([...theirs, ...ours]).jobs).toBe(1)
      expect(stateOf(theirs[0])).toBe('queued')
    })

    test('puts different models of one queue into one intent', () => {
      const jobs = idsOf(enqueue([newJob('a'), newJob('b', { target: otherModel })]))

      expect(claim(jobs).jobs).toBe(2)
    })

    test('never puts jobs of another queue into an intent', () => {
      const jobs = idsOf(enqueue([newJob('a'), newJob('b', { target: otherQueue }), newJob('c')]))

      expect(() => store.claim(owner, newIntent(), jobs, NOW)).toThrow(/another queue/)
      expect(() => store.claim(owner, newIntent(), [jobs[1] ?? 0], NOW)).toThrow(/another queue/)
      expect(jobs.map(stateOf)).toEqual(['queued', 'queued', 'queued'])
      expect(store.openIntents()).toEqual([])
    })

    test('remembers the root it was split from', () => {
      const jobs = idsOf(enqueue(newJobs(2)))
      const root = claim(jobs.slice(0, 1))

      expect(claim(jobs.slice(1), { root: root.id }).root).toBe(root.id)
    })
  })

  describe('advance', () => {
    test('writes what is given and leaves the rest', () => {
      const { intent } = submit([newJob('a')])

      const advanced = [
        store.advance(intent, { state: 'uploaded', upload: { fileId: 'file-1', parts: [1, null] } }),
        store.advance(intent, { state: 'creating', creatingAt: NOW + 1 }),
        store.advance(intent, { state: 'created', handle: { id: 'batch_9', region: 'eu' }, submittedAt: NOW + 2 }),
        store.advance(intent, { status: 'in_progress', counts: { total: 1, completed: 0, failed: 0 } }),
        store.advance(intent, { status: undefined, counts: undefined, handle: undefined }),
      ]

      expect(advanced).toEqual([true, true, true, true, true])
      expect(store.intent(intent.id)).toEqual({
        ...intent,
        creates: 1,
        state: 'created',
        upload: { fileId: 'file-1', parts: [1, null] },
        handle: { id: 'batch_9', region: 'eu' },
        status: 'in_progress',
        counts: { total: 1, completed: 0, failed: 0 },
        creatingAt: NOW + 1,
        submittedAt: NOW + 2,
      })
    })

    test('changes nothing for another owner or another epoch', () => {
      const { intent } = submit([newJob('a')])

      expect(store.advance({ ...intent, owner: enter() }, { state: 'created' })).toBe(false)
      expect(store.advance({ ...intent, epoch: intent.epoch + 1 }, { state: 'created' })).toBe(false)
      expect(store.advance({ ...intent, id: 9999 }, { state: 'created' })).toBe(false)
      expect(store.intent(intent.id)).toEqual(intent)
    })

    test.each(['ended', 'abandoned'] as const)('changes nothing once the intent is %s', (state) => {
      const { intent } = submit([newJob('a')])
      store.advance(intent, { state, endedAt: NOW })

      expect(store.advance(intent, { state: 'created' })).toBe(false)
      expect(store.intent(intent.id)).toMatchObject({ state, endedAt: NOW })
    })

    test('with a time goes through only while the lease lasts longer than that', () => {
      const { intent } = submit([newJob('a')])

      expect(store.advance(intent, { state: 'creating' }, LEASE)).toBe(false)
      expect(store.intent(intent.id)?.state).toBe('claimed')
      expect(store.advance(intent, { state: 'creating' }, LEASE - 1)).toBe(true)
    })

    test('with a time does not go through for an owner that has left', () => {
      const { intent } = submit([newJob('a')])
      store.leave(owner, NOW)

      expect(store.advance(intent, { state: 'creating' }, NOW)).toBe(false)
    })

    test('without a time goes through after the lease, as long as nobody took over', () => {
      const { intent } = submit([newJob('a')])
      store.leave(owner, NOW)

      expect(store.advance(intent, { state: 'created' })).toBe(true)
    })
  })

  describe('openIntents', () => {
    test('lists what is neither ended nor abandoned, oldest first', () => {
      const first = submit([newJob('a')]).intent
      const ended = submit([newJob('b')]).intent
      const created = submit([newJob('c')]).intent
      const abandoned = submit([newJob('d')]).intent
      store.advance(ended, { state: 'ended' })
      store.advance(created, { state: 'created' })
      store.advance(abandoned, { state: 'abandoned' })

      expect(store.openIntents().map(({ id }) => id)).toEqual([first.id, created.id])
    })

    test('can be narrowed to an account and to an owner', () => {
      const ours = submit([newJob('a')]).intent
      const theirJobs = idsOf(enqueue([newJob('b', { target: otherQueue })]))
      const theirs = claim(theirJobs, { target: otherQueue })
      const another = enter()
      const others = claim(idsOf(enqueue([newJob('c')], another)), {}, another)

      const ids = (filter: { account?: string; owner?: number }): number[] =>
        store.openIntents(filter).map(({ id }) => id)

      expect(ids({ account: 'account-2' })).toEqual([theirs.id])
      expect(ids({ owner })).toEqual([ours.id, theirs.id])
      expect(ids({ account: 'account-1', owner: another })).toEqual([others.id])
      expect(ids({ account: 'nobody' })).toEqual([])
    })
  })

  test('failedSplits counts the failed intents of one root, itself included', () => {
    const jobs = idsOf(enqueue(newJobs(5)))
    const root = claim(jobs.slice(0, 1))
    const splits = [1, 2, 3].map((at) => claim(jobs.slice(at, at + 1), { root: root.id }))
    const stranger = claim(jobs.slice(4))
    for (const intent of [root, splits[0] ?? root, stranger]) {
      store.advance(intent, { status: 'failed' })
      store.advance(intent, { state: 'ended' })
    }
    store.advance(splits[1] ?? root, { status: 'completed' })

    expect(store.failedSplits(root.id)).toBe(2)
    expect(store.failedSplits(stranger.id)).toBe(1)
    expect(store.failedSplits(9999)).toBe(0)
  })

  describe('durations', () => {
    function ran(ms: number, status = 'completed', change: Partial<NewJob> = {}): Intent {
      const { intent } = submit([newJob(`ran-${(tags += 1)}`, change)])
      store.advance(intent, { state: 'created', handle: { id: intent.tag }, submittedAt: NOW })
      store.advance(intent, { state: 'ended', status, endedAt: NOW + ms })
      return intent
    }

    test('are those of ended batches of a provider and model, the latest first', () => {
      for (const ms of [300, 100, 200]) ran(ms)
      submit([newJob('open')])

      expect(store.durations('openai', 'gpt-5')).toEqual([200, 100, 300])
      expect(store.durations('openai', 'gpt-5-mini')).toEqual([])
      expect(store.durations('anthropic', 'gpt-5')).toEqual([])
    })

    test('leave out what did not run to its end, and what ended while its owner was away', () => {
      for (const status of ['failed', 'cancelled', 'JOB_STATE_CANCELLED']) ran(1, status)
      const { intent } = submit([newJob('left')])
      store.advance(intent, { state: 'created', handle: { id: 'b' }, submittedAt: NOW })
      store.leave(owner, NOW)
      const taken = store.takeOver(intent.id, enter(AFTER_LEASE + 60_000), AFTER_LEASE)
      if (!taken) throw new Error('nothing was taken over')
      store.advance(taken, { state: 'ended', status: 'completed', endedAt: AFTER_LEASE })

      expect(store.durations('openai', 'gpt-5')).toEqual([])
    })
  })

  describe('takeOver', () => {
    test('is refused while the owner has its lease', () => {
      const { intent } = submit([newJob('a')])

      expect(store.takeOver(intent.id, enter(LEASE * 2), LEASE - 1)).toBeUndefined()
      expect(store.takeOver(intent.id, owner, NOW)).toBeUndefined()
      expect(store.intent(intent.id)).toEqual(intent)
    })

    test('gives an intent whose owner ran out of lease to another, in a new epoch', () => {
      const { intent } = submit([newJob('a')])
      const another = enter(LEASE * 2)

      const taken = store.takeOver(intent.id, another, LEASE)

      expect(taken).toEqual({ ...intent, owner: another, epoch: 2 })
      expect(store.intent(intent.id)).toEqual(taken)
    })

    test('gives an intent whose owner has left to another', () => {
      const { intent } = submit([newJob('a')])
      store.leave(owner, NOW)

      expect(store.takeOver(intent.id, enter(), NOW)?.epoch).toBe(2)
    })

    test('is refused to an owner whose own lease has run out', () => {
      const { intent } = submit([newJob('a')])

      expect(store.takeOver(intent.id, enter(LEASE), AFTER_LEASE)).toBeUndefined()
    })

    test('goes to one of two that try', () => {
      const { intent } = submit([newJob('a')])
      const [first, second] = [enter(LEASE * 2), enter(LEASE * 2)]

      expect(store.takeOver(intent.id, first, AFTER_LEASE)?.owner).toBe(first)
      expect(store.takeOver(intent.id, second, AFTER_LEASE)).toBeUndefined()
    })

    test('ends every right of the owner before', () => {
      const { intent, jobs } = submit([newJob('a')])
      const another = enter(LEASE * 2)
      store.takeOver(intent.id, another, AFTER_LEASE)
      store.renew(owner, LEASE * 2, NOW)

      expect(store.advance(intent, { state: 'created' })).toBe(false)
      expect(
        store.settle(
          intent,
          jobs.map((job) => reply(job)),
          NOW,
        ),
      ).toEqual([])
      expect(store.requeue(intent, jobs, { counted: true })).toEqual([])
      expect(jobs.map(stateOf)).toEqual(['submitted'])
    })

    test('brings the jobs along: what goes back to the queue is the new owner’s', () => {
      const { intent, jobs } = submit(newJobs(3))
      const another = enter(LEASE * 2)
      const taken = store.takeOver(intent.id, another, AFTER_LEASE)

      expect(taken && store.requeue(taken, jobs, { counted: false })).toEqual(jobs)
      expect(store.claim(owner, newIntent(), jobs, AFTER_LEASE)).toBeUndefined()
      expect(store.claim(another, newIntent(), jobs, AFTER_LEASE)?.jobs).toBe(3)
    })

    test.each(['ended', 'abandoned'] as const)('is refused for an intent that is %s', (state) => {
      const { intent } = submit([newJob('a')])
      store.advance(intent, { state })

      expect(store.takeOver(intent.id, enter(LEASE * 2), AFTER_LEASE)).toBeUndefined()
    })

    test('is refused for an intent nobody knows', () => {
      expect(store.takeOver(9999, enter(), NOW)).toBeUndefined()
    })
  })

  describe('bodies', () => {
    test('gives every unsettled job of the intent, in job order, with its endpoint', () => {
      const chat: JobTarget = { ...target, endpoint: '/v1/chat/completions' }
      const jobs = idsOf(enqueue([newJob('a'), newJob('b', { target: chat }), newJob('c')]))
      const intent = claim(jobs.toReversed())
      store.settle(intent, [reply(jobs[2] ?? 0)], NOW)

      expect([...store.bodies(intent.id)]).toEqual([
        { job: jobs[0], body: '{"input":"a"}', endpoint: '/v1/responses' },
        { job: jobs[1], body: '{"input":"b"}', endpoint: '/v1/chat/completions' },
      ])
    })

    test('gives thousands of jobs, and none of another intent between them', () => {
      const jobs = idsOf(enqueue(newJobs(3000)))
      const even = claim(jobs.filter((_, at) => at % 2 === 0))
      claim(jobs.filter((_, at) => at % 2 === 1))

      const given = [...store.bodies(even.id)]

      expect(given.map(({ job }) => job)).toEqual(jobs.filter((_, at) => at % 2 === 0))
      expect(given.at(-1)?.body).toBe('{"input":"job-2998"}')
    })

    test('can be read while other things are read and written in between', () => {
      const { intent, jobs } = submit(newJobs(1000))
      const read: JobId[] = []
      const readBetween: number[] = []

      for (const { job } of store.bodies(intent.id)) {
        read.push(job)
        if (read.length % 100 === 0) {
          enqueue([newJob(`between-${read.length}`)])
          store.settle(intent, [reply(jobs[0] ?? 0)], NOW)
          readBetween.push([...store.bodies(intent.id)].length)
        }
      }

      expect(read).toEqual(jobs)
      expect(readBetween).toEqual(Array(10).fill(999))
    })

    test('can be left in the middle', () => {
      const { intent, jobs } = submit(newJobs(600))

      for (const { job } of store.bodies(intent.id)) if (job === jobs[10]) break

      expect(kindsOf(enqueue([newJob('later')]))).toEqual(['queued'])
      expect([...store.bodies(intent.id)]).toHaveLength(600)
    })

    test('gives nothing for an intent nobody knows', () => {
      expect([...store.bodies(9999)]).toEqual([])
    })
  })

  test('unsettled gives the jobs of an intent that are still submitted, in job order', () => {
    const { intent, jobs } = submit(newJobs(5))
    store.settle(intent, [reply(jobs[1] ?? 0), reply(jobs[2] ?? 0, { status: 400 })], NOW)
    store.requeue(intent, [jobs[4] ?? 0], { counted: true })

    expect(store.unsettled(intent.id).map(({ job, state }) => [job, state])).toEqual([
      [jobs[0], 'submitted'],
      [jobs[3], 'submitted'],
    ])
    expect(store.unsettled(9999)).toEqual([])
  })

  describe('settle', () => {
    test('ends jobs with an answer or a failure, by status', () => {
      const { intent, jobs } = submit(newJobs(4))
      const statuses = [200, 201, 400, 500]

      const settled = store.settle(
        intent,
        jobs.map((job, at) => reply(job, { status: statuses[at] ?? 0 })),
        NOW,
      )

      expect(settled).toEqual(jobs)
      expect(jobs.map(stateOf)).toEqual(['answered', 'answered', 'failed', 'failed'])
      expect(store.status(jobs).map(({ answer }) => answer?.status)).toEqual(statuses)
    })

    test('keeps the first of two settlements, of one call or of two', () => {
      const { intent, jobs } = submit(newJobs(2))
      const [one, two] = [jobs[0] ?? 0, jobs[1] ?? 0]

      const settled = [
        store.settle(intent, [reply(one, { body: '"first"' }), reply(one, { body: '"second"' })], NOW),
        store.settle(intent, [reply(one, { body: '"third"', status: 500 }), reply(two)], NOW),
      ]

      expect(settled).toEqual([[one], [two]])
      expect(store.status([one])).toMatchObject([{ state: 'answered', answer: { body: '"first"' } }])
    })

    test('settles the rest of a group of which some were settled before', () => {
      const { intent, jobs } = submit(newJobs(20))
      store.settle(intent, [reply(jobs[7] ?? 0, { body: '"first"' })], NOW)

      const settled = store.settle(
        intent,
        jobs.map((job) => reply(job)),
        NOW,
      )

      expect(settled).toEqual(jobs.filter((_, at) => at !== 7))
      expect(jobs.map(stateOf)).toEqual(Array(20).fill('answered'))
      expect(store.status([jobs[7] ?? 0])).toMatchObject([{ answer: { body: '"first"' } }])
    })

    test('matches jobs in any order', () => {
      const { intent, jobs } = submit(newJobs(50))
      const shuffled = jobs.toSorted((a, b) => ((a * 7919) % 53) - ((b * 7919) % 53))

      const settled = store.settle(
        intent,
        shuffled.map((job) => reply(job)),
        NOW,
      )

      expect(settled).toEqual(shuffled)
      expect(store.status(jobs).map(({ answer }) => answer?.body)).toEqual(jobs.map((job) => `{"answer":${job}}`))
    })

    test('leaves jobs of another intent, queued jobs and unknown ones alone', () => {
      const { intent, jobs } = submit([newJob('a')])
      const other = submit([newJob('b')])
      const queued = idsOf(enqueue([newJob('c')]))

      const settled = store.settle(
        intent,
        [...jobs, ...other.jobs, ...queued, 9999].map((job) => reply(job)),
        NOW,
      )

      expect(settled).toEqual(jobs)
      expect([...other.jobs, ...queued].map(stateOf)).toEqual(['submitted', 'queued'])
    })

    test('of nothing settles nothing', () => {
      expect(store.settle(submit([newJob('a')]).intent, [], NOW)).toEqual([])
    })

    test('is refused to another owner, in another epoch and once the intent is over', () => {
      const { intent, jobs } = submit(newJobs(2))
      const replies = jobs.map((job) => reply(job))

      expect(store.settle({ ...intent, owner: enter() }, replies, NOW)).toEqual([])
      expect(store.settle({ ...intent, epoch: 2 }, replies, NOW)).toEqual([])
      store.advance(intent, { state: 'ended' })
      expect(store.settle(intent, replies, NOW)).toEqual([])
      expect(jobs.map(stateOf)).toEqual(['submitted', 'submitted'])
    })
  })

  describe('requeue', () => {
    test('puts unsettled jobs back into the queue of the owner', () => {
      const { intent, jobs } = submit(newJobs(3))
      store.settle(intent, [reply(jobs[0] ?? 0)], NOW)

      const requeued = store.requeue(intent, [...jobs, 9999], { counted: true })

      expect(requeued).toEqual(jobs.slice(1))
      expect(store.status(jobs.slice(1))).toMatchObject([
        { state: 'queued', intent: undefined, requeues: 1, possiblyBilled: false },
        { state: 'queued', intent: undefined, requeues: 1, possiblyBilled: false },
      ])
      expect(claim(jobs).jobs).toBe(2)
    })

    test('counts only when asked to', () => {
      const [job] = idsOf(enqueue([newJob('a')]))
      for (const counted of [true, false, true]) store.requeue(claim([job ?? 0]), [job ?? 0], { counted })

      expect(store.status([job ?? 0])[0]?.requeues).toBe(2)
    })

    test('never forgets that a job was possibly billed', () => {
      const [job] = idsOf(enqueue([newJob('a')]))
      store.requeue(claim([job ?? 0]), [job ?? 0], { counted: true, possiblyBilled: true })
      store.requeue(claim([job ?? 0]), [job ?? 0], { counted: true, possiblyBilled: false })
      store.requeue(claim([job ?? 0]), [job ?? 0], { counted: true })
      store.drop(owner, [job ?? 0])
      enqueue([newJob('a')])

      expect(store.status([job ?? 0])).toMatchObject([{ possiblyBilled: true, requeues: 3 }])
    })

    test('lets a late settlement of the old intent change nothing', () => {
      const { intent, jobs } = submit([newJob('a')])
      store.requeue(intent, jobs, { counted: true })
      const again = claim(jobs)

      expect(
        store.settle(
          intent,
          jobs.map((job) => reply(job)),
          NOW,
        ),
      ).toEqual([])
      expect(
        store.settle(
          again,
          jobs.map((job) => reply(job)),
          NOW,
        ),
      ).toEqual(jobs)
    })

    test('lets a requeued job share an intent with a much later one', () => {
      const first = submit(newJobs(5))
      const later = idsOf(enqueue([newJob('later')]))
      store.requeue(first.intent, first.jobs.slice(2, 3), { counted: true })

      const intent = claim([...later, ...first.jobs.slice(2, 3)])

      expect([...store.bodies(intent.id)].map(({ job }) => job)).toEqual([first.jobs[2], later[0]])
      expect(store.unsettled(first.intent.id)).toHaveLength(4)
    })

    test('is refused to another owner, in another epoch and once the intent is over', () => {
      const { intent, jobs } = submit([newJob('a')])

      expect(store.requeue({ ...intent, owner: enter() }, jobs, { counted: true })).toEqual([])
      expect(store.requeue({ ...intent, epoch: 2 }, jobs, { counted: true })).toEqual([])
      store.advance(intent, { state: 'abandoned' })
      expect(store.requeue(intent, jobs, { counted: true })).toEqual([])
      expect(jobs.map(stateOf)).toEqual(['submitted'])
    })
  })

  describe('purge', () => {
    const LATER = NOW + 1_000_000

    test('forgets what was settled before the time, with bodies and answers', () => {
      const old = answer([newJob('a'), newJob('b')], {}, LATER - 1)
      const oldFailures = answer([newJob('c')], { status: 400 }, LATER - 1)
      const young = answer([newJob('d')], {}, LATER)

      expect(store.purge(LATER)).toBe(3)
      expect([...old, ...oldFailures].map(stateOf)).toEqual([undefined, undefined, undefined])
      expect(young.map(stateOf)).toEqual(['answered'])
      expect(kindsOf(enqueue([newJob('a'), newJob('d')]))).toEqual(['queued', 'answered'])
    })

    test('never gives the id of a forgotten job to another', () => {
      const forgotten = answer([newJob('a')])
      store.purge(LATER)

      expect(only(enqueue([newJob('b')])).job).toBeGreaterThan(forgotten[0] ?? 0)
    })

    test('forgets dropped jobs made before the time', () => {
      const old = idsOf(enqueue([newJob('a')], owner, LATER - 1))
      const young = idsOf(enqueue([newJob('b')], owner, LATER))
      store.drop(owner, [...old, ...young])

      expect(store.purge(LATER)).toBe(1)
      expect([...old, ...young].map(stateOf)).toEqual([undefined, 'dropped'])
    })

    test('keeps submitted jobs, however old', () => {
      const { intent, jobs } = submit([newJob('a')])
      store.leave(owner, NOW)

      expect(store.purge(LATER)).toBe(0)
      expect(jobs.map(stateOf)).toEqual(['submitted'])
      expect(store.intent(intent.id)).toBeDefined()
      expect(store.takeOver(intent.id, enter(LATER * 2), LATER)?.jobs).toBe(1)
    })

    test('forgets queued jobs only once their owner has been gone that long', () => {
      const ours = idsOf(enqueue([newJob('a')]))
      const another = enter(LATER * 2)
      const theirs = idsOf(enqueue([newJob('b')], another))

      expect(store.purge(LEASE)).toBe(0)
      expect(store.purge(AFTER_LEASE)).toBe(1)
      expect([...ours, ...theirs].map(stateOf)).toEqual([undefined, 'queued'])
    })

    test('forgets intents that are over and have no jobs left, and no others', () => {
      const over = submit([newJob('a')])
      store.settle(
        over.intent,
        over.jobs.map((job) => reply(job)),
        NOW,
      )
      store.advance(over.intent, { state: 'ended', endedAt: NOW })
      const kept = submit([newJob('b')])
      store.settle(
        kept.intent,
        kept.jobs.map((job) => reply(job)),
        LATER + 1,
      )
      store.advance(kept.intent, { state: 'ended', endedAt: NOW })
      const requeued = submit([newJob('c')])
      store.requeue(requeued.intent, requeued.jobs, { counted: true })
      store.advance(requeued.intent, { state: 'abandoned', endedAt: NOW })
      const open = submit([newJob('d')])

      store.purge(LATER)

      const intents = [over, kept, requeued, open].map(({ intent }) => store.intent(intent.id)?.state)
      expect(intents).toEqual([undefined, 'ended', undefined, 'claimed'])
    })

    test('forgets thousands at once and finds the young between them', () => {
      const jobs = idsOf(enqueue(newJobs(12_000)))
      const intent = claim(jobs)
      const young = new Set(jobs.filter((_, at) => at % 1000 === 0))
      store.settle(
        intent,
        jobs.filter((job) => !young.has(job)).map((job) => reply(job)),
        NOW,
      )
      store.settle(
        intent,
        [...young].map((job) => reply(job)),
        LATER,
      )

      expect(store.purge(LATER)).toBe(11_988)
      expect(store.status(jobs).map(({ job }) => job)).toEqual([...young])
      expect(store.purge(LATER)).toBe(0)
    })
  })
})
