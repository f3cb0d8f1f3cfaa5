import type { Database } from 'better-sqlite3'
import type { Intent } from '../core/batch.ts'
import type { JobId, JobState } from '../core/job.ts'
import { openFailed } from './connection.ts'
import { versionOf } from './migrations.ts'
import { usdOf } from './nano-usd.ts'
import { openStoreForReading } from './read-contents.ts'
import { INTENT, INTENT_COLUMNS, intentOf, type IntentRow, JOB, jobState } from './rows.ts'

/** Where a batch stands, in a word of ours whatever its provider's is. `abandoned`: it was never sent. */
export const BATCH_STATES = [
  'sending',
  'creating',
  'running',
  'completed',
  'expired',
  'cancelled',
  'failed',
  'abandoned',
] as const
export type BatchState = (typeof BATCH_STATES)[number]

export const OPEN_STATES: readonly BatchState[] = ['sending', 'creating', 'running']

/** What the answers of a batch have cost. */
export interface BatchMoney {
  readonly costUsd: number
  readonly liveCostUsd: number
  /** Answers in neither sum, because nobody knows what they cost. */
  readonly unpriced: number
}

export interface StoredBatch {
  readonly intent: Intent
  readonly state: BatchState
  /** The id of the run that sent it. */
  readonly run: number
  readonly program: string | undefined
  /** Who may change it, and until when nobody else may. */
  readonly holder: { readonly pid: number; readonly leaseUntil: number } | undefined
  /** Those that are still its own: others have gone back to their queue. */
  readonly jobs: Readonly<Record<'submitted' | 'answered' | 'failed', number>>
  readonly tokens: { readonly input: number; readonly output: number }
  readonly money: BatchMoney
}

export interface BatchFilter {
  readonly states?: readonly BatchState[] | undefined
  readonly provider?: string | undefined
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined
  readonly run?: number | undefined
}

/** A settled job with all that is known of it. */
export interface StoredJob {
  readonly job: JobId
  readonly state: JobState
  readonly endpoint: string
  readonly model: string
  readonly fingerprint: string
  /** 0: it has lost its place to a later job, which was asked because this one had failed. */
  readonly occurrence: number
  readonly possiblyBilled: boolean
  /** JSON text; undefined where it was lost. */
  readonly request: string | undefined
  readonly status: number
  readonly answer: string
  readonly tokens: {
    readonly input: number | undefined
    readonly output: number | undefined
    readonly cached: number | undefined
    readonly reasoning: number | undefined
  }
  readonly costUsd: number | undefined
  readonly liveCostUsd: number | undefined
}

export interface FailedJob {
  readonly job: JobId
  readonly status: number
  readonly answer: string
  /** Asked again since, as another job. */
  readonly isRetried: boolean
}

/** What commands ask of a store, each time anew, while others may be writing to it. */
export interface BatchReader extends Disposable {
  /** Keys every hash that a credential enters. */
  readonly salt: Uint8Array
  /** The newest first, and how many there are beside. */
  list(filter: BatchFilter, limit: number): { readonly batches: readonly StoredBatch[]; readonly total: number }
  /** Those whose provider's id, or tag, is this or begins with it; one that is it goes before all others. */
  find(name: string, limit: number): readonly StoredBatch[]
  /** The batches of a run, the oldest first. */
  batchesOf(run: number): readonly StoredBatch[]
  /** The latest run that has sent a batch. */
  latestRun(): number | undefined
  batch(intent: number): StoredBatch | undefined
  /** Settled jobs of a batch in their order, read as they are asked for. */
  jobs(intent: number, which: 'settled' | 'failed'): Iterable<StoredJob>
  failures(intent: number): Iterable<FailedJob>
}

/** A page ends with whichever comes first. Texts are counted in characters, which is near enough. */
const PAGE_JOBS = 256
const PAGE_LENGTH = 2_000_000

const STATE = `CASE WHEN intents.state IN (${INTENT.claimed}, ${INTENT.uploaded}) THEN 'sending'
  WHEN intents.state = ${INTENT.creating} THEN 'creating' WHEN intents.state = ${INTENT.created} THEN 'running'
  WHEN status LIKE '%fail%' THEN 'failed' WHEN intents.state = ${INTENT.abandoned} THEN 'abandoned'
  WHEN status LIKE '%cancel%' THEN 'cancelled' WHEN status LIKE '%expire%' THEN 'expired' ELSE 'completed' END`

/** Its jobs have ids of one short range. `@after` is the one before the first that is wanted. */
const OF_INTENT = 'jobs.id > @after AND jobs.id <= @last AND jobs.intent = @intent'

/** Opens a store to look at its batches; it is left as it is. */
export function openBatchReader(file: string, busyTimeoutMs: number): BatchReader {
  const database = openStoreForReading(file, busyTimeoutMs)
  try {
    return readerOver(database, file)
  } catch (error) {
    database.close()
    throw openFailed(error, file)
  }
}

