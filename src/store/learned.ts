import type { Database } from 'better-sqlite3'
import type { Learned } from '../core/store.ts'

/** What answers have taught, model by model. */
export interface LearnedBook {
  all(): readonly Learned[]
  /** Inside a writing transaction. */
  keep(learned: readonly Learned[]): void
}

export function learnedIn(database: Database): LearnedBook {
  const select = database.prepare<[], Learned>('SELECT provider, endpoint, model, state FROM learned')
  const write = database.prepare<[string, string, string, string]>(
    'INSERT INTO learned VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state',
  )
  return {
    all: () => select.all(),
    keep(learned) {
      for (const { provider, endpoint, model, state } of learned) write.run(provider, endpoint, model, state)
    },
  }
}
