import type { BatchifyOptions } from '../../../src/index.ts'
import type { Order } from '../order.ts'
import { BATCH_ROWS, POLL_MS } from '../workload.ts'

/** The yardstick's batches and the yardstick's polls, so that what differs is offpeak itself. */
export function scopeOptions({ baseUrl, store }: Order): BatchifyOptions {
  return {
    store,
    baseUrls: { openai: [baseUrl] },
    batchSize: BATCH_ROWS,
    batchWindowMs: 100,
    pollIntervalMs: POLL_MS,
    maxPollIntervalMs: POLL_MS,
    display: 'off',
  }
}
