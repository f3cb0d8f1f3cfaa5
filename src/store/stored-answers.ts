import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { StoredAnswers } from '../core/store.ts'
import { connectionOver, damaged, openFailed } from './connection.ts'
import { learnedIn } from './learned.ts'
import { checkIsOurs, versionOf } from './migrations.ts'
import { peekingIn } from './peeking.ts'
import { placesIn } from './places.ts'
import { openForReading } from './reading-only.ts'
import { hasOrphanedLog } from './recognise.ts'

/** How long a look waits for somebody who writes. */
const BUSY_TIMEOUT_MS = 15_000

/** The answers of a store that is only looked at: its files stay as they are, and none are made. One that does not exist has none. */
export function openStoredAnswers(path: string): StoredAnswers & Disposable {
  const file = resolve(path)
  if (!statSync(file, { throwIfNoEntry: false })?.size) return noAnswers()
  if (hasOrphanedLog(file)) throw damaged(file, 'its write-ahead log does not belong to it')
  let database: ReturnType<typeof openForReading> | undefined
  try {
    database = openForReading(file, BUSY_TIMEOUT_MS)
    checkIsOurs(database, file)
    // Made a moment ago: the first run fills it.
    if (versionOf(database) === 0) {
      database.close()
      return noAnswers()
    }
    const connection = connectionOver(database, file)
    // A store that an older version has left has nothing of the kind.
    const learned = hasTable(database, 'learned') ? learnedIn(database).all() : []
    const salt = database.prepare<[], Uint8Array>("SELECT value FROM secrets WHERE name = 'salt'").pluck().get()
    if (!salt) throw damaged(file, 'its salt is gone')
    return {
      salt: new Uint8Array(salt),
      peek: peekingIn(connection, placesIn(connection)),
      learned: () => learned,
      [Symbol.dispose]: () => connection.close(),
    }
  } catch (error) {
    database?.close()
    throw openFailed(error, file)
  }
}

function hasTable(database: ReturnType<typeof openForReading>, name: string): boolean {
  return (
    database.prepare<[string]>("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined
  )
}

/** Accounts are told apart all the same. */
function noAnswers(): StoredAnswers & Disposable {
  return { salt: new Uint8Array(randomBytes(32)), peek: () => undefined, learned: () => [], [Symbol.dispose]() {} }
}
