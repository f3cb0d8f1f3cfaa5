import type { Database } from 'better-sqlite3'
import { z } from 'zod'
import type { Spending } from '../core/store.ts'
import { usdOf } from './nano-usd.ts'
import type { SpendingSums } from './spending-sums.ts'

/** Adds up what answers cost; outlives them. */
export interface SpendingBook {
  /** Inside the transaction that settles them. */
  add(day: string, provider: string, metadata: string, sums: readonly SpendingSums[]): void
  since(day: string): readonly Spending[]
}

interface SpendingRow {
  readonly day: string
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly metadata: string
  readonly requests: number
  readonly unpriced: number
  readonly inputTokens: number
  readonly cachedTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly cost: number
  readonly liveCost: number
}

const Metadata = z.record(z.string(), z.string())

export function spendingIn(database: Database): SpendingBook {
  type Sums = [number, number, number, number, number, number, number, number]
  const add = database.prepare<[string, string, string, string, string, ...Sums]>(
    `INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       requests = requests + excluded.requests, unpriced = unpriced + excluded.unpriced,
       input_tokens = input_tokens + excluded.input_tokens, cached_tokens = cached_tokens + excluded.cached_tokens,
       output_tokens = output_tokens + excluded.output_tokens,
       reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
       cost = cost + excluded.cost, live_cost = live_cost + excluded.live_cost`,
  )
  const select = database.prepare<[string], SpendingRow>(
    `SELECT day, provider, endpoint, model, metadata, requests, unpriced, input_tokens AS inputTokens, cached_tokens AS cachedTokens,
       output_tokens AS outputTokens, reasoning_tokens AS reasoningTokens, cost, live_cost AS liveCost
     FROM spending WHERE day >= ? ORDER BY day, provider, endpoint, model, metadata`,
  )

  return {
    add(day, provider, metadata, sums) {
      for (const each of sums) {
        const { endpoint, model, requests, unpriced, inputTokens, cachedTokens, outputTokens, reasoningTokens } = each
        add.run(
          day,
          provider,
          endpoint,
          model,
          metadata,
          requests,
          unpriced,
          inputTokens,
          cachedTokens,
          outputTokens,
          reasoningTokens,
          each.cost,
          each.liveCost,
        )
      }
    },
    since: (day) => select.all(day).map(spendingOf),
  }
}

function spendingOf({ metadata, cost, liveCost, ...row }: SpendingRow): Spending {
  return {
    ...row,
    metadata: Metadata.parse(JSON.parse(metadata)),
    costUsd: usdOf(cost),
    liveCostUsd: usdOf(liveCost),
  }
}
