/** Every code an `OffpeakError` can carry. */
export type ErrorCode =
  | 'invalid-options'
  | 'store-unusable'
  | 'store-too-new'
  | 'store-network-filesystem'
  | 'store-full'
  | 'node-too-old'
  | 'scope-closed'
  | 'lease-lost'
  | 'usage'
  | 'deferred'
  | 'cost-limit'

/** An error of offpeak itself. A provider's own error reaches callers as that provider's error Response instead. */
export class OffpeakError extends Error {
  override name = 'OffpeakError'
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A batch that goes on without us. */
export interface RunningBatch {
  readonly provider: string
  /** The provider's id. */
  readonly id: string
  readonly jobs: number
}

/** Everything is submitted and only waiting was left: the program may end, and the next run picks the answers up. */
export class DeferredExit extends OffpeakError {
  override name = 'DeferredExit'
  readonly batches: readonly RunningBatch[]
  /** Calls that were still waiting. */
  readonly pending: number
  constructor(batches: readonly RunningBatch[], pending: number, store: string) {
    const ids = batches.map(({ id }) => id).join(', ')
    super(
      'deferred',
      `offpeak: deferred with ${pending} calls waiting for ${batches.length} batches that go on at the provider (${ids}); run the same program again on the same store (${store}) to pick their answers up`,
    )
    this.batches = batches
    this.pending = pending
  }
}

/** Some calls were not sent because they could have cost more than `maxCostUsd` allows. What had been sent before went on to its end. */
export class CostLimitError extends OffpeakError {
  override name = 'CostLimitError'
  /** USD of the budget that is spent. */
  readonly spent: number
  /** USD of it still held for batches that go on, here or in other processes on the same store. */
  readonly reserved: number
  /** Calls that were not sent. */
  readonly refused: number
  constructor(
    limit: number,
    { spent, reserved, refused }: { readonly spent: number; readonly reserved: number; readonly refused: number },
    options?: ErrorOptions & { readonly because?: string | undefined },
  ) {
    const why = options?.because ?? 'more could have been spent than was left'
    super(
      'cost-limit',
      `offpeak: ${refused === 1 ? '1 call was' : `${refused} calls were`} not sent within the limit of $${limit}: ${why} ($${round(spent)} spent, $${round(reserved)} reserved for batches under way). Answers that came are stored: with a higher limit, the same program goes on from there`,
      options,
    )
    this.spent = spent
    this.reserved = reserved
    this.refused = refused
  }
}

/** Without the noise of binary fractions. */
function round(usd: number): number {
  return Number(usd.toPrecision(6))
}

/** The provider answered one of our own calls with something other than 2xx. */
export class ProviderError extends Error {
  override name = 'ProviderError'
  readonly status: number
  /** The provider's code or type, when its envelope has one. */
  readonly code: string | undefined
  /** Its body, whole: handed to callers as it came when the refusal is theirs. */
  readonly body: string
  readonly retryAfterMs: number | undefined
  constructor(
    status: number,
    code: string | undefined,
    body: string,
    retryAfterMs: number | undefined,
    message: string,
  ) {
    super(message)
    this.status = status
    this.code = code
    this.body = body
    this.retryAfterMs = retryAfterMs
  }
}

/** One of our own calls got no answer, or one that could not be read: whether it had an effect is unknown. */
export class NetworkError extends Error {
  override name = 'NetworkError'
}
