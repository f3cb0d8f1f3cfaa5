import { z } from 'zod'

/** What a child process is told to do. */
export const Order = z.object({
  case: z.enum(['hand-rolled', 'scope-fetch', 'sdk-batched', 'sdk-instant', 'rerun', 'not-ours', 'open-batches']),
  requests: z.int().positive(),
  /** The simulator's, where the case needs one. */
  baseUrl: z.string(),
  /** A database file, where the case needs one. */
  store: z.string(),
})
export type Order = z.infer<typeof Order>
export type CaseName = Order['case']
