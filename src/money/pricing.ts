import type { Usage } from '../core/reply.ts'
import { BATCH_RATES, type BatchRate, batchRate, type BatchRateRow } from './batch-rates.ts'
import { costOf, listRates, type Rates, type RatesFor } from './prices.ts'

/** What a price depends on besides usage. `at` is milliseconds since the epoch. */
export interface Priced {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  readonly at: number
}

/** A price known as a function of usage (undefined: not for that usage), or why it is not. */
export type Price =
  | { readonly kind: 'known'; of(usage: Usage | undefined): number | undefined }
  | { readonly kind: 'unknown'; readonly because: string }

/** What the same answer costs when asked for at once, and in a batch. */
export interface Pricing {
  readonly live: Price
  readonly batch: Price
  /** The row of the table the batch price rests on. */
  readonly row: BatchRateRow | undefined
}

type ShareOfList = Extract<BatchRate, { kind: 'share' }>

const FREE: Price = { kind: 'known', of: () => 0 }

const MS_PER_DAY = 86_400_000

/** Number of a UTC day since the epoch. Prices are looked up once a day. */
export function dayOf(at: number): number {
  return Math.floor(at / MS_PER_DAY)
}

/** `2026-11-20` */
export function dayText(day: number): string {
  return new Date(day * MS_PER_DAY).toISOString().slice(0, 10)
}

/** What answers of a model cost at a time. Unknown is never zero. */
export function pricing(priced: Priced, rows: readonly BatchRateRow[] = BATCH_RATES): Pricing {
  const row = batchRate(priced, priced.at, rows)
  if (!row) {
    const none = unknown(`no batch rate of ${priced.provider} is known`)
    return { live: none, batch: none, row }
  }
  const { rate } = row
  if (rate.kind === 'free') return { live: FREE, batch: FREE, row }
  const listed = listRates(row.priceList, priced.model, priced.at)
  const live = listed ? known(listed) : unknown(`no price of ${priced.model} is known`)
  switch (rate.kind) {
    case 'unknown':
      return { live: rate.of === 'live' ? unknown(rate.because) : live, batch: unknown(rate.because), row }
    case 'prices':
      return { live, batch: known(ownRates(rate)), row }
    case 'share':
      return { live, batch: listed ? known(sharedRates(listed, rate)) : live, row }
  }
}

function known(rates: RatesFor): Price {
  return { kind: 'known', of: (usage) => usage && costOf(usage, rates(usage.input)) }
}

function unknown(because: string): Price {
  return { kind: 'unknown', because }
}

function sharedRates(listed: RatesFor, rate: ShareOfList): RatesFor {
  // A list has one set of rates, or one per tier: each is worked out once, not for every answer.
  const shares = new Map<Rates, Rates>()
  return (inputTokens) => {
    const rates = listed(inputTokens)
    let shared = shares.get(rates)
    if (!shared) {
      shared = shareOf(rates, rate)
      shares.set(rates, shared)
    }
    return shared
  }
}

function shareOf(rates: Rates, { share, cached = 'stacks' }: ShareOfList): Rates {
  const part = (rate: number | undefined): number | undefined => (rate === undefined ? undefined : rate * share)
  const input = part(rates.input)
  const cachedInput = {
    stacks: part(rates.cachedInput),
    'as-listed': rates.cachedInput,
    'as-input': input,
  }[cached]
  return {
    input,
    cachedInput: cachedInput ?? input,
    cacheWrite: part(rates.cacheWrite),
    cacheWriteHour: part(rates.cacheWriteHour),
    output: part(rates.output),
    reasoning: part(rates.reasoning),
    request: rates.request * share,
  }
}

function ownRates({ perMillion, perRequest = 0 }: Extract<BatchRate, { kind: 'prices' }>): RatesFor {
  const perToken = (price: number | undefined): number | undefined => (price === undefined ? undefined : price * 1e-6)
  const rates: Rates = {
    input: perToken(perMillion.input),
    cachedInput: perToken(perMillion.cachedInput),
    cacheWrite: perToken(perMillion.cacheWrite),
    cacheWriteHour: perToken(perMillion.cacheWrite),
    output: perToken(perMillion.output),
    reasoning: perToken(perMillion.reasoning),
    request: perRequest,
  }
  return () => rates
}
