/**
 * No create leaves before its write-ahead is on the disk. Two ways to look: at the live connection, the moment a create is about to leave,
 * everywhere; and at the system calls of a process, where the machine has strace. Either must catch an engine whose log is not synced.
 */
import Sqlite from 'better-sqlite3'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startSimulator } from '../../src/simulator/index.ts'
import { doneBy, startChildren } from '../support/proof-processes/children.ts'
import { converse } from '../support/proof-processes/conversation.ts'
import { liveConnections } from '../support/proof-processes/live-connections.ts'
import type { Question } from '../support/proof-processes/run.ts'
import { canTrace, createsInTrace, tracing } from '../support/proof-processes/system-calls.ts'
import { tempFolder } from '../support/store.ts'

/** Two models make two batches. */
const QUESTIONS: readonly Question[] = ['gpt-4o-mini', 'gpt-4.1-mini'].map((model) => ({
  prompt: 'is it on the disk?',
  model,
  key: 'sk-test',
}))

type Sync = 'FULL' | 'NORMAL'
type Create = 'synced' | 'unsynced'

/** What makes SQLite's commits outlast a power cut, on the connection that made them; and what others see of the commit. */
function verdict(database: Sqlite.Database, isWritten: boolean): Create {
  const isFull = Number(database.pragma('synchronous', { simple: true })) >= 2
  const isLogged = database.pragma('journal_mode', { simple: true }) === 'wal'
  return isFull && isLogged && !database.inTransaction && isWritten ? 'synced' : 'unsynced'
}

/** Looks at the engine's own connection whenever a create is about to leave. */
async function byConnection(sync: Sync): Promise<readonly Create[]> {
  await using simulator = await startSimulator({ batchMs: 20 })
  using folder = tempFolder()
  const path = join(folder.path, 'store.db')
  const connections = liveConnections()
  const own = (): Sqlite.Database | undefined => connections.find(({ name, open }) => open && name === path)
  const creates: Create[] = []
  const { right } = await converse(
    {
      provider: simulator.baseUrl('openai'),
      path,
      tagging: 'metadata',
      reach(point, moment) {
        if (point === 'store.claim' && moment === 'before') own()?.pragma(`synchronous = ${sync}`)
        if (point !== 'call.create' || moment !== 'before') return
        const database = own()
        if (!database) throw new Error('the engine has no open connection to its store')
        const other = new Sqlite(path, { readonly: true })
        const written = other.prepare('SELECT count(*) FROM intents WHERE creates > 0').pluck().get()
        other.close()
        creates.push(verdict(database, Number(written) > creates.length))
      },
    },
    { questions: QUESTIONS },
  )
  expect(right).toEqual([true, true])
  return creates
}

/** Looks at what a process asks of the system. */
async function bySystemCalls(sync: Sync): Promise<readonly Create[]> {
  await using simulator = await startSimulator({ batchMs: 20 })
  using folder = tempFolder()
  const log = join(folder.path, 'trace')
  {
    await using children = startChildren(tracing(log))
    const child = await children.take()
    child.start({
      provider: simulator.baseUrl('openai'),
      path: join(folder.path, 'store.db'),
      tagging: 'metadata',
      questions: QUESTIONS,
      isUnsynced: sync === 'NORMAL',
    })
    expect((await doneBy(child)).right).toEqual([true, true])
  }
  return createsInTrace(log)
}

const observers = [
  { name: 'its connection', look: byConnection },
  ...(canTrace() ? [{ name: 'its system calls', look: bySystemCalls }] : []),
]

describe.each(observers)('an engine watched by $name', { timeout: 60_000 }, ({ look }) => {
  test('sends no create before its write-ahead is synced', async () => {
    expect(await look('FULL')).toEqual(['synced', 'synced'])
  })

  test('is caught when its store leaves syncing to the system', async () => {
    expect(await look('NORMAL')).toContain('unsynced')
  })
})
