/** Edit distance in which swapping two neighbours counts once; gives up, with Infinity, past `limit`. */
function distance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) > limit) return Number.POSITIVE_INFINITY
  let before: number[] = []
  let above = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1]
      let best = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (swapped) best = Math.min(best, (before[column - 2] ?? 0) + 1)
      current.push(best)
    }
    before = above
    above = current
  }
  const edits = above[to.length] ?? 0
  return edits <= limit ? edits : Number.POSITIVE_INFINITY
}

/** Upper case, dashes and underscores are not what a typo is about. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '')
}

/**
 * The candidate somebody most likely meant by `word`; undefined when none is near enough to be worth naming.
 * Beginning a candidate (`poll` for `pollIntervalMs`) or going on past its end (`cached` for `cache`) is near as well.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(word)
  if (wanted === '') return undefined
  const limit = Math.max(1, Math.floor(wanted.length / 3))
  let best: string | undefined
  let bestEdits = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const edits = distance(wanted, plain(candidate), limit)
    if (edits < bestEdits) {
      best = candidate
      bestEdits = edits
    }
  }
  if (best !== undefined || wanted.length < 3) return best
  return (
    candidates.find((candidate) => plain(candidate).startsWith(wanted)) ??
    candidates.find((candidate) => plain(candidate).length > 2 && wanted.startsWith(plain(candidate)))
  )
}
