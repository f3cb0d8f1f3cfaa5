import { describe, expect, test } from 'vitest'
import { sleep } from '../../../src/core/clock.ts'
import type { Reply } from '../../../src/core/reply.ts'
import { Hold } from '../../../src/manager/hold.ts'
import { JobQueue } from '../../../src/manager/queue.ts'
import { Waiters, type Waiter } from '../../../src/manager/waiters.ts'
import { openai } from '../../../src/providers/openai.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { httpCall } from '../../support/provider-call.ts'

const LIMITS = { batchSize: 3, batchWindowMs: 2000, maxJobs: 10, maxBytes: 100 }

function queue(limits: typeof LIMITS = LIMITS): JobQueue {
  const call = httpCall('https://provider.test/v1')
  const account = { id: 'a', adapter: openai, call: { ...call, once: () => call } }
  const target = { provider: 'openai', baseUrl: '', endpoint: '', model: '', account: 'a', queueKey: 'q' }
  return new JobQueue(account, target, limits)
}

describe('a queue', () => {
  test('gives its oldest jobs first, as many as fit, and knows what is left', () => {
    const jobs = queue()
    for (const job of [1, 2, 3, 4]) jobs.push(job, { bytes: 10 * job, weight: job }, 500 + job)

    const first = jobs.take(900)

    expect(first).toEqual([1, 2, 3])
    expect(jobs.size()).toEqual({ jobs: 1, bytes: 40, weight: 4, oldestAt: 900 })
    expect(jobs.take(901)).toEqual([4])
    expect(jobs.take(902)).toEqual([])
    expect(jobs.size()).toMatchObject({ jobs: 0, bytes: 0, weight: 0 })
  })

  test('counts its window from its first job', () => {
    const jobs = queue()
    jobs.push(1, { bytes: 1, weight: 1 }, 500)
    jobs.push(2, { bytes: 1, weight: 1 }, 700)

    expect(jobs.size().oldestAt).toBe(500)
  })

  test('that had no room makes batches half as large, down to one job', () => {
    const jobs = queue({ ...LIMITS, batchSize: 1000 })

    const sizes = [300, 150, 3, 1].map((had) => {
      jobs.shrink(had)
      return jobs.limits.batchSize
    })

    expect(sizes).toEqual([150, 75, 1, 1])
  })

  test('is never made larger by having had no room', () => {
    const jobs = queue()
    jobs.shrink(2)

    jobs.shrink(5000)

    expect(jobs.limits.batchSize).toBe(1)
  })
})

describe('waiters', () => {
  const waiterFor = (answered: string[], name: string): Waiter => ({
    queue: queue(),
    fingerprint: name,
    bytes: 1,
    weight: 1,
    resolve: (reply: Reply) => void answered.push(`${name}: ${reply.status}`),
  })

  test('of one job are all given to whoever answers them, once', () => {
    const waiters = new Waiters(() => {})
    const answered: string[] = []
    for (const name of ['a', 'b', 'c']) waiters.add(7, waiterFor(answered, name))

    for (const waiter of waiters.take(7)) waiter.resolve({ status: 200, headers: {}, body: '' })

    expect(answered).toEqual(['a: 200', 'b: 200', 'c: 200'])
    expect(waiters.take(7)).toEqual([])
    expect(waiters.size).toBe(0)
  })

  test('leave one by one, and the job is nobody’s only when the last has left', () => {
    const waiters = new Waiters(() => {})
    const [first, second] = [waiterFor([], 'a'), waiterFor([], 'b')]
    waiters.add(7, first)
    waiters.add(7, second)

    expect([waiters.remove(7, first), waiters.first(7), waiters.remove(7, second), waiters.has(7)]).toEqual([
      false,
      second,
      true,
      false,
    ])
  })

  test('being gone is told to everybody who waits for that', async () => {
    let told = 0
    const waiters = new Waiters(() => (told += 1))
    waiters.add(1, waiterFor([], 'a'))
    waiters.add(2, waiterFor([], 'b'))
    const gone = Promise.all([waiters.whenEmpty(), waiters.whenEmpty()])

    waiters.take(1)
    const toldEarly = told
    waiters.take(2)
    await gone

    expect([toldEarly, told]).toEqual([0, 1])
    await waiters.whenEmpty()
  })
})

describe('holding the process', () => {
  test('lasts as long as something is under way, and no longer', () => {
    const clock = fakeClock()
    let isNeeded = false
    const hold = new Hold(clock, () => isNeeded)
    const states: boolean[] = []
    const look = (): void => {
      hold.update()
      states.push(clock.isHeld)
    }

    look()
    isNeeded = true
    look()
    look()
    isNeeded = false
    look()
    isNeeded = true
    look()
    hold.stop()
    states.push(clock.isHeld)

    expect(states).toEqual([false, true, true, false, true, false])
  })
})

describe('sleeping', () => {
  test('ends with its time, or with its signal, and leaves no timer', async () => {
    const clock = fakeClock()
    const controller = new AbortController()
    const long = sleep(clock, 1000)
    const cut = sleep(clock, 1000, { signal: controller.signal })

    controller.abort()
    await cut
    clock.advance(1000)
    await long
    await sleep(clock, 1000, { signal: controller.signal })

    expect(clock.timers).toBe(0)
  })
})