function readerOver(database: Database, file: string): BatchReader {
  // A store of an earlier version, that no run of this one has opened yet, knows neither runs nor costs.
  const hasMoney = versionOf(database) >= 2
  const [cost, liveCost, cached, reasoning] = hasMoney
    ? ['cost', 'live_cost', 'cached_tokens', 'reasoning_tokens']
    : ['NULL', 'NULL', 'NULL', 'NULL']
  const run = hasMoney ? 'coalesce(intents.run, intents.owner)' : 'intents.owner'
  const program = hasMoney ? `(SELECT program FROM runs WHERE runs.id = ${run})` : 'NULL'

  const selectIntent = database.prepare<[number], IntentRow>(`SELECT ${INTENT_COLUMNS} WHERE intents.id = ?`)
  const selectStretch = database.prepare<[number], Stretch>(
    'SELECT id AS intent, first_job - 1 AS after, last_job AS last FROM intents WHERE id = ?',
  )
  const selectAround = database.prepare<[number], AroundRow>(
    `SELECT ${STATE} AS state, ${run} AS run, ${program} AS program, pid, lease_until
     FROM intents LEFT JOIN owners ON owners.id = intents.owner WHERE intents.id = ?`,
  )
  const countJobs = database
    .prepare<Stretch, readonly [state: number, count: number]>(
      `SELECT state, count(*) FROM jobs WHERE ${OF_INTENT} GROUP BY state`,
    )
    .raw()
  const sumAnswers = database.prepare<Stretch, SumRow>(
    `SELECT total(input_tokens) AS input, total(output_tokens) AS output, total(${cost}) AS cost, total(${liveCost}) AS liveCost,
       count(CASE WHEN state = ${JOB.answered} AND ${cost} IS NULL THEN 1 END) AS unpriced
     FROM jobs CROSS JOIN answers ON answers.job = jobs.id WHERE ${OF_INTENT}`,
  )
  const selectJobs = database.prepare<Stretch & { readonly all: number }, JobRow>(
    `SELECT jobs.id, state, endpoint, model, fingerprint, occurrence, possibly_billed, bodies.body AS request, answers.status,
       answers.body AS answer, input_tokens, output_tokens, ${cached} AS cached_tokens, ${reasoning} AS reasoning_tokens,
       ${cost} AS cost, ${liveCost} AS live_cost
     FROM jobs CROSS JOIN answers ON answers.job = jobs.id LEFT JOIN bodies ON bodies.job = jobs.id
       LEFT JOIN targets ON targets.id = jobs.target
     WHERE ${OF_INTENT} AND (state = ${JOB.failed} OR (state = ${JOB.answered} AND @all))
     ORDER BY jobs.id LIMIT ${PAGE_JOBS}`,
  )
  const selectFailures = database
    .prepare<Stretch, readonly [JobId, occurrence: number, status: number, body: string]>(
      `SELECT jobs.id, occurrence, status, body FROM jobs CROSS JOIN answers ON answers.job = jobs.id
       WHERE ${OF_INTENT} AND state = ${JOB.failed} ORDER BY jobs.id LIMIT ${PAGE_JOBS}`,
    )
    .raw()
  // Some providers' ids are a path: `batches/…`, of which people know the end.
  const selectBatches = database
    .prepare<{ name: string; pattern: string; limit: number }, number>(
      `SELECT id FROM intents WHERE batch = @name OR tag = @name
         OR substr(batch, 1, length(@name)) = @name OR substr(tag, 1, length(@name)) = @name OR batch LIKE @pattern ESCAPE '!'
       ORDER BY batch IS @name OR tag = @name DESC, id DESC LIMIT @limit`,
    )
    .pluck()
  const latestRun = database
    .prepare<[], number | null>(`SELECT max(${run}) FROM intents WHERE submitted_at IS NOT NULL`)
    .pluck()
  const ofRun = database.prepare<[number], number>(`SELECT id FROM intents WHERE ${run} = ? ORDER BY id`).pluck()
  const selectSalt = database.prepare<[], Uint8Array>("SELECT value FROM secrets WHERE name = 'salt'").pluck()

  function single<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw openFailed(error, file)
    }
  }

  function batch(id: number): StoredBatch | undefined {
    const row = selectIntent.get(id)
    const around = selectAround.get(id)
    const stretch = selectStretch.get(id)
    const sums = stretch && sumAnswers.get(stretch)
    if (!row || !around || !stretch || !sums) return undefined
    const jobs = { submitted: 0, answered: 0, failed: 0 }
    for (const [code, count] of countJobs.all(stretch)) {
      const state = jobState(code)
      if (state === 'submitted' || state === 'answered' || state === 'failed') jobs[state] = count
    }
    const { input, output, unpriced } = sums
    return {
      intent: intentOf(row),
      state: around.state,
      run: around.run,
      program: around.program ?? undefined,
      holder:
        around.pid === null || around.lease_until === null
          ? undefined
          : { pid: around.pid, leaseUntil: around.lease_until },
      jobs,
      tokens: { input, output },
      money: { costUsd: usdOf(sums.cost), liveCostUsd: usdOf(sums.liveCost), unpriced },
    }
  }

  function all(ids: readonly number[]): readonly StoredBatch[] {
    return ids.flatMap((id) => batch(id) ?? [])
  }

  /** Of one moment, however many statements it takes. */
  function read<T>(work: () => T): T {
    return single(() => database.transaction(work)())
  }

  /** Page by page, so that no statement is left open while the reader is away. */
  function* pages<T>(intent: number, idOf: (item: T) => JobId, read: (stretch: Stretch) => readonly T[]): Generator<T> {
    let stretch = single(() => selectStretch.get(intent))
    while (stretch) {
      const from = stretch
      const page = single(() => read(from))
      const last = page.at(-1)
      if (last === undefined) return
      yield* page
      stretch = { ...from, after: idOf(last) }
    }
  }

  return {
    salt: new Uint8Array(selectSalt.get() ?? []),
    list: (filter, limit) =>
      read(() => {
        const { clause, values } = whereOf(filter, run)
        const from = `FROM intents JOIN targets ON targets.id = intents.target ${clause}`
        const total = database
          .prepare<unknown[], number>(`SELECT count(*) ${from}`)
          .pluck()
          .get(...values)
        const ids = database
          .prepare<unknown[], number>(`SELECT intents.id ${from} ORDER BY intents.id DESC LIMIT ?`)
          .pluck()
          .all(...values, limit)
        return { batches: all(ids), total: total ?? 0 }
      }),
    find: (name, limit) =>
      read(() => {
        const found = all(selectBatches.all({ name, pattern: `%/${name.replaceAll(/[!%_]/g, '!$&')}%`, limit }))
        const exact = found.filter(({ intent }) => intent.handle?.id === name || intent.tag === name)
        return exact.length > 0 ? exact : found
      }),
    batchesOf: (id) => read(() => all(ofRun.all(id))),
    latestRun: () => single(() => latestRun.get() ?? undefined),
    batch: (id) => read(() => batch(id)),

    jobs: (intent, which) =>
      pages(
        intent,
        ({ job }) => job,
        (stretch) => pageOf(selectJobs.iterate({ ...stretch, all: which === 'settled' ? 1 : 0 })),
      ),
    failures: (intent) =>
      pages(
        intent,
        ({ job }) => job,
        (stretch) =>
          selectFailures
            .all(stretch)
            .map(([job, occurrence, status, answer]) => ({ job, status, answer, isRetried: occurrence === 0 })),
      ),

    [Symbol.dispose]: () => void database.close(),
  }
}

