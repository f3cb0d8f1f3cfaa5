import type { Database } from 'better-sqlite3'
import { randomBytes } from 'node:crypto'
import { OffpeakError } from '../core/errors.ts'

/**
 * Ordered; the n-th brings a store from version n to n + 1. One that has been released is never changed again.
 *
 * What is behind the tables: `jobs` is narrow and is the only one whose rows change often; bodies and answers are appended by job id
 * and never touched again. Ids of jobs come from a counter, not from the highest row, so that one purged is never given twice.
 * `places` finds jobs by fingerprint, up to the counter `indexed` (see `places.ts`).
 * There is no index from intents to jobs: an intent keeps the range of its jobs' ids, which is short because they were queued together.
 */
const MIGRATIONS: readonly ((database: Database) => void)[] = [
  (database) => {
    database.exec(`
      CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE counters (name TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE owners (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        pid INTEGER NOT NULL,
        lease_until INTEGER NOT NULL,
        finished INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE TABLE targets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        provider TEXT NOT NULL,
        base_url TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        model TEXT NOT NULL,
        account TEXT NOT NULL,
        queue_key TEXT NOT NULL,
        UNIQUE (queue_key, endpoint, model, account, base_url, provider)
      ) STRICT;
      CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        target INTEGER NOT NULL,
        state INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        intent INTEGER,
        requeues INTEGER NOT NULL,
        possibly_billed INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        settled_at INTEGER,
        occurrence INTEGER NOT NULL,
        fingerprint TEXT NOT NULL
      ) STRICT;
      CREATE TABLE places (
        fingerprint TEXT NOT NULL,
        occurrence INTEGER NOT NULL,
        job INTEGER NOT NULL,
        PRIMARY KEY (fingerprint, occurrence)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE bodies (job INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
      CREATE TABLE answers (
        job INTEGER PRIMARY KEY,
        status INTEGER NOT NULL,
        request_id TEXT,
        body TEXT NOT NULL,
        input_tokens INTEGER,
        output_tokens INTEGER
      ) STRICT;
      CREATE TABLE intents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tag TEXT NOT NULL UNIQUE,
        target INTEGER NOT NULL,
        state INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        completion_window TEXT NOT NULL,
        metadata TEXT NOT NULL,
        jobs INTEGER NOT NULL,
        first_job INTEGER NOT NULL,
        last_job INTEGER NOT NULL,
        root INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        upload TEXT,
        handle TEXT,
        batch TEXT,
        status TEXT,
        counts TEXT,
        creates INTEGER NOT NULL DEFAULT 0,
        creating_at INTEGER,
        submitted_at INTEGER,
        ended_at INTEGER
      ) STRICT;
      CREATE INDEX intents_open ON intents (id) WHERE state < 4;
      INSERT INTO counters VALUES ('job', 1), ('indexed', 1);
    `)
    database.prepare<[string, Uint8Array]>('INSERT INTO secrets VALUES (?, ?)').run('salt', randomBytes(32))
  },
  // Money is whole nano-dollars: sums of them are exact. What is unknown is NULL.
  // `run` is the id of the first owner of a run. `intents.reserved` is what its budget holds for it, `intents.cost` what it has cost.
  (database) => {
    database.exec(`
      ALTER TABLE owners ADD COLUMN run INTEGER;
      ALTER TABLE owners ADD COLUMN budget INTEGER;
      ALTER TABLE jobs ADD COLUMN reserved INTEGER;
      ALTER TABLE intents ADD COLUMN run INTEGER;
      ALTER TABLE intents ADD COLUMN budget INTEGER;
      ALTER TABLE intents ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE intents ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE answers ADD COLUMN cached_tokens INTEGER;
      ALTER TABLE answers ADD COLUMN reasoning_tokens INTEGER;
      ALTER TABLE answers ADD COLUMN cost INTEGER;
      ALTER TABLE answers ADD COLUMN live_cost INTEGER;
      CREATE TABLE budgets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started_at INTEGER NOT NULL,
        latest_limit INTEGER NOT NULL DEFAULT 0,
        reserved INTEGER NOT NULL DEFAULT 0,
        spent INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        pid INTEGER NOT NULL,
        program TEXT NOT NULL,
        metadata TEXT NOT NULL
      ) STRICT;
      CREATE TABLE spending (
        day TEXT NOT NULL,
        provider TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        model TEXT NOT NULL,
        metadata TEXT NOT NULL,
        requests INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        live_cost INTEGER NOT NULL,
        PRIMARY KEY (day, provider, endpoint, model, metadata)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE learned (
        provider TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        model TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (provider, endpoint, model)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX intents_of_budget ON intents (budget) WHERE budget IS NOT NULL AND state < 4;
    `)
  },
]

/**
 * How many columns rows had that were written before a migration added more at the end. SQLite does not rewrite them, and whoever tells rows
 * by their form has to know.
 */
export const EARLIER_COLUMNS: Readonly<Record<string, number>> = { owners: 4, jobs: 11, intents: 22, answers: 6 }

/** What this offpeak writes. */
export const STORE_VERSION: number = MIGRATIONS.length

/** `offp`: tells a store of ours from every other SQLite file. */
export const APPLICATION_ID = 0x6f666670

/**
 * Of a new store, in bytes. Bodies and answers are written in rows of about a kilobyte, one after the other: larger pages than the
 * driver's 4096 are fewer writes to the log and from there to the database.
 */
export const PAGE_SIZE = 16_384

/** Refuses, before anything is changed, a database that is not ours or that a newer offpeak has written. */
export function checkIsOurs(database: Database, file: string): void {
  const [application, version, tables] = database.transaction(() => [
    Number(database.pragma('application_id', { simple: true })),
    versionOf(database),
    database.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get(),
  ])()
  const isNew = application === 0 && version === 0 && tables === 0
  if (!isNew && application !== APPLICATION_ID) {
    throw new OffpeakError(
      'store-unusable',
      `${file} is a database of another program: it was left alone, choose another path for the store.`,
    )
  }
  if (version !== undefined && version > MIGRATIONS.length) throw tooNew(file, version)
}

/** Brings a store up to date, or to an older version. Safe with several processes at once: who comes second finds nothing left to do. */
export function migrate(database: Database, file: string, wanted: number = MIGRATIONS.length): void {
  if (versionOf(database) === wanted) return
  database
    .transaction(() => {
      const version = versionOf(database)
      if (version > MIGRATIONS.length) throw tooNew(file, version)
      for (const migration of MIGRATIONS.slice(version, wanted)) migration(database)
      database.pragma(`application_id = ${APPLICATION_ID}`)
      database.pragma(`user_version = ${wanted}`)
    })
    .immediate()
}

/** 0: nothing has been written yet. */
export function versionOf(database: Database): number {
  return Number(database.pragma('user_version', { simple: true }))
}

function tooNew(file: string, version: number): OffpeakError {
  return new OffpeakError(
    'store-too-new',
    `${file} has store version ${version}, this offpeak knows ${MIGRATIONS.length}. Upgrade offpeak, or use another store; the file was left alone.`,
  )
}
