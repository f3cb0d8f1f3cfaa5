import type { NewOwner } from '../core/store.ts'
import type { Budgets } from './budgets.ts'
import type { Connection } from './connection.ts'

export interface Owners {
  enter(owner: NewOwner, now: number): number
  renew(owner: number, leaseUntil: number, now: number): boolean
  leave(owner: number, now: number, how: 'finished' | undefined): void
  /** When this owner's lease runs out; 0 for one nobody knows any more. */
  leaseOf(owner: number): number
  /** Whether everybody who asked it has been answered. One long forgotten counts as such. */
  isFinished(owner: number): boolean
}

/** Statements about owners, to be used inside a transaction. */
export function ownersIn({ database }: Connection, budgets: Pick<Budgets, 'join'>): Owners {
  const insert = database.prepare<[number, number, number | null]>(
    'INSERT INTO owners (pid, lease_until, budget) VALUES (?, ?, ?)',
  )
  const beginRun = database.prepare<[number, number, number, string, string]>(
    'INSERT INTO runs (id, started_at, pid, program, metadata) VALUES (?, ?, ?, ?, ?)',
  )
  const joinOwnRun = database.prepare<[number]>('UPDATE owners SET run = id WHERE id = ?')
  const follow = database.prepare<[number, number]>(
    'UPDATE owners SET run = (SELECT run FROM owners WHERE id = ?) WHERE id = ?',
  )
  const budgetOf = database.prepare<[number], number | null>('SELECT budget FROM owners WHERE id = ?').pluck()
  const endRun = database.prepare<[number, number]>(
    'UPDATE runs SET ended_at = ? WHERE id = (SELECT run FROM owners WHERE id = ?)',
  )
  const extend = database.prepare<[number, number, number]>(
    'UPDATE owners SET lease_until = ? WHERE id = ? AND lease_until > ?',
  )
  const end = database.prepare<[number, number, number]>(
    'UPDATE owners SET lease_until = min(lease_until, ?), finished = ? WHERE id = ?',
  )
  const finished = database.prepare<[number], number>('SELECT finished FROM owners WHERE id = ?').pluck()
  const lease = database.prepare<[number], number>('SELECT lease_until FROM owners WHERE id = ?').pluck()

  return {
    enter({ pid, leaseUntil, run, hasLimit }, now) {
      const before = run && 'after' in run ? run.after : undefined
      const kept = before === undefined ? undefined : budgetOf.get(before)
      const budget = kept ?? (hasLimit ? budgets.join(now) : null)
      const id = Number(insert.run(pid, leaseUntil, budget).lastInsertRowid)
      if (before !== undefined) {
        follow.run(before, id)
      } else if (run && 'program' in run) {
        joinOwnRun.run(id)
        beginRun.run(id, now, pid, run.program, JSON.stringify(run.metadata))
      }
      return id
    },
    renew: (owner, leaseUntil, now) => extend.run(leaseUntil, owner, now).changes > 0,
    leave(owner, now, how) {
      end.run(now, how === 'finished' ? 1 : 0, owner)
      endRun.run(now, owner)
    },
    leaseOf: (owner) => lease.get(owner) ?? 0,
    isFinished: (owner) => finished.get(owner) !== 0,
  }
}
