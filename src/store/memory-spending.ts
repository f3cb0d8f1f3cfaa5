import type { Spending } from '../core/store.ts'
import { usdOf } from './nano-usd.ts'
import type { SpendingSums } from './spending-sums.ts'

interface Entry extends SpendingSums {
  readonly day: string
  readonly provider: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface MemorySpending {
  add(day: string, provider: string, metadata: Entry['metadata'], sums: readonly SpendingSums[]): void
  since(day: string): readonly Spending[]
}

export function memorySpending(): MemorySpending {
  const entries = new Map<string, Entry>()

  return {
    add(day, provider, metadata, sums) {
      for (const sum of sums) {
        const key = [day, provider, sum.endpoint, sum.model, JSON.stringify(metadata)].join('\0')
        const entry = entries.get(key)
        if (!entry) {
          entries.set(key, { ...sum, day, provider, metadata })
          continue
        }
        entry.requests += sum.requests
        entry.unpriced += sum.unpriced
        entry.inputTokens += sum.inputTokens
        entry.cachedTokens += sum.cachedTokens
        entry.outputTokens += sum.outputTokens
        entry.reasoningTokens += sum.reasoningTokens
        entry.cost += sum.cost
        entry.liveCost += sum.liveCost
      }
    },
    since: (day) =>
      [...entries]
        .filter(([, entry]) => entry.day >= day)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, entry]) => spendingOf(entry)),
  }
}

function spendingOf({ cost, liveCost, ...entry }: Entry): Spending {
  return { ...entry, costUsd: usdOf(cost), liveCostUsd: usdOf(liveCost) }
}
