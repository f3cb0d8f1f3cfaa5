import type { Usage } from '../core/reply.ts'
import type { Cost } from '../core/report.ts'
import { BATCH_RATES, batchRate, type BatchRateRow } from './batch-rates.ts'
import { listPrice, type PriceOf } from './prices.ts'

/** As much of a settled request as its price depends on: a `request-settled` event is one. */
export interface Settled {
  readonly at: number
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly status: number
  readonly usage: Usage | undefined
}

/** What one answer cost in a batch, and would have cost live. */
export interface AnswerCost {
  readonly costUsd: number
  readonly liveCostUsd: number
}

/** Sums up what the answers of a scope cost. */
export interface Ledger {
  /** Counts one settled request. Refusals cost nothing unless they report usage. */
  settle(settled: Settled): void
  cost(): Cost
}

/** undefined: unknown, which is not zero. */
type AnswerPrice = (usage: Usage | undefined) => AnswerCost | undefined

const FREE: AnswerCost = { costUsd: 0, liveCostUsd: 0 }

function answerPrice(settled: Settled, rows: readonly BatchRateRow[]): AnswerPrice {
  const row = batchRate(settled, settled.at, rows)
  if (!row || row.rate.kind === 'unknown') return () => undefined
  if (row.rate.kind === 'free') return () => FREE
  const { share } = row.rate
  const listed: PriceOf | undefined = listPrice(row.priceList, settled.model, settled.at)
  return (usage) => {
    const liveCostUsd = usage && listed?.(usage)
    return liveCostUsd === undefined ? undefined : { costUsd: liveCostUsd * share, liveCostUsd }
  }
}

export function createLedger(rows: readonly BatchRateRow[] = BATCH_RATES): Ledger {
  const prices = new Map<string, AnswerPrice>()
  let pricedRequests = 0
  let unpricedRequests = 0
  let costUsd = 0
  let liveCostUsd = 0

  let lastSettled: Settled | undefined
  let lastPrice: AnswerPrice | undefined

  /** Answers come batch by batch: the last price is nearly always the next one's. */
  function priceFor(settled: Settled): AnswerPrice {
    if (lastPrice && lastSettled && sameTarget(settled, lastSettled)) return lastPrice
    const key = `${settled.provider}\0${settled.endpoint}\0${settled.model}`
    let price = prices.get(key)
    if (!price) {
      price = answerPrice(settled, rows)
      prices.set(key, price)
    }
    lastSettled = settled
    lastPrice = price
    return price
  }

  return {
    settle(settled) {
      if (settled.status >= 400 && !settled.usage) return
      const cost = priceFor(settled)(settled.usage)
      if (!cost) {
        unpricedRequests += 1
        return
      }
      pricedRequests += 1
      costUsd += cost.costUsd
      liveCostUsd += cost.liveCostUsd
    },
    cost() {
      if (pricedRequests === 0) return { unpricedRequests }
      return { costUsd, liveCostUsd, savedUsd: liveCostUsd - costUsd, unpricedRequests }
    },
  }
}

function sameTarget(one: Settled, other: Settled): boolean {
  return one.model === other.model && one.endpoint === other.endpoint && one.provider === other.provider
}
