import type { JobId } from '../core/job.ts'
import type { BudgetState, Reservation } from '../core/store.ts'
import { fitting, RERUN_MS } from './budgets.ts'
import { nanoUsd, usdOf } from './nano-usd.ts'

interface Held {
  readonly budget: Budget
  reserved: number
  cost: number
  readonly amounts: Map<JobId, number>
}

interface Budget {
  readonly id: number
  reserved: number
  spent: number
}

/** Budgets of a store in memory; what each does is said where the other store has them. */
export interface MemoryBudgets {
  join(owner: number, isUnderWay: (owner: number, since: number) => boolean, now: number): void
  /** False when the owner before had none. */
  follow(owner: number, before: number): boolean
  stateOf(owner: number): BudgetState | undefined
  fit(owner: number, jobs: readonly JobId[], reserve: Reservation): ReadonlyMap<JobId, number>
  hold(intent: number, owner: number, amounts: ReadonlyMap<JobId, number>): void
  has(intent: number): boolean
  /** `cost` undefined: unknown. */
  charge(intent: number, job: JobId, cost: number | undefined): void
  release(intent: number, job: JobId, possiblyBilled: boolean): void
  end(intent: number): void
}

export function memoryBudgets(): MemoryBudgets {
  const byOwner = new Map<number, Budget>()
  const intents = new Map<number, Held>()
  let latest: Budget | undefined

  function change(held: Held, reserved: number, cost: number): void {
    const next = Math.max(reserved, cost)
    held.budget.reserved += next - held.reserved
    held.reserved = next
    held.cost = cost
  }

  return {
    join(owner, isUnderWay, now) {
      const isShared =
        [...byOwner].some(([other, budget]) => budget === latest && isUnderWay(other, now - RERUN_MS)) ||
        [...intents.values()].some(({ budget }) => budget === latest)
      if (!latest || !isShared) latest = { id: (latest?.id ?? 0) + 1, reserved: 0, spent: 0 }
      byOwner.set(owner, latest)
    },
    follow(owner, before) {
      const budget = byOwner.get(before)
      if (budget) byOwner.set(owner, budget)
      return budget !== undefined
    },
    stateOf(owner) {
      const budget = byOwner.get(owner)
      return budget && { id: budget.id, spentUsd: usdOf(budget.spent), reservedUsd: usdOf(budget.reserved) }
    },
    fit(owner, jobs, { limitUsd, maxCostUsd }) {
      const budget = byOwner.get(owner)
      if (!budget) throw new Error('An owner without a budget has nothing to reserve from.')
      return fitting(jobs, maxCostUsd, nanoUsd(limitUsd) - budget.spent - budget.reserved)
    },
    hold(intent, owner, amounts) {
      const budget = byOwner.get(owner)
      if (!budget) return
      const held = { budget, reserved: 0, cost: 0, amounts: new Map(amounts) }
      intents.set(intent, held)
      change(
        held,
        [...amounts.values()].reduce((sum, amount) => sum + amount, 0),
        0,
      )
    },
    has: (intent) => intents.has(intent),
    charge(intent, job, cost) {
      const held = intents.get(intent)
      if (held) change(held, held.reserved, held.cost + (cost ?? held.amounts.get(job) ?? 0))
    },
    release(intent, job, possiblyBilled) {
      const held = intents.get(intent)
      if (!held) return
      const amount = held.amounts.get(job) ?? 0
      held.amounts.delete(job)
      if (possiblyBilled) change(held, held.reserved, held.cost + amount)
      else change(held, held.reserved - amount, held.cost)
    },
    end(intent) {
      const held = intents.get(intent)
      if (!held) return
      held.budget.reserved -= held.reserved
      held.budget.spent += held.cost
      intents.delete(intent)
    },
  }
}
