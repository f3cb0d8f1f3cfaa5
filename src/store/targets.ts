import { OffpeakError } from '../core/errors.ts'
import type { JobTarget } from '../core/store.ts'
import type { Connection } from './connection.ts'

export interface Targets {
  /** The id of a target, which is written when it is new. Inside a writing transaction only. */
  idOf(target: JobTarget): number
  queueKeyOf(id: number): string | undefined
  nameOf(id: number): Pick<JobTarget, 'endpoint' | 'model'>
  /** To be called when a transaction did not go through: what it wrote is gone. */
  forget(): void
}

/** Targets are few and never change, so that ids, once known, are kept in memory. */
export function targetsIn({ database }: Connection): Targets {
  type Values = [string, string, string, string, string, string]
  const select = database
    .prepare<Values, number>(
      `SELECT id FROM targets
       WHERE queue_key = ? AND endpoint = ? AND model = ? AND account = ? AND base_url = ? AND provider = ?`,
    )
    .pluck()
  const insert = database.prepare<Values>(
    'INSERT INTO targets (queue_key, endpoint, model, account, base_url, provider) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const queueKey = database.prepare<[number], string>('SELECT queue_key FROM targets WHERE id = ?').pluck()
  const name = database.prepare<[number], Pick<JobTarget, 'endpoint' | 'model'>>(
    'SELECT endpoint, model FROM targets WHERE id = ?',
  )
  let names = new Map<number, Pick<JobTarget, 'endpoint' | 'model'>>()
  // One object is often handed in with many jobs, so that looking the object itself up comes first and costs least.
  let byObject = new WeakMap<JobTarget, number>()
  let byText = new Map<string, number>()

  return {
    idOf(target) {
      const seen = byObject.get(target)
      if (seen !== undefined) return seen
      const { queueKey, endpoint, model, account, baseUrl, provider } = target
      const values: Values = [queueKey, endpoint, model, account, baseUrl, provider]
      const text = values.join('\0')
      const id = byText.get(text) ?? select.get(...values) ?? Number(insert.run(...values).lastInsertRowid)
      byObject.set(target, id)
      byText.set(text, id)
      return id
    },
    queueKeyOf: (id) => queueKey.get(id),
    nameOf(id) {
      const known = names.get(id) ?? name.get(id)
      if (known === undefined) throw new OffpeakError('store-unusable', `The store has lost target ${id} of its jobs.`)
      names.set(id, known)
      return known
    },
    forget() {
      names = new Map()
      byObject = new WeakMap()
      byText = new Map()
    },
  }
}
