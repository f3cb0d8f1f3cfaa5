import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Fault } from './faults.ts'
import type { SimulatedProvider, SimulatorOptions } from './index.ts'
import type { Ledger } from './ledger.ts'
import { prefixOf } from './surfaces.ts'

/** A simulator in a process of its own. */
export interface SpawnedSimulator extends AsyncDisposable {
  readonly pid: number
  readonly url: string
  baseUrl(provider: SimulatedProvider): string
  ledger(): Promise<Ledger>
  fault(fault: Fault): Promise<void>
  clearFaults(): Promise<void>
  advance(ms: number): Promise<void>
  /** Ends the process. */
  close(): Promise<void>
}

/** How long a simulator may take to tidy up. */
const CLOSE_MS = 10_000

const firstLineSchema = z.object({ url: z.string() })

/** Starts a simulator in another process, which ends with `close()` or with this one, whichever comes first. */
export async function spawnSimulator(options: SimulatorOptions = {}): Promise<SpawnedSimulator> {
  // Beside this file in both worlds: sources while developing, compiled in the package.
  const child = new URL(import.meta.url.endsWith('.ts') ? './child.ts' : './child.js', import.meta.url)
  // What NODE_OPTIONS preloads (offpeak itself, say) is meant for the program, not for its provider.
  const { NODE_OPTIONS: _, ...env } = process.env
  const running = spawn(process.execPath, [fileURLToPath(child), JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
  })
  const ended = once(running, 'exit').then(() => {})
  // A child that died cannot be told anything; its exit says so.
  running.stdin.on('error', () => {})

  const line = await Promise.race([firstLine(running.stdout), ended])
  if (line === undefined) throw new Error('the simulator ended before it was listening; see its message above')
  const { url } = firstLineSchema.parse(JSON.parse(line))
  // Neither the process nor its pipes keep this program alive.
  running.unref()
  for (const pipe of [running.stdin, running.stdout]) {
    if ('unref' in pipe && typeof pipe.unref === 'function') pipe.unref()
  }

  async function control(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${url}/_simulator/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`the simulator refused: ${await response.text()}`)
    return response.json()
  }

  const close = async (): Promise<void> => {
    running.ref()
    running.stdin.end()
    // Its input closing is enough, unless it hangs.
    const impatience = setTimeout(() => running.kill('SIGKILL'), CLOSE_MS)
    await ended
    clearTimeout(impatience)
  }
  return {
    pid: running.pid ?? 0,
    url,
    baseUrl: (provider) => url + prefixOf(provider),
    // Our own process's own words: the same type on both ends.
    ledger: async () => (await control('GET', 'ledger')) as Ledger,
    fault: async (fault) => void (await control('POST', 'faults', fault)),
    clearFaults: async () => void (await control('DELETE', 'faults')),
    advance: async (ms) => void (await control('POST', 'advance', { ms })),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function firstLine(output: NodeJS.ReadableStream): Promise<string | undefined> {
  const lines = createInterface({ input: output })
  for await (const line of lines) return line
  return undefined
}
