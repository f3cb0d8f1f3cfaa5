/**
 * The speed and memory tables: `npm run bench -- [--requests 10000,100000] [--repeat 1] [--json]`. Every row runs in a process of its
 * own, the simulator in another. Not meeting a budget is a result, not a failure: the exit code is 0 unless something broke.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { spawnSimulator } from '../../src/simulator/spawn.ts'
import type { CaseName } from './order.ts'
import { report } from './report.ts'
import { cpuUs, Measurement, NotOurs, OpenBatches, type Results, type Size } from './results.ts'
import { runCase } from './run-case.ts'
import { verdicts } from './verdicts.ts'

const BATCHES = 500
/** More calls of an SDK than this at once do not fit the memory of most machines, with or without us. */
const MOST_SDK_CALLS = 200_000
const LIMIT_MS = 60_000
const LIMIT_MS_PER_REQUEST = 1.5

const CASES: readonly CaseName[] = ['hand-rolled', 'scope-fetch', 'rerun', 'sdk-instant', 'sdk-batched']

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000,100000' },
    repeat: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const sizes = values.requests.split(',').map((text) => wholeNumber('--requests', text))
const repeats = wholeNumber('--repeat', values.repeat)

const folder = mkdtempSync(join(tmpdir(), 'offpeak-bench-'))
try {
  const results: Results = {
    machine: { cpu: cpus()[0]?.model ?? 'unknown CPU', cores: availableParallelism(), node: process.versions.node },
    sizes: await runSizes(),
    notOurs: await runNotOurs(),
    openBatches: await runOpenBatches(),
  }
  if (values.json) {
    const { machine, notOurs, openBatches } = results
    const rows = [...results.sizes.values()].flatMap((size) =>
      [...size].map(([name, measured]) => ({ name, measured })),
    )
    console.log(JSON.stringify({ machine, rows, notOurs, openBatches, verdicts: verdicts(results) }, null, 2))
  } else {
    console.log(report(results))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function runSizes(): Promise<Results['sizes']> {
  await using simulator = await spawnSimulator({ batchMs: 1, folder })
  const baseUrl = simulator.baseUrl('openai')
  const found = new Map<number, Size>()
  for (const requests of sizes) found.set(requests, await runSize(baseUrl, requests))
  return found
}

async function runSize(baseUrl: string, requests: number): Promise<Size> {
  const runs = new Map<CaseName, Measurement[]>()
  for (let round = 0; round < repeats; round += 1) {
    // In turns, so that a busy minute of the machine hits all of them.
    for (const name of CASES) {
      if (name.startsWith('sdk') && requests > MOST_SDK_CALLS) continue
      tell(`${name}, ${requests} requests`)
      // The re-run has the store that the run before it has filled; every other case starts with none.
      const kind = name === 'rerun' ? 'scope-fetch' : name
      const store = join(folder, `${kind}-${requests}-${round}`, 'store.db')
      const order = { case: name, requests, baseUrl, store }
      const measured = Measurement.parse(await runCase(order, LIMIT_MS + LIMIT_MS_PER_REQUEST * requests))
      runs.set(name, [...(runs.get(name) ?? []), measured])
    }
  }
  return new Map([...runs].map(([name, measured]) => [name, median(measured)]))
}

async function runNotOurs(): Promise<NotOurs> {
  tell('fetches that are not ours')
  const order = {
    case: 'not-ours' as const,
    requests: 1,
    baseUrl: 'http://127.0.0.1:9/v1',
    store: join(folder, 'not-ours', 'store.db'),
  }
  return NotOurs.parse(await runCase(order, LIMIT_MS))
}

async function runOpenBatches(): Promise<OpenBatches> {
  tell(`${BATCHES} open batches`)
  await using simulator = await spawnSimulator({ batchMs: 60 * 60_000, folder })
  const baseUrl = simulator.baseUrl('openai')
  const order = {
    case: 'open-batches' as const,
    requests: BATCHES,
    baseUrl,
    store: join(folder, 'open-batches', 'store.db'),
  }
  return OpenBatches.parse(await runCase(order, 2 * LIMIT_MS))
}

/** The run whose CPU time is in the middle, whole: its numbers belong together. */
function median(measured: readonly Measurement[]): Measurement {
  const [middle] = measured.toSorted((a, b) => cpuUs(a) - cpuUs(b)).slice((measured.length - 1) >> 1)
  if (!middle) throw new Error('nothing was measured')
  return middle
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new Error(`${option}: "${text}" is not a whole number above zero`)
}

function tell(what: string): void {
  console.error(`… ${what}`)
}
