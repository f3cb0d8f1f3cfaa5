/** Money is kept in whole nano-dollars, so that sums are exact in any order: nine million dollars fit a number. */
const PER_USD = 1e9

export function nanoUsd(usd: number): number {
  return Math.round(usd * PER_USD)
}

/** For what is held back: never less than was asked for. */
export function nanoUsdAtLeast(usd: number): number {
  return Math.ceil(usd * PER_USD)
}

export function usdOf(nano: number): number {
  return nano / PER_USD
}
