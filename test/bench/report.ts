import type { CaseName } from './order.ts'
import { cpuUs, type Results, type Size } from './results.ts'
import { table } from './table.ts'
import { verdicts } from './verdicts.ts'

const NAMES: Readonly<Partial<Record<CaseName, string>>> = {
  'hand-rolled': 'hand-rolled script',
  'scope-fetch': 'scope.fetch',
  rerun: 'scope.fetch, re-run from the store',
  'sdk-instant': 'openai SDK, instant in-memory fetch',
  'sdk-batched': 'openai SDK in batchify',
}

/** What each row is compared with. */
const YARDSTICKS: Readonly<Partial<Record<CaseName, CaseName>>> = {
  'scope-fetch': 'hand-rolled',
  rerun: 'hand-rolled',
  'sdk-batched': 'sdk-instant',
}

/** The tables, for people. */
export function report(results: Results): string {
  const { cpu, cores, node } = results.machine
  const rows = [...results.sizes].flatMap(([requests, size]) => sizeRows(requests, size))
  return [
    `${cpu}, ${cores} cores, Node ${node}; client and simulator in processes of their own`,
    '',
    table(['', 'requests', 'CPU µs each', 'user', 'system', 'wall s', 'peak RSS MiB', 'CPU ratio', 'RSS ratio'], rows),
    '',
    table(
      ['budget', 'measured', 'allowed', ''],
      verdicts(results).map(({ what, measured, budget, met }) => [what, measured, budget, met ? 'met' : 'NOT MET']),
    ),
  ].join('\n')
}

function sizeRows(requests: number, size: Size): string[][] {
  return [...size].map(([name, measured]) => {
    const yardstick = size.get(YARDSTICKS[name] ?? name)
    const isOwn = YARDSTICKS[name] === undefined || !yardstick
    return [
      NAMES[name] ?? name,
      String(requests),
      cpuUs(measured).toFixed(1),
      ((measured.userMs * 1000) / requests).toFixed(1),
      ((measured.systemMs * 1000) / requests).toFixed(1),
      (measured.wallMs / 1000).toFixed(2),
      (measured.peakRssBytes / 2 ** 20).toFixed(0),
      isOwn ? '' : `${(cpuUs(measured) / cpuUs(yardstick)).toFixed(2)}×`,
      isOwn ? '' : `${(measured.peakRssBytes / yardstick.peakRssBytes).toFixed(2)}×`,
    ]
  })
}
