import type { Cost } from '../core/report.ts'
import { formatCount, formatUsd } from './format.ts'

/** `saved $0.42 of $0.84`; `saved` alone as `short`. Nothing while nothing has been answered: unknown is said, and is not zero. */
export function savedText({ savedUsd, liveCostUsd, unpricedRequests }: Cost, length: 'long' | 'short'): string {
  if (savedUsd === undefined) return unpricedRequests > 0 ? 'saved unknown' : ''
  const saved = `saved ${formatUsd(savedUsd)}`
  if (length === 'short') return saved
  const live = liveCostUsd === undefined ? '' : ` of ${formatUsd(liveCostUsd)}`
  return `${saved}${live}${unpricedRequests > 0 ? `, ${formatCount(unpricedRequests)} unpriced` : ''}`
}
