import type { CapturedRequest } from '../core/request.ts'

/** Counts equal requests of a scope. */
export class Occurrences {
  /** What this scope has asked, by fingerprint. */
  readonly #asked = new Set<string>()
  /** How often, where it was more than once: rare, and so kept apart. */
  readonly #repeated = new Map<string, number>()

  /** Which of its kind in this scope a request is, from 1. An SDK's own retry is the same request again, not another one. */
  of(request: CapturedRequest, fingerprint: string): number {
    const known = this.#asked.size
    // Adding tells as well whether it was there: one look-up, among as many fingerprints as there are requests.
    if (this.#asked.add(fingerprint).size > known) return 1
    const before = this.#repeated.get(fingerprint) ?? 1
    if (isRetry(request)) return before
    this.#repeated.set(fingerprint, before + 1)
    return before + 1
  }
}

function isRetry({ headers }: CapturedRequest): boolean {
  return headers.some(([name, value]) => name === 'x-stainless-retry-count' && Number(value) > 0)
}
