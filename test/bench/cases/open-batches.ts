import { setTimeout as sleep } from 'node:timers/promises'
import { batchify } from '../../../src/index.ts'
import type { Order } from '../order.ts'
import type { OpenBatches } from '../results.ts'
import { chatBody, promptAt } from '../workload.ts'

const POLL_MS = 10_000
const WATCHED_MS = 2 * POLL_MS

/** As many batches as requests, none of which ends while it is watched. */
export async function openBatches({ requests, baseUrl, store }: Order): Promise<OpenBatches> {
  const calls: number[] = []
  const below = globalThis.fetch
  globalThis.fetch = (...call) => {
    calls.push(performance.now())
    return below(...call)
  }
  await using scope = batchify({
    store,
    baseUrls: { openai: [baseUrl] },
    batchSize: 1,
    pollIntervalMs: POLL_MS,
    maxPollIntervalMs: POLL_MS,
    display: 'off',
  })
  const init = { method: 'POST', headers: { authorization: 'Bearer sk-bench', 'content-type': 'application/json' } }
  const answers = Array.from({ length: requests }, (_, n) =>
    scope.fetch(`${baseUrl}/chat/completions`, { ...init, body: JSON.stringify(chatBody(promptAt(n))) }),
  )
  await scope.flush()
  const batches = scope.snapshot().batches.filter(({ ended }) => !ended).length

  // Its first polls come as close together as its creates; from the second on it is at its pace.
  await sleep(POLL_MS)
  calls.length = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  await sleep(WATCHED_MS)
  const { user, system } = process.cpuUsage(cpu)
  const elapsedMs = performance.now() - start
  scope.abort()
  await Promise.all(answers)
  return { batches, callsPerRound: busiest(calls, POLL_MS), idleCpuPercent: ((user + system) / 1000 / elapsedMs) * 100 }
}

/** The most calls within any stretch of time this long. `times` ascend. */
function busiest(times: readonly number[], stretchMs: number): number {
  let most = 0
  let first = 0
  for (const [index, time] of times.entries()) {
    while (time - (times[first] ?? time) >= stretchMs) first += 1
    most = Math.max(most, index - first + 1)
  }
  return most
}
