import type { BatchFault } from '../faults.ts'
import type { Account, World } from '../provider.ts'
import { createBatch, type Batch, type BatchOrder } from './batch.ts'
import type { InputProblem } from './dialect.ts'

/** All batches of one surface. */
export interface BatchBook<Details> {
  /** Takes a batch in; it starts at once. */
  open(order: BatchOrder<Details>): Batch<Details>
  /**
   * The same, for providers that read the whole input before they answer: one they refuse never was a batch. `refuses` tells the
   * complaints for which they do so; the others fail the batch later. Default: all.
   */
  admit(order: BatchOrder<Details>, refuses?: (problem: InputProblem) => boolean): Promise<Admission<Details>>
  /** The account's own batch of this id, validated if that takes no time. */
  find(account: Account, id: string): Promise<Batch<Details> | undefined>
  /** Those of the account a list would show by now, newest first. Call `ready` on what you look at. */
  list(account: Account): readonly Batch<Details>[]
  remove(batch: Batch<Details>): void
  /** Brings the ledger up to date with the clock. */
  settle(): void
  close(): Promise<void>
}

export type Admission<Details> =
  | { readonly kind: 'opened'; readonly batch: Batch<Details> }
  | { readonly kind: 'refused'; readonly problem: InputProblem }

interface Kept<Details> {
  readonly batch: Batch<Details>
  readonly owner: string
  readonly visibleAt: number
}

export function createBatchBook<Details>(world: World): BatchBook<Details> {
  /** Oldest first. */
  const kept = new Map<string, Kept<Details>>()
  /** Removed or refused: nobody sees them, but they may still be working. */
  const unseen = new Set<Batch<Details>>()
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

  function begin(order: BatchOrder<Details>): Kept<Details> {
    const faults = world.faults.takeForBatch()
    const batch = createBatch(world, order, { faults, enqueuedTokens, inTurn, signal: closing.signal })
    return { batch, owner: order.account.hash, visibleAt: world.clock.now() + listLag(faults) }
  }

  function keep(begun: Kept<Details>, { part = false }: BatchOrder<Details>): void {
    kept.set(begun.batch.id, begun)
    if (!part) world.ledger.batchMoved('created')
  }

  return {
    open(order) {
      const begun = begin(order)
      keep(begun, order)
      return begun.batch
    },
    async admit(order, refuses = () => true) {
      const begun = begin(order)
      const { batch } = begun
      unseen.add(batch)
      const problem = await batch.refusal()
      if (problem && refuses(problem)) return { kind: 'refused', problem }
      unseen.delete(batch)
      keep(begun, order)
      return { kind: 'opened', batch }
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
      unseen.add(batch)
    },
    settle() {
      for (const { batch } of kept.values()) batch.view()
    },
    async close() {
      closing.abort()
      await Promise.all([...[...kept.values()].map(({ batch }) => batch), ...unseen].map((batch) => batch.close()))
    },
  }
}

function listLag(faults: readonly BatchFault[]): number {
  return Math.max(0, ...faults.map((fault) => (fault.kind === 'list-lag' ? fault.ms : 0)))
}
