/** What a client is built with. */
export interface Connection {
  readonly baseUrl: string
  readonly apiKey: string
  /** Handed to the client in place of the global one. */
  readonly fetch?: typeof fetch | undefined
  /** The client's own setting; its own default when absent. */
  readonly maxRetries?: number | undefined
  /** The client's own limit on one call; its own default when absent. */
  readonly timeoutMs?: number | undefined
}

/** Asks one thing and resolves with what the client makes of the answer; rejects as the client rejects. */
export type Ask = (prompt: string, options?: { readonly signal?: AbortSignal | undefined }) => Promise<unknown>

/** One way in which programs ask a provider, and one row of the suite: a client and one of its calls. */
export interface Way {
  readonly name: string
  /** Builds the client: whatever it captures, it captures now. */
  readonly connect: (connection: Connection) => Ask
  /** Whether its call takes a signal. */
  readonly abortable: boolean
  /** Whether it can be given a limit on the time of a call. */
  readonly limitable: boolean
  /** The same as a stream, read to its end. */
  readonly connectStream?: (connection: Connection) => (prompt: string) => Promise<string>
  /** Its call for many prompts at once. */
  readonly connectMany?: (connection: Connection) => (prompts: readonly string[]) => Promise<readonly unknown[]>
}

/** Only what is there: most clients tell an absent option from an undefined one. */
export function present<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  // Exactly the type that `exactOptionalPropertyTypes` wants, which fromEntries forgets.
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}

/** Both at once, or whichever there is. */
export function eitherSignal(signal: AbortSignal | undefined, timeoutMs: number | undefined): AbortSignal | undefined {
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
  return signal && limit ? AbortSignal.any([signal, limit]) : (signal ?? limit)
}

/** A program's own error for a reply that is none. */
export class ReplyError extends Error {
  override name = 'ReplyError'
  readonly status: number
  readonly error: unknown
  constructor(status: number, error: unknown) {
    super(`HTTP ${status}`)
    this.status = status
    this.error = error
  }
}

/** What differs between any two executions of the same request, whoever asks. */
const VARYING = new Set(['created', 'created_at', 'completed_at', 'timestamp', 'headers', 'date'])

/** A result as plain data, less what differs between any two executions. */
export function comparable(result: unknown): unknown {
  const text = JSON.stringify(result, (key, value: unknown) => (VARYING.has(key) ? undefined : value))
  return text === undefined ? undefined : JSON.parse(text)
}

/** What a program can tell of an error: its class and what the client wrote on it. */
export function errorFacts(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { thrown: error }
  const told: Record<string, unknown> = { class: error.constructor.name, name: error.name, message: error.message }
  for (const key of ['status', 'statusCode', 'code', 'param', 'type', 'error', 'isRetryable', 'lc_error_code']) {
    if (key in error) told[key] = Reflect.get(error, key)
  }
  return told
}

/** The HTTP status an error of any client stands for. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  for (const key of ['status', 'statusCode']) {
    const value: unknown = Reflect.get(error, key)
    if (typeof value === 'number') return value
  }
  return statusOf(Reflect.get(error, 'lastError') ?? error.cause)
}

/** Some of a table, by name. */
export function waysNamed(ways: readonly Way[], ...names: readonly string[]): readonly Way[] {
  return names.map((name) => {
    const way = ways.find((one) => one.name === name)
    if (!way) throw new Error(`there is no "${name}" among ${ways.map(({ name }) => name).join(', ')}`)
    return way
  })
}
