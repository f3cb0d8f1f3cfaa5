import type { IntentRef } from '../core/batch.ts'
import type { JobId } from '../core/job.ts'
import type { Store, StoredBody } from '../core/store.ts'
import { budgetsIn } from './budgets.ts'
import { connect, type Connection, damaged } from './connection.ts'
import { type HeldIntent, intentsIn } from './intents.ts'
import { learnedIn } from './learned.ts'
import { prepareLocation } from './location.ts'
import { ownersIn } from './owners.ts'
import { peekingIn } from './peeking.ts'
import { placesIn } from './places.ts'
import { placingIn } from './placing.ts'
import { presence } from './presence.ts'
import { purgingIn } from './purging.ts'
import { readingIn } from './reading.ts'
import { settlingIn } from './settling.ts'
import { spendingIn } from './spending.ts'
import { targetsIn } from './targets.ts'

export interface SqliteStoreOptions {
  /** The database file; its folder is made when it does not exist. */
  readonly path: string
}

/** Opens the store in a file, which is made, with its folder, when it does not exist. */
export function openSqliteStore(options: SqliteStoreOptions): Store {
  const { file, folder } = prepareLocation(options.path)
  const connection = connect(file)
  try {
    return storeOver(connection, { location: file, folder })
  } catch (error) {
    connection.close()
    throw error
  }
}

/** A store over a connection whose schema is up to date. */
export function storeOver(connection: Connection, place: Pick<Store, 'location' | 'folder'>): Store {
  const { database, read, write, single } = connection
  const budgets = budgetsIn(connection)
  const owners = ownersIn(connection, budgets)
  const targets = targetsIn(connection)
  const intents = intentsIn(connection, owners, targets, budgets)
  const places = placesIn(connection)
  const placing = placingIn(connection, owners, targets, places, intents.batchOf)
  const settling = settlingIn(connection, budgets)
  const spending = spendingIn(database)
  const learned = learnedIn(database)
  const reading = readingIn(connection, targets, intents)
  const purge = purgingIn(connection)
  const peek = peekingIn(connection, places)
  const present = presence()
  const dataVersion = database.prepare<[], number>('PRAGMA data_version').pluck()
  const salt = single(() =>
    database.prepare<[], Uint8Array>("SELECT value FROM secrets WHERE name = 'salt'").pluck().get(),
  )
  if (!salt) {
    throw damaged(place.location, 'its salt is gone')
  }

  return {
    ...place,
    salt: new Uint8Array(salt),

    enter(owner, now) {
      const id = write(() => owners.enter(owner, now))
      present.entered(id)
      return id
    },
    renew: (owner, leaseUntil, now) => write(() => owners.renew(owner, leaseUntil, now)),
    leave(owner, now, how) {
      write(() => owners.leave(owner, now, how))
      present.left(owner)
    },

    isGone: (owner, now) => single(() => owners.leaseOf(owner) <= now),

    peek,
    enqueue: (owner, jobs, now) => writeAll(() => placing.enqueue(owner, jobs, now)),
    drop: (owner, jobs) => present.changed(write(() => placing.drop(owner, jobs))),
    reclaim: (owner, jobs, now) => write(() => placing.reclaim(owner, jobs, now)),
    status: (jobs) => read(() => reading.status(jobs)),
    version: () => single(() => dataVersion.get() ?? 0) + present.changes(),

    claim: (owner, intent, jobs, now, reserve) => writeAll(() => intents.claim(owner, intent, jobs, now, reserve)),
    reserve: (ref, jobs, reserve) =>
      write(() => {
        const intent = intents.held(ref)
        return intent !== undefined && (intent.budget !== null || budgets.holdAll(intent, jobs, reserve))
      }),
    advance: (ref, change, leaseAfter = -1) => write(() => intents.advance(ref, change, leaseAfter)),
    intent: (id) => single(() => intents.intent(id)),
    openIntents: (filter = {}) => single(() => intents.openIntents(filter)),
    knowsBatch: (provider, id) => single(() => intents.knowsBatch(provider, id)),
    failedSplits: (root) => single(() => intents.failedSplits(root)),
    durations: (provider, model) => single(() => intents.durations(provider, model)),
    takeOver: (id, owner, now) => write(() => intents.takeOver(id, owner, now)),
    bodies,
    unsettled: (intent) => read(() => reading.unsettled(intent)),
    targetsOf: (jobs) => read(() => reading.targetsOf(jobs)),

    settle: (ref, settlements, now) => whileHeld(ref, (intent) => settling.settle(intent, settlements, now)),
    requeue: (ref, jobs, how) => whileHeld(ref, (intent) => settling.requeue(intent, jobs, how)),
    budgetOf: (owner) => single(() => budgets.stateOf(owner)),
    spending: (since = '') => single(() => spending.since(since)),
    learned: () => single(() => learned.all()),
    keepLearned: (all) => write(() => learned.keep(all)),
    purge,

    [Symbol.dispose]: () => connection.close(),
  }

  function whileHeld(ref: IntentRef, work: (intent: HeldIntent) => readonly JobId[]): readonly JobId[] {
    return present.changed(
      write(() => {
        const intent = intents.held(ref)
        return intent ? work(intent) : []
      }),
    )
  }

  function writeAll<T>(work: () => T): T {
    try {
      return write(work)
    } catch (error) {
      targets.forget()
      places.forget()
      throw error
    }
  }

  /** Page by page, so that no statement is left open while the reader is away. */
  function* bodies(intent: number): Generator<StoredBody> {
    const range = single(() => intents.rangeOf(intent))
    if (!range) return
    let from: JobId = range.first
    for (;;) {
      const page = single(() => reading.page(intent, from, range.last))
      const last = page.at(-1)
      if (!last) return
      yield* page
      from = last.job + 1
    }
  }
}
