import type { Operation } from './operation.ts'
import type { Exchange, Reply, Route } from './provider.ts'

/** A call a surface answers; `captured` is what the pattern's groups matched, decoded. */
export type RouteLine = readonly [
  method: string,
  path: RegExp,
  operation: Operation,
  handle: (exchange: Exchange, ...captured: string[]) => Promise<Reply>,
]

export function findRoute(rows: readonly RouteLine[], method: string, path: string): Route | undefined {
  for (const [verb, pattern, operation, handle] of rows) {
    const match = verb === method ? pattern.exec(path) : null
    if (match) return { operation, handle: (exchange) => handle(exchange, ...match.slice(1).map(decodeURIComponent)) }
  }
  return undefined
}
