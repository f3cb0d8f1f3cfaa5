import type { Usage } from './reply.ts'
import type { JsonObject } from './request.ts'

/** What a price depends on besides tokens. */
export interface PricedAt {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** What one answer cost in a batch, and would have cost live. */
export interface AnswerCost {
  readonly costUsd: number
  readonly liveCostUsd: number
}

/** What a request was expected to be: kept with it until its answer tells how right that was. */
export interface Forecast {
  /** The most it can cost in a batch, or why nobody can say. */
  readonly most:
    | { readonly kind: 'known'; readonly costUsd: number }
    | { readonly kind: 'unknown'; readonly because: string }
  /** What is reserved where nobody can say what it costs at the most: a guess, or 0 where there is none. */
  readonly guessUsd: number
  /** Input tokens before any correction; undefined when something of the prompt could not be counted. */
  readonly estimatedInput: number | undefined
  /** The most tokens the request allows its answer. */
  readonly maxOutput: number | undefined
}

/** What the engine asks about money. It is given prices, and has none of its own. */
export interface PricingPort {
  /**
   * `limit`: somebody has to know what it can cost. `learning`: its answer may teach something; undefined when it need not.
   */
  forecast(request: PricedAt & { readonly body: JsonObject }, use: 'limit'): Forecast
  forecast(request: PricedAt & { readonly body: JsonObject }, use: 'limit' | 'learning'): Forecast | undefined
  /** undefined: unknown, which is not zero. */
  price(answer: PricedAt & { readonly status: number; readonly usage: Usage | undefined }): AnswerCost | undefined
  /** Tells what an answer really was. */
  learn(target: PricedAt, forecast: Forecast, usage: Usage): void
}
