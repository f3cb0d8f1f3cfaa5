import type { DryRunGroup, DryRunSums, Estimated, EstimatedCost, DryRunRange } from '../../core/dry-run.ts'

/** What one group, or all of them, come to so far. */
export class Tally {
  #requests = 0
  #cached = 0
  #joined = 0
  #batches = 0
  #inputTokens = 0
  #uncounted = 0
  #unpricedLive = 0
  #unpricedBatch = 0
  readonly #because = new Set<string>()
  readonly #output = new RangeSum()
  readonly #live = new RangeSum()
  readonly #batch = new RangeSum()
  readonly #saved = new RangeSum()

  /** A request that needs no batch. */
  found(kind: 'answered' | 'waiting'): void {
    this.#requests += 1
    if (kind === 'answered') this.#cached += 1
    else this.#joined += 1
  }

  addBatch(): void {
    this.#batches += 1
  }

  /** A request that needs a place in a batch. */
  add({ input, output, live, batch }: Estimated): void {
    this.#requests += 1
    this.#inputTokens += input.tokens
    if (input.uncounted.length > 0) this.#uncounted += 1
    this.#output.add(output)
    if (!this.#addCost(this.#live, live)) this.#unpricedLive += 1
    if (!this.#addCost(this.#batch, batch)) this.#unpricedBatch += 1
    if (live.kind === 'known' && batch.kind === 'known') this.#saved.add(difference(live, batch))
  }

  #addCost(sum: RangeSum, cost: EstimatedCost): boolean {
    if (cost.kind === 'known') sum.add(cost)
    else this.#because.add(cost.because)
    return cost.kind === 'known'
  }

  sums(): DryRunSums {
    const { range: liveCostUsd } = this.#live
    const { range: batchCostUsd } = this.#batch
    const { range: savedUsd } = this.#saved
    return {
      requests: this.#requests,
      cached: this.#cached,
      joined: this.#joined,
      batches: this.#batches,
      tokens: { input: this.#inputTokens, output: this.#output.range ?? { low: 0, likely: 0, high: 0 } },
      uncountedRequests: this.#uncounted,
      ...(liveCostUsd && { liveCostUsd }),
      ...(batchCostUsd && { batchCostUsd }),
      ...(savedUsd && { savedUsd }),
      unpriced: { live: this.#unpricedLive, batch: this.#unpricedBatch, because: [...this.#because] },
    }
  }
}

/** What is asked of one model at one endpoint. */
export class GroupTally extends Tally {
  readonly #about: Pick<DryRunGroup, 'provider' | 'endpoint' | 'model'>

  constructor(about: Pick<DryRunGroup, 'provider' | 'endpoint' | 'model'>) {
    super()
    this.#about = about
  }

  group(): DryRunGroup {
    return { ...this.#about, ...this.sums() }
  }
}

type Bounds = Pick<DryRunRange, 'low' | 'likely'> & { readonly high: number | undefined }

/** A sum of ranges has no upper end as soon as one of them has none. */
class RangeSum {
  #low = 0
  #likely = 0
  #high: number | undefined = 0
  #isEmpty = true

  add({ low, likely, high }: Bounds): void {
    this.#isEmpty = false
    this.#low += low
    this.#likely += likely
    this.#high = high === undefined || this.#high === undefined ? undefined : this.#high + high
  }

  get range(): DryRunRange | undefined {
    if (this.#isEmpty) return undefined
    const range = { low: this.#low, likely: this.#likely }
    return this.#high === undefined ? range : { ...range, high: this.#high }
  }
}

function difference(live: Bounds, batch: Bounds): Bounds {
  const high = live.high === undefined || batch.high === undefined ? undefined : live.high - batch.high
  return { low: live.low - batch.low, likely: live.likely - batch.likely, high }
}
