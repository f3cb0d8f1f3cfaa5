import { z } from 'zod'
import type { CaseName } from './order.ts'

/** What one row of the table cost the process that ran it. */
export const Measurement = z.object({
  requests: z.number(),
  /** Of every thread. */
  userMs: z.number(),
  systemMs: z.number(),
  wallMs: z.number(),
  peakRssBytes: z.number(),
})
export type Measurement = z.infer<typeof Measurement>

/** CPU µs that one fetch which is not ours costs on top of the native call. */
export const NotOurs = z.object({
  /** No scope has been opened. */
  idleUs: z.number(),
  /** Outside of a scope that is open. */
  outOfScopeUs: z.number(),
  inScopeUs: z.number(),
})
export type NotOurs = z.infer<typeof NotOurs>

/** What it costs to wait for many batches. */
export const OpenBatches = z.object({
  batches: z.number(),
  /** Calls in the busiest stretch as long as a poll interval. */
  callsPerRound: z.number(),
  /** Of one core. */
  idleCpuPercent: z.number(),
})
export type OpenBatches = z.infer<typeof OpenBatches>

/** One number of requests, by case. */
export type Size = ReadonlyMap<CaseName, Measurement>

export interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string }
  readonly sizes: ReadonlyMap<number, Size>
  readonly notOurs: NotOurs
  readonly openBatches: OpenBatches
}

export function cpuUs({ userMs, systemMs, requests }: Measurement): number {
  return ((userMs + systemMs) * 1000) / requests
}
