import { calcPrice, type ModelPrice } from '@pydantic/genai-prices'
import type { Usage } from '../core/reply.ts'

/** USD of one answer. undefined: nobody can say. */
export type PriceOf = (usage: Usage) => number | undefined

/** USD of one token by its kind; undefined: not on the list. */
export interface Rates {
  readonly input: number | undefined
  readonly cachedInput: number | undefined
  readonly cacheWrite: number | undefined
  readonly cacheWriteHour: number | undefined
  readonly output: number | undefined
  /** The part of `output` spent on reasoning, where it costs something else. */
  readonly reasoning?: number | undefined
  /** USD of the request itself. */
  readonly request: number
}

/** The rates of a request, which at some models depend on the size of its input. */
export type RatesFor = (inputTokens: number) => Rates

const PER_MILLION = 1e-6
const PER_THOUSAND = 1e-3

/** The list price of a model as a function of an answer's usage; undefined when the list does not have the model. */
export function listPrice(priceList: string, model: string, at: number): PriceOf | undefined {
  const rates = listRates(priceList, model, at)
  return rates && ((usage) => costOf(usage, rates(usage.input)))
}

/**
 * The list's rates of a model at a time, worked out once: nothing of the library is in the way of an answer. undefined when the list does
 * not have the model, or has it without a price for text. The list comes with the package: nothing is fetched.
 */
export function listRates(priceList: string, model: string, at: number): RatesFor | undefined {
  const price = lookUp(priceList, model, at)
  // An entry without a price says that the model exists, not that it is free.
  if (price?.['input_mtok'] === undefined) return undefined
  const base = ratesAbove(price, 0)
  const steps = tierStarts(price).map((start) => ({ start, rates: ratesAbove(price, start + 1) }))
  const [first] = steps
  if (!first) return () => base
  return (inputTokens) => {
    if (inputTokens <= first.start) return base
    return steps.findLast(({ start }) => inputTokens > start)?.rates ?? base
  }
}

/** What an answer costs at these rates. undefined when it has tokens of a kind without a rate: they cannot be summed as zero. */
export function costOf(usage: Usage, rates: Rates): number | undefined {
  const cachedInput = cachedTokens(usage)
  const cacheWrite = Math.min(usage.cacheWrite ?? 0, usage.input - cachedInput)
  const cacheWriteHour = Math.min(usage.cacheWriteHour ?? 0, cacheWrite)
  const reasoning = rates.reasoning === undefined ? 0 : Math.min(usage.reasoning ?? 0, usage.output)
  const { input, output } = rates
  if ((input === undefined && usage.input > 0) || (output === undefined && usage.output > reasoning)) return undefined
  const perInput = input ?? 0
  const perWrite = rates.cacheWrite ?? perInput
  return (
    (usage.input - cachedInput - cacheWrite) * perInput +
    cachedInput * (rates.cachedInput ?? perInput) +
    (cacheWrite - cacheWriteHour) * perWrite +
    cacheWriteHour * (rates.cacheWriteHour ?? perWrite) +
    (usage.output - reasoning) * (output ?? 0) +
    reasoning * (rates.reasoning ?? 0) +
    rates.request
  )
}

/** A provider that counts more cached tokens than tokens is not believed. */
function cachedTokens(usage: Usage): number {
  return Math.min(usage.cachedInput ?? 0, usage.input)
}

function lookUp(priceList: string, model: string, at: number): ModelPrice | undefined {
  try {
    return calcPrice({}, model, { providerId: priceList, timestamp: new Date(at) })?.model_price
  } catch {
    // The library refuses what contradicts its list. That is an unknown price, and no reason to fail an answer.
    return undefined
  }
}

function ratesAbove(price: ModelPrice, inputTokens: number): Rates {
  const rate = (key: string): number | undefined => {
    const perMillion = priceAt(price[key], inputTokens)
    return perMillion === undefined ? undefined : perMillion * PER_MILLION
  }
  return {
    input: rate('input_mtok'),
    cachedInput: rate('cache_read_mtok'),
    cacheWrite: rate('cache_write_mtok'),
    cacheWriteHour: rate('cache_write_1h_mtok'),
    output: isOfOneKind(price) ? rate('output_mtok') : undefined,
    request: (priceAt(price['requests_kcount'], inputTokens) ?? 0) * PER_THOUSAND,
  }
}

/** Where pictures or sound cost more than words, the usage we read cannot tell what an answer's tokens were: taking them for words is ten times too little. */
function isOfOneKind(price: ModelPrice): boolean {
  return ['output_image_mtok', 'output_audio_mtok', 'output_video_mtok'].every((key) => price[key] === undefined)
}

type Price = ModelPrice[string]

/** The whole request costs what its size costs. */
function priceAt(price: Price, inputTokens: number): number | undefined {
  if (typeof price !== 'object') return price
  return price.tiers.findLast(({ start }) => inputTokens > start)?.price ?? price.base
}

/** Input tokens above which some price is another one, ascending. */
function tierStarts(price: ModelPrice): readonly number[] {
  const starts = Object.values(price).flatMap((each) =>
    typeof each === 'object' ? each.tiers.map(({ start }) => start) : [],
  )
  return [...new Set(starts)].sort((one, other) => one - other)
}
