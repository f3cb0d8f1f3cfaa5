import type { BatchFault } from '../faults.ts'
import type { Account, World } from '../provider.ts'
import { createBatch, type Batch, type BatchOrder } from './batch.ts'

/** All batches of one surface. */
export interface BatchBook<Details> {
  /** Takes a batch in; it starts at once. */
  open(order: BatchOrder<Details>): Batch<Details>
  /** The account's own batch of this id, validated if that takes no time. */
  find(account: Account, id: string): Promise<Batch<Details> | undefined>
  /** Those of the account a list would show by now, newest first. Call `ready` on what you look at. */
  list(account: Account): readonly Batch<Details>[]
  remove(batch: Batch<Details>): void
  /** Brings the ledger up to date with the clock. */
  settle(): void
  close(): Promise<void>
}

interface Kept<Details> {
  readonly batch: Batch<Details>
  readonly owner: string
  readonly visibleAt: number
}

export function createBatchBook<Details>(world: World): BatchBook<Details> {
  /** Oldest first. */
  const kept = new Map<string, Kept<Details>>()
  const removed: Batch<Details>[] = []
  const closing = new AbortController()
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    turn = done.catch(() => {})
    return done
  }

  /** The one that asks is not yet accepted, and so has no model to be counted by. */
  function enqueuedTokens(account: Account, model: string): number {
    return [...kept.values()]
      .filter(({ owner }) => owner === account.hash)
      .reduce((sum, { batch }) => sum + batch.enqueuedTokens(model), 0)
  }

  return {
    open(order) {
      const faults = world.faults.takeForBatch()
      const batch = createBatch(world, order, { faults, enqueuedTokens, inTurn, signal: closing.signal })
      const visibleAt = world.clock.now() + listLag(faults)
      kept.set(batch.id, { batch, owner: order.account.hash, visibleAt })
      world.ledger.batchMoved('created')
      return batch
    },
    async find(account, id) {
      const found = kept.get(id)
      if (found?.owner !== account.hash) return undefined
      await found.batch.ready()
      return found.batch
    },
    list(account) {
      const now = world.clock.now()
      return [...kept.values()]
        .filter(({ owner, visibleAt }) => owner === account.hash && visibleAt <= now)
        .map(({ batch }) => batch)
        .toReversed()
    },
    remove(batch) {
      kept.delete(batch.id)
      removed.push(batch)
    },
    settle() {
      for (const { batch } of kept.values()) batch.view()
    },
    async close() {
      closing.abort()
      await Promise.all([...[...kept.values()].map(({ batch }) => batch), ...removed].map((batch) => batch.close()))
    },
  }
}

function listLag(faults: readonly BatchFault[]): number {
  return Math.max(0, ...faults.map((fault) => (fault.kind === 'list-lag' ? fault.ms : 0)))
}
