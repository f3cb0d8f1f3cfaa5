/** A store of several thousand jobs in every state, and ways to harm its files, for the tests of repair. */
import Sqlite from 'better-sqlite3'
import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import type { Answer, JobId } from '../../../src/core/job.ts'
import type { JobTarget, NewJob, Store } from '../../../src/core/store.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'

export const PAGE = 4096
export const TAGS = { ended: 'endedendeden', open: 'openopenopen', claimed: 'claimedclaim' } as const
const BATCH = 'batch_open'
/** Jobs 1 … 2000 are answered, … 3000 submitted, … 3500 claimed and not sent, … 4000 queued. */
const JOBS = { answered: 2000, submitted: 3000, claimed: 3500, all: 4000 } as const
export const MADE_AT = 1000
/** The leases of the scene are over by then. */
export const NOW = 10_000

function targetOf(model: string): JobTarget {
  return { provider: 'openai', baseUrl: 'http://p/v1', endpoint: '/v1/e', model, account: 'a', queueKey: `q-${model}` }
}

/** Every hundredth is longer than a page. */
export function newJob(id: JobId): NewJob {
  const model = id <= JOBS.answered ? 'one' : 'two'
  const text = `question ${id} `.repeat(id % 100 === 0 ? 800 : 8)
  return {
    target: targetOf(model),
    fingerprint: `job-${id}`.padEnd(22, '_'),
    occurrence: 1,
    body: JSON.stringify({ model, input: text }),
  }
}

function answerOf(id: JobId): Answer & { readonly job: JobId } {
  const body = JSON.stringify({ answer: `answer ${id} `.repeat(id % 90 === 0 ? 900 : 6) })
  return { job: id, status: 200, requestId: `req-${id}`, body }
}

function range(from: number, to: number): JobId[] {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n)
}

/** Makes the file of a store to be, with pages so small that few jobs fill many of them. */
export function makeFile(path: string): void {
  const database = new Sqlite(path)
  database.pragma(`page_size = ${PAGE}`)
  database.exec('VACUUM')
  database.close()
}

/** Fills an empty store. */
export function fill(store: Store): void {
  const owner = store.enter({ pid: 1, leaseUntil: 5000 }, MADE_AT)
  for (let from = 1; from <= JOBS.all; from += 500) {
    store.enqueue(owner, range(from, from + 499).map(newJob), MADE_AT)
  }
  const claim = (tag: string, model: string, from: number, to: number): NonNullable<ReturnType<Store['claim']>> => {
    const intent = store.claim(
      owner,
      { tag, target: targetOf(model), window: '24h', metadata: { run: '7' } },
      range(from, to),
      MADE_AT,
    )
    if (!intent) throw new Error('nothing was claimed')
    return intent
  }
  const ended = claim(TAGS.ended, 'one', 1, JOBS.answered)
  store.advance(ended, { state: 'created', handle: { id: 'batch_ended' }, submittedAt: MADE_AT })
  store.settle(ended, range(1, JOBS.answered).map(answerOf), MADE_AT)
  store.advance(ended, { state: 'ended', endedAt: MADE_AT })
  const open = claim(TAGS.open, 'two', JOBS.answered + 1, JOBS.submitted)
  store.advance(open, { state: 'created', handle: { id: BATCH }, submittedAt: MADE_AT })
  claim(TAGS.claimed, 'two', JOBS.submitted + 1, JOBS.claimed)
}

/** What becomes of a job that a program asks for again. */
interface Asked {
  readonly id: JobId
  /** The job it was found to be. */
  readonly job: JobId
  readonly kind: string
  readonly body: string | undefined
}

export function askAgain(path: string, ids: readonly JobId[]): readonly Asked[] {
  using store = openSqliteStore({ path })
  const owner = store.enter({ pid: 2, leaseUntil: NOW + 5000 }, NOW)
  const placements = store.enqueue(owner, ids.map(newJob), NOW)
  return placements.map((placement, at) => ({
    id: ids[at] ?? 0,
    job: placement.job,
    kind: placement.kind,
    body: placement.kind === 'answered' ? placement.answer.body : undefined,
  }))
}

/** The same of a job that nothing happened to. */
export function expected(id: JobId): Asked {
  if (id <= JOBS.answered) return { id, job: id, kind: 'answered', body: answerOf(id).body }
  return { id, job: id, kind: id <= JOBS.claimed ? 'waiting' : 'queued', body: undefined }
}

export const everyJob: readonly JobId[] = range(1, JOBS.all)

/** Pages of a file, to be changed in place. */
export function damage(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}

/** The pages, by number, of which this is true. */
export function pagesWhere(path: string, is: (page: Buffer, number: number) => boolean): number[] {
  const bytes = readFileSync(path)
  const found: number[] = []
  for (let number = 1; number * PAGE <= bytes.length; number += 1) {
    if (is(bytes.subarray((number - 1) * PAGE, number * PAGE), number)) found.push(number)
  }
  return found
}

/** The pages that hold what is in this table or index. */
export function leavesOf(path: string, name: string): number[] {
  const database = new Sqlite(path, { readonly: true })
  try {
    return database
      .prepare<[string], number>("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'")
      .pluck()
      .all(name)
  } finally {
    database.close()
  }
}

export function overwritePages(path: string, numbers: readonly number[], byte = 0xff): void {
  damage(path, (bytes) => {
    // As the header has it, where there is one.
    const size = bytes.readUInt16BE(16) || PAGE
    for (const number of numbers) bytes.fill(byte, (number - 1) * size, number * size)
  })
}

/** Writes noise, one byte over and over, pages of elsewhere and wrong numbers into a file, the same ones for the same seed. */
export function scribble(bytes: Buffer, seed: number): void {
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  const kinds: readonly ((at: number, page: number) => void)[] = [
    (at) => void bytes.fill(below(256), at, Math.min(bytes.length, at + below(8192))),
    (at) => {
      for (let n = at; n < Math.min(bytes.length, at + 512); n += 1) bytes[n] = below(256)
    },
    (_, page) => {
      const from = below(bytes.length / PAGE) * PAGE
      bytes.copy(bytes, page, from, from + PAGE)
    },
    (_, page) => void bytes.writeUInt32BE(below(2 ** 32), page + below(30)),
  ]
  for (let n = 0; n < 16; n += 1) {
    const at = below(bytes.length)
    kinds[n % kinds.length]?.(at, at - (at % PAGE))
  }
}

export function cutTo(path: string, bytes: number): void {
  truncateSync(path, bytes)
}

/** Copies a store's files as a power cut would leave them. */
export function copyFiles(from: string, to: string): void {
  for (const end of ['', '-wal']) cpSync(from + end, to + end, { force: true })
}
