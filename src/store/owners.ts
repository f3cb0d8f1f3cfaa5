import type { NewOwner } from '../core/store.ts'
import type { Connection } from './connection.ts'

export interface Owners {
  enter(owner: NewOwner): number
  renew(owner: number, leaseUntil: number, now: number): boolean
  leave(owner: number, now: number, how: 'finished' | undefined): void
  /** When this owner's lease runs out; 0 for one nobody knows any more. */
  leaseOf(owner: number): number
  /** Whether everybody who asked it has been answered. One long forgotten counts as such. */
  isFinished(owner: number): boolean
}

/** Statements about owners, to be used inside a transaction. */
export function ownersIn({ database }: Connection): Owners {
  const insert = database.prepare<[number, number]>('INSERT INTO owners (pid, lease_until) VALUES (?, ?)')
  const extend = database.prepare<[number, number, number]>(
    'UPDATE owners SET lease_until = ? WHERE id = ? AND lease_until > ?',
  )
  const end = database.prepare<[number, number, number]>(
    'UPDATE owners SET lease_until = min(lease_until, ?), finished = ? WHERE id = ?',
  )
  const finished = database.prepare<[number], number>('SELECT finished FROM owners WHERE id = ?').pluck()
  const lease = database.prepare<[number], number>('SELECT lease_until FROM owners WHERE id = ?').pluck()

  return {
    enter: (owner) => Number(insert.run(owner.pid, owner.leaseUntil).lastInsertRowid),
    renew: (owner, leaseUntil, now) => extend.run(leaseUntil, owner, now).changes > 0,
    leave: (owner, now, how) => void end.run(now, how === 'finished' ? 1 : 0, owner),
    leaseOf: (owner) => lease.get(owner) ?? 0,
    isFinished: (owner) => finished.get(owner) !== 0,
  }
}
