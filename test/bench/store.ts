/**
 * What the store costs per job: `node test/bench/store.ts [jobs] [body bytes]`. CPU of this process, SQLite's included; the groups
 * are those of a real run.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import type { Intent } from '../../src/core/batch.ts'
import type { NewJob, Store } from '../../src/core/store.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'

const jobs = Number(process.argv[2] ?? 100_000)
const bodyBytes = Number(process.argv[3] ?? 300)
const ENQUEUED_TOGETHER = 4096
const CLAIMED_TOGETHER = 1000
const SETTLED_TOGETHER = 500

const target = {
  provider: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  endpoint: '/v1/responses',
  model: 'gpt-5',
  account: 'account',
  queueKey: 'queue',
}
const padding = 'x'.repeat(Math.max(0, bodyBytes - 40))

// Made once, outside of what is measured.
const fingerprints = Array.from({ length: jobs }, (_, n) =>
  createHash('sha256').update(String(n)).digest('base64url').slice(0, 22),
)

interface Row {
  readonly operation: string
  readonly 'µs CPU per job': string
  readonly 'µs wall per job': string
}

function measure(operation: string, work: () => void): Row {
  const cpu = process.cpuUsage()
  const start = performance.now()
  work()
  const wall = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return {
    operation,
    'µs CPU per job': ((user + system) / jobs).toFixed(2),
    'µs wall per job': ((wall * 1000) / jobs).toFixed(2),
  }
}

function groups(size: number): readonly (readonly [from: number, to: number])[] {
  return Array.from({ length: Math.ceil(jobs / size) }, (_, n) => [n * size, Math.min(jobs, (n + 1) * size)] as const)
}

function newJobs([from, to]: readonly [number, number]): NewJob[] {
  return fingerprints.slice(from, to).map((fingerprint, n) => ({
    target,
    fingerprint,
    occurrence: 1,
    body: `{"model":"gpt-5","input":"${from + n} ${padding}"}`,
  }))
}

function run(store: Store): Row[] {
  const owner = store.enter({ pid: process.pid, leaseUntil: Number.MAX_SAFE_INTEGER }, 0)
  const ids: number[] = []
  const intents: Intent[] = []
  let bytes = 0
  const rows = [
    measure('enqueue', () => {
      for (const group of groups(ENQUEUED_TOGETHER)) {
        for (const { job } of store.enqueue(owner, newJobs(group), 0)) ids.push(job)
      }
    }),
    measure('claim', () => {
      for (const [n, [from, to]] of groups(CLAIMED_TOGETHER).entries()) {
        const tag = String(n).padStart(12, '0')
        const intent = store.claim(owner, { tag, target, window: '24h', metadata: {} }, ids.slice(from, to), 0)
        if (intent) intents.push(intent)
      }
    }),
    measure('bodies', () => {
      for (const { id } of intents) for (const { body } of store.bodies(id)) bytes += body.length
    }),
    measure('settle', () => {
      for (const [n, intent] of intents.entries()) {
        const own = ids.slice(n * CLAIMED_TOGETHER, (n + 1) * CLAIMED_TOGETHER)
        for (let from = 0; from < own.length; from += SETTLED_TOGETHER) {
          const settlements = own.slice(from, from + SETTLED_TOGETHER).map((job) => ({
            job,
            status: 200,
            requestId: `req_${job}`,
            body: `{"output":"${job} ${padding}"}`,
            inputTokens: 100,
            outputTokens: 100,
          }))
          store.settle(intent, settlements, 1)
        }
        store.advance(intent, { state: 'ended', handle: { id: `batch_${intent.id}` }, endedAt: 1 })
      }
    }),
    measure('enqueue again (answered)', () => {
      for (const group of groups(ENQUEUED_TOGETHER)) store.enqueue(owner, newJobs(group), 0)
    }),
    measure('status', () => {
      for (const [from, to] of groups(ENQUEUED_TOGETHER)) store.status(ids.slice(from, to))
    }),
  ]
  if (bytes < jobs * 20) throw new Error('bodies were missing')
  return rows
}

const folder = mkdtempSync(join(tmpdir(), 'offpeak-bench-'))
try {
  const path = join(folder, 'store.sqlite')
  const store = openSqliteStore({ path })
  console.log(`SQLite, ${jobs} jobs, bodies of ${bodyBytes} bytes`)
  console.table(run(store))
  console.table([measure('purge', () => store.purge(0)), measure('purge of everything', () => store.purge(2))])
  store[Symbol.dispose]()
  console.log(`file ${mebibytes(statSync(path).size)}, peak RSS ${mebibytes(process.resourceUsage().maxRSS * 1024)}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

if (jobs <= 100_000) {
  console.log('memory')
  console.table(run(openMemoryStore()))
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}
