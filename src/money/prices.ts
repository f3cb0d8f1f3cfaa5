import { calcPrice, type ModelInfo, type ModelPrice } from '@pydantic/genai-prices'
import type { Usage } from '../core/reply.ts'

/** USD of one answer at list price. undefined: nobody can say. */
export type PriceOf = (usage: Usage) => number | undefined

const PER_TOKEN = 1e-6

/**
 * The list price of a model as a function of an answer's usage; undefined when the list does not have the model. Worked out once per
 * model: most prices are three numbers per token, and only those that are not go through the library for each answer. The list comes
 * with the package: nothing is fetched.
 */
export function listPrice(priceList: string, model: string, at: number): PriceOf | undefined {
  const found = lookUp(priceList, model, {}, at)
  if (!found) return undefined
  const { model: info, model_price: price } = found
  // An entry without a price says that the model exists, not that it is free.
  if (Object.keys(price).length === 0) return undefined
  const byLibrary: PriceOf = (usage) => lookUp(priceList, model, usage, at)?.total_price
  if (variesByTheClock(info) || price['requests_kcount'] !== undefined) return byLibrary

  const input = baseOf(price['input_mtok'])
  const cached = baseOf(price['cache_read_mtok']) ?? input
  const output = baseOf(price['output_mtok'])
  if (input === undefined) return byLibrary
  const firstTier = lowestTier(price)
  return (usage) => {
    if (usage.input >= firstTier) return byLibrary(usage)
    // A kind of token without a price of its own cannot be summed as zero.
    if (output === undefined && usage.output > 0) return undefined
    const cachedInput = cachedTokens(usage)
    return (
      ((usage.input - cachedInput) * input + cachedInput * (cached ?? input) + usage.output * (output ?? 0)) * PER_TOKEN
    )
  }
}

/** A provider that counts more cached tokens than tokens is not believed. */
function cachedTokens(usage: Usage): number {
  return Math.min(usage.cachedInput ?? 0, usage.input)
}

function lookUp(priceList: string, model: string, usage: Partial<Usage>, at: number): ReturnType<typeof calcPrice> {
  const { input = 0, output = 0 } = usage
  const tokens = {
    input_tokens: input,
    cache_read_tokens: cachedTokens({ ...usage, input, output }),
    output_tokens: output,
  }
  try {
    return calcPrice(tokens, model, { providerId: priceList, timestamp: new Date(at) })
  } catch {
    // The library refuses usage that contradicts its list. That is an unknown price, and no reason to fail an answer.
    return null
  }
}

type Price = ModelPrice[string]

function baseOf(price: Price): number | undefined {
  return typeof price === 'object' ? price.base : price
}

/** Input tokens from which on some price is another one. */
function lowestTier(price: ModelPrice): number {
  const starts = Object.values(price).flatMap((each) =>
    typeof each === 'object' ? each.tiers.map(({ start }) => start) : [],
  )
  return Math.min(Number.POSITIVE_INFINITY, ...starts)
}

function variesByTheClock({ prices }: ModelInfo): boolean {
  return Array.isArray(prices) && prices.some(({ constraint }) => constraint?.type === 'time_of_date')
}
