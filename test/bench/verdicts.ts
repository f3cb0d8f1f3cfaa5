import type { CaseName } from './order.ts'
import { cpuUs, type Results, type Size } from './results.ts'

/** One budget of the design, and where we stand. */
export interface Verdict {
  readonly what: string
  readonly measured: string
  readonly budget: string
  readonly met: boolean
}

const MILLION = 1_000_000
const BASE = 100_000

/** Every budget for which this run has the numbers. */
export function verdicts({ sizes, notOurs, openBatches }: Results): readonly Verdict[] {
  const perSize = [...sizes].flatMap(([requests, size]) => sizeVerdicts(requests, size))
  const [base, million] = [sizes.get(BASE)?.get('scope-fetch'), sizes.get(MILLION)?.get('scope-fetch')]
  const growth =
    base && million ? [times(`scope.fetch ${MILLION}, CPU against ${BASE}`, cpuUs(million) / cpuUs(base), 1.2)] : []
  return [
    ...perSize,
    ...growth,
    micros('fetch not ours, no scope yet', notOurs.idleUs, 2),
    micros('fetch not ours, outside the open scope', notOurs.outOfScopeUs, 2),
    micros('fetch not ours, in scope', notOurs.inScopeUs, 2),
    {
      what: `${openBatches.batches} open batches, calls per poll round`,
      measured: String(openBatches.callsPerRound),
      budget: `≤ ${openBatches.batches}`,
      met: openBatches.callsPerRound <= openBatches.batches,
    },
    {
      what: `${openBatches.batches} open batches, idle CPU`,
      measured: `${openBatches.idleCpuPercent.toFixed(2)} %`,
      budget: '< 1 %',
      met: openBatches.idleCpuPercent < 1,
    },
  ]
}

function sizeVerdicts(requests: number, size: Size): readonly Verdict[] {
  const found: Verdict[] = []
  const compare = (what: string, ours: CaseName, theirs: CaseName, most: number): void => {
    const [a, b] = [size.get(ours), size.get(theirs)]
    if (a && b) found.push(times(`${what}, ${requests}: CPU`, cpuUs(a) / cpuUs(b), most))
  }
  const [ours, theirs, rerun] = [size.get('scope-fetch'), size.get('hand-rolled'), size.get('rerun')]
  compare('scope.fetch against hand-rolled', 'scope-fetch', 'hand-rolled', 1.5)
  if (ours && theirs) {
    found.push(
      times(`scope.fetch against hand-rolled, ${requests}: peak RSS`, ours.peakRssBytes / theirs.peakRssBytes, 1),
    )
  }
  if (ours && requests === MILLION) {
    const gigabytes = ours.peakRssBytes / 1e9
    found.push({
      what: `scope.fetch, ${requests}: peak RSS`,
      measured: `${gigabytes.toFixed(2)} GB`,
      budget: '≤ 1.5 GB',
      met: gigabytes <= 1.5,
    })
  }
  compare('openai SDK in batchify against SDK alone', 'sdk-batched', 'sdk-instant', 1.15)
  if (rerun) found.push(micros(`re-run from the store, ${requests}`, cpuUs(rerun), 10))
  return found
}

function times(what: string, ratio: number, most: number): Verdict {
  return { what, measured: `${ratio.toFixed(2)}×`, budget: `≤ ${most}×`, met: ratio <= most }
}

function micros(what: string, us: number, most: number): Verdict {
  return { what, measured: `${us.toFixed(2)} µs`, budget: `≤ ${most} µs`, met: us <= most }
}
