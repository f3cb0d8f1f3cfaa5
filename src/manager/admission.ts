import type { ProviderAdapter } from '../core/adapter.ts'
import type { CapturedRequest } from '../core/request.ts'

/** Why a request cannot ride a batch, in a few words for a person; undefined when it can. `bytes` is what it takes as a line. */
export function whyNotBatched(
  adapter: ProviderAdapter,
  { json, target }: CapturedRequest,
  bytes: number,
): string | undefined {
  const tooLarge = bytes > adapter.limits.bytesPerJob ? 'its body is larger than a batch may be' : undefined
  return adapter.admit?.(json, target) ?? tooLarge
}
