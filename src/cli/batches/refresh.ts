import type { StoredBatch } from '../../store/read-batches.ts'
import { openSqliteStore } from '../../store/sqlite-store.ts'
import type { Asked } from './ask.ts'

/**
 * Keeps what providers have said of batches that nobody is at work on. Whoever holds a batch notes that itself, and a lease that has run out
 * never comes back to life, so that this comes in nobody's way.
 */
export function keepTold(path: string, asked: readonly Asked[], now: number): void {
  const told = asked.flatMap((each) => (each.kind === 'told' && !isHeld(each.batch, now) ? [each] : []))
  if (told.length === 0) return
  using store = openSqliteStore({ path })
  for (const { batch, state } of told) {
    const { id, owner, epoch } = batch.intent
    const stored = store.intent(id)
    if (stored?.state !== 'created' || !store.isGone(owner, now)) continue
    store.advance({ id, owner, epoch }, { status: state.status, counts: state.counts })
  }
}

/** Whether some process is at work on it. */
export function isHeld({ holder }: StoredBatch, now: number): boolean {
  return holder !== undefined && holder.leaseUntil > now
}

/** A batch as its provider has just described it. */
export function withTold(asked: Asked): StoredBatch {
  if (asked.kind === 'not-told') return asked.batch
  const { batch, state } = asked
  return { ...batch, intent: { ...batch.intent, status: state.status, counts: state.counts ?? batch.intent.counts } }
}