function whereOf(filter: BatchFilter, run: string): { readonly clause: string; readonly values: readonly unknown[] } {
  const { states, provider, since, run: wanted } = filter
  const parts: (readonly [condition: string, values: readonly unknown[]])[] = []
  if (states) parts.push([`${STATE} IN (${states.map(() => '?').join(', ')})`, states])
  if (provider !== undefined) parts.push(['provider = ?', [provider]])
  if (since !== undefined) parts.push(['created_at >= ?', [since]])
  if (wanted !== undefined) parts.push([`${run} = ?`, [wanted]])
  const conditions = parts.map(([condition]) => condition).join(' AND ')
  return { clause: conditions === '' ? '' : `WHERE ${conditions}`, values: parts.flatMap(([, values]) => values) }
}

function pageOf(rows: Iterable<JobRow>): readonly StoredJob[] {
  const page: StoredJob[] = []
  let length = 0
  for (const row of rows) {
    page.push(jobOf(row))
    length += (row.request?.length ?? 0) + row.answer.length
    if (length > PAGE_LENGTH) break
  }
  return page
}

function jobOf(row: JobRow): StoredJob {
  return {
    job: row.id,
    state: jobState(row.state),
    endpoint: row.endpoint ?? 'unknown',
    model: row.model ?? 'unknown',
    fingerprint: row.fingerprint,
    occurrence: row.occurrence,
    possiblyBilled: row.possibly_billed === 1,
    request: row.request ?? undefined,
    status: row.status,
    answer: row.answer,
    tokens: {
      input: row.input_tokens ?? undefined,
      output: row.output_tokens ?? undefined,
      cached: row.cached_tokens ?? undefined,
      reasoning: row.reasoning_tokens ?? undefined,
    },
    costUsd: row.cost === null ? undefined : usdOf(row.cost),
    liveCostUsd: row.live_cost === null ? undefined : usdOf(row.live_cost),
  }
}

interface AroundRow {
  readonly state: BatchState
  readonly run: number
  readonly program: string | null
  readonly pid: number | null
  readonly lease_until: number | null
}

interface SumRow {
  readonly input: number
  readonly output: number
  readonly cost: number
  readonly liveCost: number
  readonly unpriced: number
}

/** Some of the jobs of an intent. */
interface Stretch {
  readonly intent: number
  readonly after: JobId
  readonly last: JobId
}

interface JobRow {
  readonly id: JobId
  readonly state: number
  readonly endpoint: string | null
  readonly model: string | null
  readonly fingerprint: string
  readonly occurrence: number
  readonly possibly_billed: number
  readonly request: string | null
  readonly status: number
  readonly answer: string
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly cached_tokens: number | null
  readonly reasoning_tokens: number | null
  readonly cost: number | null
  readonly live_cost: number | null
}
