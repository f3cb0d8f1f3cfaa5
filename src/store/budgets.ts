import type { JobId } from '../core/job.ts'
import type { BudgetState, Reservation } from '../core/store.ts'
import type { Connection } from './connection.ts'
import { nanoUsd, nanoUsdAtLeast, usdOf } from './nano-usd.ts'
import { INTENT, JOB } from './rows.ts'

/**
 * Money that scopes with a limit share. A budget holds what each open intent of it can cost at the most, and knows what those that have
 * ended did cost. To be used inside a writing transaction.
 */
export interface Budgets {
  /** The budget that is under way on this store, or a new one. */
  join(now: number): number
  stateOf(owner: number): BudgetState | undefined
  /** How many of these jobs fit, from the first on, and what to hold for each. */
  fit(owner: number, jobs: readonly JobId[], reserve: Reservation): Fit
  /** Holds for an intent what was found to fit. */
  hold(intent: number, budget: number, amounts: ReadonlyMap<JobId, number>): void
  /** Holds for all of these jobs, or for none. */
  holdAll(
    intent: { readonly id: number; readonly owner: number },
    jobs: readonly JobId[],
    reserve: Reservation,
  ): boolean
  /** What settled jobs have cost; where that is unknown, what was reserved for them. */
  charge(intent: number, known: number, unknown: readonly JobId[]): void
  /** A job leaves an intent unsettled. */
  release(intent: number, job: JobId, possiblyBilled: boolean): void
  /** The intent is over: what it has cost counts, and nothing is held for it any more. */
  end(intent: number): void
}

export interface Fit {
  readonly budget: number
  /** In nano-dollars. */
  readonly amounts: ReadonlyMap<JobId, number>
}

/** So long after its end a run that did not end in order may be run again, and go on with what is left of its budget. */
export const RERUN_MS: number = 24 * 60 * 60_000

interface IntentMoney {
  readonly budget: number | null
  readonly reserved: number
  readonly cost: number
}

export function budgetsIn({ database }: Connection): Budgets {
  const latest = database.prepare<[], number>('SELECT id FROM budgets ORDER BY id DESC LIMIT 1').pluck()
  const isShared = database
    .prepare<[number, number, number, number], number>(
      `SELECT EXISTS (SELECT 1 FROM owners WHERE budget = ? AND finished = 0 AND lease_until > ?)
         OR EXISTS (SELECT 1 FROM intents WHERE budget = ? AND state < ${INTENT.ended})
         OR EXISTS (SELECT 1 FROM jobs WHERE state = ${JOB.queued} AND owner IN (SELECT id FROM owners WHERE budget = ? AND finished = 0))`,
    )
    .pluck()
  const insert = database.prepare<[number]>('INSERT INTO budgets (started_at) VALUES (?)')
  const budgetOf = database.prepare<[number], number | null>('SELECT budget FROM owners WHERE id = ?').pluck()
  const select = database.prepare<[number], { reserved: number; spent: number }>(
    'SELECT reserved, spent FROM budgets WHERE id = ?',
  )
  const noteLimit = database.prepare<[number, number]>('UPDATE budgets SET latest_limit = ? WHERE id = ?')
  const change = database.prepare<[number, number, number]>(
    'UPDATE budgets SET reserved = reserved + ?, spent = spent + ? WHERE id = ?',
  )
  const moneyOf = database.prepare<[number], IntentMoney>('SELECT budget, reserved, cost FROM intents WHERE id = ?')
  const setMoney = database.prepare<[number | null, number, number, number]>(
    'UPDATE intents SET budget = ?, reserved = ?, cost = ? WHERE id = ?',
  )
  const reservedFor = database.prepare<[JobId], number | null>('SELECT reserved FROM jobs WHERE id = ?').pluck()
  const reserveFor = database.prepare<[number | null, JobId]>('UPDATE jobs SET reserved = ? WHERE id = ?')

  /** What an intent holds is never less than what it has cost already. */
  function setIntent(id: number, before: IntentMoney, reserved: number, cost: number): void {
    if (before.budget === null) return
    const held = Math.max(reserved, cost)
    setMoney.run(before.budget, held, cost, id)
    if (held !== before.reserved) change.run(held - before.reserved, 0, before.budget)
  }

  function fit(owner: number, jobs: readonly JobId[], { limitUsd, maxCostUsd }: Reservation): Fit {
    const budget = budgetOf.get(owner) ?? undefined
    const state = budget === undefined ? undefined : select.get(budget)
    if (budget === undefined || !state) throw new Error('An owner without a budget has nothing to reserve from.')
    const limit = nanoUsd(limitUsd)
    noteLimit.run(limit, budget)
    return { budget, amounts: fitting(jobs, maxCostUsd, limit - state.spent - state.reserved) }
  }

  function hold(intent: number, budget: number, amounts: ReadonlyMap<JobId, number>): void {
    let sum = 0
    for (const [job, amount] of amounts) {
      reserveFor.run(amount, job)
      sum += amount
    }
    setMoney.run(budget, sum, 0, intent)
    change.run(sum, 0, budget)
  }

  return {
    fit,
    hold,
    holdAll({ id, owner }, jobs, reserve) {
      const { budget, amounts } = fit(owner, jobs, reserve)
      if (amounts.size < jobs.length) return false
      hold(id, budget, amounts)
      return true
    },
    join(now) {
      const known = latest.get()
      if (known !== undefined && isShared.get(known, now - RERUN_MS, known, known) === 1) return known
      return Number(insert.run(now).lastInsertRowid)
    },

    stateOf(owner) {
      const id = budgetOf.get(owner) ?? undefined
      const state = id === undefined ? undefined : select.get(id)
      return id !== undefined && state
        ? { id, spentUsd: usdOf(state.spent), reservedUsd: usdOf(state.reserved) }
        : undefined
    },

    charge(intent, known, unknown) {
      const money = moneyOf.get(intent)
      if (!money || money.budget === null) return
      const cost = unknown.reduce((sum, job) => sum + (reservedFor.get(job) ?? 0), money.cost + known)
      setIntent(intent, money, money.reserved, cost)
    },

    release(intent, job, possiblyBilled) {
      const money = moneyOf.get(intent)
      if (!money || money.budget === null) return
      const amount = reservedFor.get(job) ?? 0
      reserveFor.run(null, job)
      if (possiblyBilled) setIntent(intent, money, money.reserved, money.cost + amount)
      else setIntent(intent, money, money.reserved - amount, money.cost)
    },

    end(intent) {
      const money = moneyOf.get(intent)
      if (!money || money.budget === null) return
      change.run(-money.reserved, money.cost, money.budget)
      setMoney.run(null, 0, money.cost, intent)
    },
  }
}

/** The jobs that fit into what is left, up to the first that does not, with what each can cost. */
export function fitting(
  jobs: readonly JobId[],
  maxCostUsd: readonly number[],
  left: number,
): ReadonlyMap<JobId, number> {
  const amounts = new Map<JobId, number>()
  let sum = 0
  for (const [at, job] of jobs.entries()) {
    const amount = nanoUsdAtLeast(maxCostUsd[at] ?? Number.NaN)
    sum += amount
    // Also of what is no number.
    if (!(sum <= left)) break
    amounts.set(job, amount)
  }
  return amounts
}
