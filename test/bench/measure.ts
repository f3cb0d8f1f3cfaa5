import type { Measurement } from './results.ts'

/** Measures work from its first to its last instruction; what the process did before counts in its memory only. */
export async function measure(requests: number, work: () => Promise<void>): Promise<Measurement> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const wallMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return {
    requests,
    userMs: user / 1000,
    systemMs: system / 1000,
    wallMs,
    // Kilobytes, on every platform.
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }
}
