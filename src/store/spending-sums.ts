import type { Settlement } from '../core/job.ts'
import { nanoUsd } from './nano-usd.ts'

/** What the answers of one group came to. Money in nano-dollars. */
export interface SpendingSums {
  readonly endpoint: string
  readonly model: string
  requests: number
  unpriced: number
  inputTokens: number
  cachedTokens: number
  outputTokens: number
  reasoningTokens: number
  cost: number
  liveCost: number
}

/** Day in UTC, as spending is kept by: `2026-11-20`. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

/** Sums settlements up by what they were for, so that one statement writes many. */
export interface SpendingSummer {
  add(settlement: Settlement): void
  readonly sums: readonly SpendingSums[]
}

export function createSummer(usual: { readonly endpoint: string; readonly model: string }): SpendingSummer {
  const sums: SpendingSums[] = []
  let last: SpendingSums | undefined

  function sumsOf({ endpoint, model }: { readonly endpoint: string; readonly model: string }): SpendingSums {
    if (last?.model === model && last.endpoint === endpoint) return last
    last = sums.find((each) => each.model === model && each.endpoint === endpoint)
    if (!last) {
      last = {
        endpoint,
        model,
        requests: 0,
        unpriced: 0,
        inputTokens: 0,
        cachedTokens: 0,
        outputTokens: 0,
        reasoningTokens: 0,
        cost: 0,
        liveCost: 0,
      }
      sums.push(last)
    }
    return last
  }

  return {
    sums,
    add({ status, usage, cost, target }) {
      // Refusals cost nothing, unless they report what they used.
      if (status >= 400 && !usage) return
      const sum = sumsOf(target ?? usual)
      sum.requests += 1
      if (cost) {
        sum.cost += nanoUsd(cost.costUsd)
        sum.liveCost += nanoUsd(cost.liveCostUsd)
      } else {
        sum.unpriced += 1
      }
      if (!usage) return
      sum.inputTokens += usage.input
      sum.cachedTokens += usage.cachedInput ?? 0
      sum.outputTokens += usage.output
      sum.reasoningTokens += usage.reasoning ?? 0
    },
  }
}
