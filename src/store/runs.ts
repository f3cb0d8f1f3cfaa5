/** A stretch of a list: `[from, to)`. */
export interface Run {
  readonly from: number
  readonly to: number
}

/**
 * Cuts a list into stretches whose ids follow each other without a gap, so that one statement over a range of ids can stand for
 * many. `same` tells which neighbours may share one.
 */
export function* runsOf<T>(
  list: readonly T[],
  idOf: (item: T) => number,
  same: (a: T, b: T) => boolean = () => true,
): Generator<Run> {
  let from = 0
  let last: T | undefined
  for (const [at, item] of list.entries()) {
    if (last !== undefined && (idOf(item) !== idOf(last) + 1 || !same(last, item))) {
      yield { from, to: at }
      from = at
    }
    last = item
  }
  if (last !== undefined) yield { from, to: list.length }
}
