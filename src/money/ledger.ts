import type { Cost } from '../core/report.ts'
import { BATCH_RATES, type BatchRateRow } from './batch-rates.ts'
import type { Usage } from '../core/reply.ts'
import { dayOf, dayText, type Priced, type Pricing, pricing } from './pricing.ts'

/** As much of a settled request as its price depends on: a `request-settled` event is one. */
export interface Settled extends Priced {
  readonly status: number
  readonly usage: Usage | undefined
  /** What its user calls the work it belongs to. */
  readonly tag?: string | undefined
}

/** What one answer cost in a batch, and would have cost live: plain data, to be kept with its job. */
export type AnswerCost =
  | { readonly kind: 'known'; readonly costUsd: number; readonly liveCostUsd: number }
  /** Which is not zero. */
  | { readonly kind: 'unknown'; readonly because: string }

export const DIMENSIONS = ['provider', 'model', 'day', 'tag'] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** The answers of one provider, model, day (UTC, `2026-11-20`) or tag (`''`: none). */
export interface LedgerLine extends Cost {
  readonly key: string
  /** Those that were answered, priced or not. */
  readonly requests: number
  readonly tokens: {
    readonly input: number
    /** Parts of the input and of the output. */
    readonly cachedInput: number
    readonly output: number
    readonly reasoning: number
  }
}

/** Sums up what answers cost. */
export interface Ledger {
  /** Counts one settled request at today's table's price, or at the cost that was recorded then. Returns what was counted. */
  settle(settled: Settled, recorded?: AnswerCost): AnswerCost
  cost(): Cost
  /** The same sums, apart; in the order in which keys came up. */
  by(dimension: Dimension): readonly LedgerLine[]
}

interface Sums {
  requests: number
  priced: number
  costUsd: number
  liveCostUsd: number
  input: number
  cachedInput: number
  output: number
  reasoning: number
}

/** Answers that differ in nothing but their size. */
interface Account extends Sums {
  readonly keys: Readonly<Record<Dimension, string>>
  readonly endpoint: string
  readonly day: number
  readonly pricing: Pricing
}

const NOTHING: AnswerCost = { kind: 'known', costUsd: 0, liveCostUsd: 0 }

/** What one answer cost. Refusals cost nothing unless they report usage. */
function answerCost(settled: Settled, prices: Pricing): AnswerCost {
  if (isRefusal(settled)) return NOTHING
  const { batch, live } = prices
  if (batch.kind === 'unknown') return batch
  if (live.kind === 'unknown') return live
  const costUsd = batch.of(settled.usage)
  const liveCostUsd = live.of(settled.usage)
  if (costUsd !== undefined && liveCostUsd !== undefined) return { kind: 'known', costUsd, liveCostUsd }
  return { kind: 'unknown', because: settled.usage ? 'some of its tokens have no price' : 'it reported no usage' }
}

export function createLedger(rows: readonly BatchRateRow[] = BATCH_RATES): Ledger {
  const accounts = new Map<string, Account>()
  let last: Account | undefined

  /** Answers come batch by batch: the last account is nearly always the next one's. */
  function accountOf(settled: Settled): Account {
    const day = dayOf(settled.at)
    const { provider, endpoint, model, tag = '' } = settled
    if (
      last?.keys.model === model &&
      last.day === day &&
      last.endpoint === endpoint &&
      last.keys.provider === provider &&
      last.keys.tag === tag
    ) {
      return last
    }
    const id = [provider, endpoint, model, day, tag].join('\0')
    let account = accounts.get(id)
    if (!account) {
      const keys = { provider, model, day: dayText(day), tag }
      account = { ...noSums(), keys, endpoint, day, pricing: pricing(settled, rows) }
      accounts.set(id, account)
    }
    last = account
    return account
  }

  return {
    settle(settled, recorded) {
      if (isRefusal(settled)) return NOTHING
      const account = accountOf(settled)
      const cost = recorded ?? answerCost(settled, account.pricing)
      account.requests += 1
      if (cost.kind === 'known') {
        account.priced += 1
        account.costUsd += cost.costUsd
        account.liveCostUsd += cost.liveCostUsd
      }
      const { usage } = settled
      if (usage) {
        account.input += usage.input
        account.cachedInput += usage.cachedInput ?? 0
        account.output += usage.output
        account.reasoning += usage.reasoning ?? 0
      }
      return cost
    },
    cost: () => costOfSums(sumOf(accounts.values())),
    by(dimension) {
      const groups = Map.groupBy(accounts.values(), ({ keys }) => keys[dimension])
      return Array.from(groups, ([key, group]) => {
        const sums = sumOf(group)
        const { requests, input, cachedInput, output, reasoning } = sums
        return { key, requests, tokens: { input, cachedInput, output, reasoning }, ...costOfSums(sums) }
      })
    },
  }
}

function isRefusal({ status, usage }: Settled): boolean {
  return status >= 400 && !usage
}

function noSums(): Sums {
  return { requests: 0, priced: 0, costUsd: 0, liveCostUsd: 0, input: 0, cachedInput: 0, output: 0, reasoning: 0 }
}

function sumOf(accounts: Iterable<Sums>): Sums {
  const sum = noSums()
  for (const each of accounts) {
    sum.requests += each.requests
    sum.priced += each.priced
    sum.costUsd += each.costUsd
    sum.liveCostUsd += each.liveCostUsd
    sum.input += each.input
    sum.cachedInput += each.cachedInput
    sum.output += each.output
    sum.reasoning += each.reasoning
  }
  return sum
}

function costOfSums({ requests, priced, costUsd, liveCostUsd }: Sums): Cost {
  const unpricedRequests = requests - priced
  if (priced === 0) return { unpricedRequests }
  return { costUsd, liveCostUsd, savedUsd: liveCostUsd - costUsd, unpricedRequests }
}
