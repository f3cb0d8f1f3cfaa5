/**
 * One of several processes on one store, for `processes.test.ts`: says `ready`, waits for a line on stdin, works, reports.
 * Node runs it as it is, and 22 does not know `using`.
 */
import { createInterface } from 'node:readline'
import type { NewJob, Placement } from '../../../src/core/store.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'

const [path = '', task = '', count = '0'] = process.argv.slice(2)
const target = { provider: 'p', baseUrl: 'http://p', endpoint: '/e', model: 'm', account: 'a', queueKey: 'q' }

function jobsOf(group: string, jobs: number): NewJob[] {
  // Two of each, so that occurrences are at stake too.
  return Array.from({ length: jobs }, (_, n) => ({
    target,
    fingerprint: `${group}-${n >> 1}`.padEnd(22, '_'),
    occurrence: 1 + (n & 1),
    body: JSON.stringify({ group, n, padding: 'x'.repeat(400) }),
  }))
}

function say(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

const tasks: Readonly<Record<string, () => void>> = {
  /** Everybody enqueues the same requests, in small groups. */
  same() {
    const store = openSqliteStore({ path })
    const owner = store.enter({ pid: process.pid, leaseUntil: Number.MAX_SAFE_INTEGER }, 0)
    const jobs = jobsOf('same', Number(count))
    const placements: Placement[] = []
    for (let at = 0; at < jobs.length; at += 20) placements.push(...store.enqueue(owner, jobs.slice(at, at + 20), 0))
    say({
      salt: Buffer.from(store.salt).toString('hex'),
      queued: placements.filter(({ kind }) => kind === 'queued').length,
      jobs: placements.map(({ job }) => job),
    })
    store[Symbol.dispose]()
  },
  /** Enqueues group after group until it is killed. */
  endless() {
    const store = openSqliteStore({ path })
    const owner = store.enter({ pid: process.pid, leaseUntil: Number.MAX_SAFE_INTEGER }, 0)
    for (let group = 0; ; group += 1) {
      store.enqueue(owner, jobsOf(`group-${group}`, Number(count)), 0)
      say({ group })
    }
  },
}

say('ready')
for await (const _ of createInterface({ input: process.stdin })) {
  tasks[task]?.()
  break
}
process.stdin.destroy()
