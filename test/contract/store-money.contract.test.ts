/** What a store does with money: costs that are counted once, budgets that are kept to, and what outlives the answers. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Intent } from '../../src/core/batch.ts'
import type { JobId, Settlement } from '../../src/core/job.ts'
import type { JobTarget, NewOwner, Reservation, Store } from '../../src/core/store.ts'
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

const DAY = 24 * 60 * 60_000
const NOW = Date.UTC(2026, 10, 20, 12)
const LEASE = NOW + 30_000

const target: JobTarget = {
  provider: 'anthropic',
  baseUrl: 'https://api.anthropic.com/v1',
  endpoint: '/v1/messages',
  model: 'claude-haiku',
  account: 'account-1',
  queueKey: 'queue-1',
}

describe.each(Object.entries(stores))('the %s store', (_, open) => {
  let opened: Opened
  let store: Store
  let made = 0

  beforeEach(() => {
    opened = open()
    store = opened.store
  })
  afterEach(() => opened[Symbol.dispose]())

  function enter(change: Partial<NewOwner> = {}, now = NOW): number {
    return store.enter({ pid: 1, leaseUntil: now + 30_000, hasLimit: true, ...change }, now)
  }

  function queue(owner: number, count: number, now = NOW): readonly JobId[] {
    const jobs = Array.from({ length: count }, () => {
      made += 1
      return { target, fingerprint: `job-${made}`.padEnd(22, '_'), occurrence: 1, body: '{}' }
    })
    return store.enqueue(owner, jobs, now).map(({ job }) => job)
  }

  function claim(owner: number, jobs: readonly JobId[], reserve?: Reservation, metadata = {}): Intent | undefined {
    made += 1
    return store.claim(
      owner,
      { tag: `tag${made}`.padEnd(12, '0'), target, window: '24h', metadata },
      jobs,
      NOW,
      reserve,
    )
  }

  /** Claims as many of so many jobs as fit, at a dollar each. */
  function send(
    owner: number,
    count: number,
    limitUsd: number,
  ): { readonly intent: Intent; readonly jobs: readonly JobId[] } {
    const jobs = queue(owner, count)
    const intent = claim(owner, jobs, { limitUsd, maxCostUsd: jobs.map(() => 1) })
    if (!intent) throw new Error('nothing was claimed')
    return { intent, jobs }
  }

  function answer(job: JobId, costUsd: number | undefined, change: Partial<Settlement> = {}): Settlement {
    const cost = costUsd === undefined ? undefined : { costUsd, liveCostUsd: 2 * costUsd }
    return { job, status: 200, requestId: undefined, body: '{}', usage: { input: 100, output: 10 }, cost, ...change }
  }

  const budgetOf = (owner: number): readonly [spent: number, reserved: number] | undefined => {
    const state = store.budgetOf(owner)
    return state && [state.spentUsd, state.reservedUsd]
  }

  describe('a claim with a limit', () => {
    test('takes jobs up to the first that does not fit, and leaves the others queued', () => {
      const owner = enter()
      const jobs = queue(owner, 4)

      const intent = claim(owner, jobs, { limitUsd: 2.5, maxCostUsd: [1, 1, 1, 0.1] })

      expect(intent?.jobs).toBe(2)
      expect(store.status(jobs).map(({ state }) => state)).toEqual(['submitted', 'submitted', 'queued', 'queued'])
      expect(budgetOf(owner)).toEqual([0, 2])
    })

    test('takes what fits exactly, and not a thousandth of a cent more', () => {
      const owner = enter()

      expect(claim(owner, queue(owner, 3), { limitUsd: 0.3, maxCostUsd: [0.1, 0.1, 0.1] })?.jobs).toBe(3)
      expect(claim(owner, queue(owner, 1), { limitUsd: 0.3, maxCostUsd: [0.00001] })).toBeUndefined()
    })

    test('makes no intent when nothing fits, and reserves nothing', () => {
      const owner = enter()

      expect(claim(owner, queue(owner, 1), { limitUsd: 0.5, maxCostUsd: [1] })).toBeUndefined()
      expect(store.openIntents()).toEqual([])
      expect(budgetOf(owner)).toEqual([0, 0])
    })

    test('takes no job of which nobody says what it costs', () => {
      const owner = enter()
      const jobs = queue(owner, 2)

      expect(claim(owner, jobs, { limitUsd: 5, maxCostUsd: [1] })?.jobs).toBe(1)
      expect(claim(owner, jobs.slice(1), { limitUsd: 5, maxCostUsd: [Number.NaN] })).toBeUndefined()
    })

    test('reserves nothing for jobs that are no longer queued', () => {
      const owner = enter()
      const jobs = queue(owner, 3)
      store.drop(owner, jobs.slice(0, 1))

      expect(claim(owner, jobs, { limitUsd: 2, maxCostUsd: [5, 1, 1] })?.jobs).toBe(2)
      expect(budgetOf(owner)).toEqual([0, 2])
    })

    test('is the business of owners with a budget only', () => {
      const owner = enter({ hasLimit: false })

      expect(() => claim(owner, queue(owner, 1), { limitUsd: 1, maxCostUsd: [1] })).toThrow('without a budget')
      expect(store.budgetOf(owner)).toBeUndefined()
      expect(claim(owner, queue(owner, 1))?.jobs).toBe(1)
    })
  })

  describe('a reservation', () => {
    test('is held whole until the intent has ended, then what it cost counts', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 2, 10)

      store.settle(intent, [answer(jobs[0] ?? 0, 0.25)], NOW)
      const underWay = budgetOf(owner)
      store.settle(intent, [answer(jobs[1] ?? 0, 0.5)], NOW)
      const settled = budgetOf(owner)
      store.advance(intent, { state: 'ended' })

      expect([underWay, settled, budgetOf(owner)]).toEqual([
        [0, 2],
        [0, 2],
        [0.75, 0],
      ])
    })

    test('counts a job that is settled twice once', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 1, 10)
      const settlement = answer(jobs[0] ?? 0, 0.25)

      store.settle(intent, [settlement, settlement], NOW)
      store.settle(intent, [settlement], NOW)
      store.advance(intent, { state: 'ended' })
      store.advance(intent, { state: 'ended' })

      expect(budgetOf(owner)).toEqual([0.25, 0])
      expect(store.spending()).toMatchObject([{ requests: 1, costUsd: 0.25 }])
    })

    test('goes with a job that goes back to its queue', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 3, 3)

      store.requeue(intent, jobs.slice(0, 2), { counted: true })
      const after = budgetOf(owner)
      const again = claim(owner, jobs.slice(0, 2), { limitUsd: 3, maxCostUsd: [1, 1] })

      expect(after).toEqual([0, 1])
      expect(again?.jobs).toBe(2)
      expect(budgetOf(owner)).toEqual([0, 3])
    })

    test('stays for a job that goes back and may have been billed', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 2, 10)

      store.requeue(intent, jobs, { counted: true, possiblyBilled: true })
      store.advance(intent, { state: 'ended' })

      expect(budgetOf(owner)).toEqual([2, 0])
    })

    test('is what a job counts for whose cost nobody knows', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 2, 10)

      store.settle(intent, [answer(jobs[0] ?? 0, 0.25), answer(jobs[1] ?? 0, undefined)], NOW)
      store.advance(intent, { state: 'ended' })

      expect(budgetOf(owner)).toEqual([1.25, 0])
    })

    test('grows when an answer cost more than it could', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 1, 10)

      store.settle(intent, [answer(jobs[0] ?? 0, 3)], NOW)
      const settled = budgetOf(owner)
      store.advance(intent, { state: 'ended' })

      expect(settled).toEqual([0, 3])
      expect(budgetOf(owner)).toEqual([3, 0])
    })

    test('is given back when an intent is abandoned', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 2, 10)

      store.requeue(intent, jobs, { counted: false })
      store.advance(intent, { state: 'abandoned' })

      expect(budgetOf(owner)).toEqual([0, 0])
    })

    test('is settled by whoever takes the intent over, with a limit or without', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 2, 10)
      const another = enter({ hasLimit: false, leaseUntil: LEASE * 2 }, LEASE)

      const taken = store.takeOver(intent.id, another, LEASE)
      if (taken) {
        store.settle(
          taken,
          jobs.map((job) => answer(job, 0.5)),
          LEASE,
        )
        store.advance(taken, { state: 'ended' })
      }

      expect(budgetOf(owner)).toEqual([1, 0])
    })
  })

  describe('a budget', () => {
    test('is shared by all with a limit that are there at one time', () => {
      const [one, two] = [enter(), enter()]
      send(one, 2, 3)

      expect(store.budgetOf(two)).toEqual(store.budgetOf(one))
      expect(claim(two, queue(two, 2), { limitUsd: 3, maxCostUsd: [1, 1] })?.jobs).toBe(1)
    })

    test('is begun anew once everybody has left in order', () => {
      const [one, two] = [enter(), enter()]
      const first = store.budgetOf(one)?.id
      store.leave(one, NOW, 'finished')
      const third = enter()
      store.leave(two, NOW, 'finished')
      store.leave(third, NOW, 'finished')

      expect(store.budgetOf(third)?.id).toBe(first)
      expect(store.budgetOf(enter())?.id).not.toBe(first)
    })

    test('is shared with a run within a day that did not end in order, whatever it left', () => {
      const crashed = enter()
      const first = store.budgetOf(crashed)?.id

      expect(store.budgetOf(enter({}, LEASE + DAY - 1))?.id).toBe(first)
    })

    test('is not shared with one that was killed days ago and left nothing under way', () => {
      const crashed = enter()
      const { intent, jobs } = send(crashed, 1, 10)
      store.settle(
        intent,
        jobs.map((job) => answer(job, 1)),
        NOW,
      )
      store.advance(intent, { state: 'ended' })
      const later = enter({}, LEASE + 2 * DAY)

      expect(store.budgetOf(later)?.id).not.toBe(store.budgetOf(crashed)?.id)
      expect(budgetOf(later)).toEqual([0, 0])
    })

    test.each(['a batch', 'a queue'])('is shared with one that was killed days ago and left %s', (what) => {
      const crashed = enter()
      if (what === 'a batch') send(crashed, 1, 10)
      else queue(crashed, 1)

      const later = enter({}, LEASE + 2 * DAY)

      expect(store.budgetOf(later)?.id).toBe(store.budgetOf(crashed)?.id)
    })

    test('stays an owner’s when it enters anew after its lease', () => {
      const before = enter()
      send(before, 1, 10)
      const after = enter({ run: { after: before } }, LEASE + 3 * DAY)

      expect(store.budgetOf(after)).toEqual(store.budgetOf(before))
    })

    test('survives a purge as long as it is under way', () => {
      const crashed = enter()
      const first = store.budgetOf(crashed)?.id
      store.purge(LEASE + 1000)

      expect(store.budgetOf(enter({}, LEASE + 1000))?.id).toBe(first)
    })
  })

  describe('spending', () => {
    test('is summed up by day, model and use, once per answer, and stays when answers are purged', () => {
      const owner = enter({ hasLimit: false })
      const jobs = queue(owner, 4)
      const intent = claim(owner, jobs, undefined, { team: 'search' })
      const other = { endpoint: '/v1/messages', model: 'claude-opus' }
      const usage = { input: 100, output: 50, cachedInput: 40, reasoning: 20 }
      if (!intent) throw new Error('nothing was claimed')
      store.settle(intent, [answer(jobs[0] ?? 0, 0.1, { usage }), answer(jobs[1] ?? 0, 0.2)], NOW)
      store.settle(intent, [answer(jobs[2] ?? 0, undefined, { target: other })], NOW)
      store.settle(intent, [answer(jobs[3] ?? 0, 0.4)], NOW + DAY)

      store.purge(NOW + 2 * DAY)

      const common = { provider: 'anthropic', endpoint: '/v1/messages', metadata: { team: 'search' } }
      const none = { cachedTokens: 0, reasoningTokens: 0, inputTokens: 100, outputTokens: 10 }
      expect(store.spending()).toEqual([
        {
          ...common,
          day: '2026-11-20',
          model: 'claude-haiku',
          requests: 2,
          unpriced: 0,
          inputTokens: 200,
          cachedTokens: 40,
          outputTokens: 60,
          reasoningTokens: 20,
          costUsd: 0.3,
          liveCostUsd: 0.6,
        },
        {
          ...common,
          ...none,
          day: '2026-11-20',
          model: 'claude-opus',
          requests: 1,
          unpriced: 1,
          costUsd: 0,
          liveCostUsd: 0,
        },
        {
          ...common,
          ...none,
          day: '2026-11-21',
          model: 'claude-haiku',
          requests: 1,
          unpriced: 0,
          costUsd: 0.4,
          liveCostUsd: 0.8,
        },
      ])
      expect(store.spending('2026-11-21')).toHaveLength(1)
    })

    test('has nothing of refusals, unless they report what they used', () => {
      const owner = enter()
      const { intent, jobs } = send(owner, 2, 10)

      store.settle(
        intent,
        [answer(jobs[0] ?? 0, 0, { status: 400, usage: undefined }), answer(jobs[1] ?? 0, 0.1, { status: 400 })],
        NOW,
      )

      expect(store.spending()).toMatchObject([{ requests: 1, costUsd: 0.1 }])
    })
  })

  test('targetsOf tells what each job is for', () => {
    const owner = enter()
    const opus = { ...target, model: 'claude-opus' }
    const jobs = ['a', 'b'].map((name, index) => ({
      target: index === 0 ? target : opus,
      fingerprint: name.padEnd(22, '_'),
      occurrence: 1,
      body: '{}',
    }))
    const [one, two] = store.enqueue(owner, jobs, NOW)

    expect(store.targetsOf([two?.job ?? 0, 9999, one?.job ?? 0]).map((found) => found?.model)).toEqual([
      'claude-opus',
      undefined,
      'claude-haiku',
    ])
  })

  test('what was learned is kept, the latest for each model', () => {
    const about = { provider: 'openai', endpoint: '/v1/responses' }
    store.keepLearned([
      { ...about, model: 'a', state: '1' },
      { ...about, model: 'b', state: '2' },
    ])
    store.keepLearned([{ ...about, model: 'a', state: '3' }])

    expect(store.learned().toSorted((a, b) => a.model.localeCompare(b.model))).toEqual([
      { ...about, model: 'a', state: '3' },
      { ...about, model: 'b', state: '2' },
    ])
  })
})
