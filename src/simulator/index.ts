import { z } from 'zod'
import { realClock, virtualClock } from './clock.ts'
import { createControls } from './controls.ts'
import { createFaultBook, faultSchema, type Fault } from './faults.ts'
import { openFileStore } from './file-store.ts'
import { createLedgerBook, type Ledger } from './ledger.ts'
import type { SimulatedProvider, SimulatorLimits, World } from './provider.ts'
import { startServer } from './server.ts'
import { prefixOf, SURFACES } from './surfaces.ts'

export { answerDigest } from './digest.ts'
export type { Fault } from './faults.ts'
export type { AccountEntry, Ledger, RequestEntry } from './ledger.ts'
export type { Operation } from './operation.ts'
export type { SimulatedProvider, SimulatorLimits } from './provider.ts'
export { spawnSimulator, type SpawnedSimulator } from './spawn.ts'

export interface SimulatorOptions {
  /** Default 0: any free port. */
  readonly port?: number | undefined
  /** Default `127.0.0.1`. Anyone who can reach it can use it. */
  readonly host?: string | undefined
  /** Default `real`. In virtual time batches move only when `advance` is called, or with each look at one (`autoAdvance`). */
  readonly time?: 'real' | 'virtual' | undefined
  /** Virtual time only: every call that retrieves or lists batches first moves time on by a third of `batchMs`. Default false. */
  readonly autoAdvance?: boolean | undefined
  /** Virtual time only: where it begins, in milliseconds since the epoch. Default now. */
  readonly startsAt?: number | undefined
  /** How long a batch takes from create to completed. Default 2000. */
  readonly batchMs?: number | undefined
  /** Latency of realtime answers, always in real milliseconds. Default 0. */
  readonly liveMs?: number | undefined
  /** Where uploads and results are kept (in a folder of their own, removed on close). Default: the system's temporary folder. */
  readonly folder?: string | undefined
  readonly faults?: readonly Fault[] | undefined
  readonly limits?: SimulatorLimits | undefined
  /** Model names to know beside those that look like the provider's own. */
  readonly models?: readonly string[] | undefined
}

/** How to point a program at one of the providers. */
export interface SimulatedEnvironment {
  readonly name: SimulatedProvider
  readonly baseUrl: string
  /** The environment variables for its base URL and its key. */
  readonly env: { readonly baseUrl: string; readonly key: string }
}

export interface Simulator extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly providers: readonly SimulatedEnvironment[]
  /** What to give a provider's official SDK as its base URL: `http://127.0.0.1:PORT/v1` for OpenAI. */
  baseUrl(provider: SimulatedProvider): string
  /** What was asked and what was executed so far. */
  ledger(): Ledger
  /** Lets something go wrong from now on. */
  fault(fault: Fault): void
  clearFaults(): void
  /** Moves virtual time on. */
  advance(ms: number): void
  /** Leaves no socket, timer or file. */
  close(): Promise<void>
}

const limit = z.int().positive().optional()

/** Options as they come from a command line; also what `startSimulator` checks its own with. */
const optionsSchema = z.strictObject({
  port: z.int().min(0).max(65_535).default(0),
  host: z.string().min(1).default('127.0.0.1'),
  time: z.enum(['real', 'virtual']).default('real'),
  autoAdvance: z.boolean().default(false),
  startsAt: z.number().optional(),
  batchMs: z.number().nonnegative().default(2000),
  liveMs: z.number().nonnegative().default(0),
  folder: z.string().optional(),
  faults: z.array(faultSchema).readonly().default([]),
  limits: z.strictObject({ jobs: limit, bytes: limit, enqueuedTokens: limit, fileBytes: limit }).default({}),
  models: z.array(z.string()).readonly().default([]),
})

/** Starts a local provider: real HTTP, its realtime and batch surface, and faults on request. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const settings = optionsSchema.parse(options)
  const clock = settings.time === 'virtual' ? virtualClock(settings.startsAt ?? Date.now()) : realClock()
  const files = await openFileStore(settings.folder, clock)
  const faults = createFaultBook(settings.faults)
  const ledger = createLedgerBook()
  const { limits, models, batchMs } = settings
  const world: World = { clock, ledger, faults, files, limits, models, batchMs }
  const surfaces = SURFACES.map((played) => ({ prefix: played.prefix, surface: played.open(world) }))

  const controlled = {
    ledger: () => {
      for (const { surface } of surfaces) surface.settle()
      return ledger.read()
    },
    fault: (fault: Fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    faults: () => faults.list(),
    advance: (ms: number) => clock.advance(ms),
  }
  const perPollMs = clock.kind === 'virtual' && settings.autoAdvance ? Math.ceil(batchMs / 3) : 0
  const { port, host, liveMs } = settings

  async function tidy(): Promise<void> {
    await Promise.all(surfaces.map(({ surface }) => surface.close()))
    await files.close()
  }

  const server = await startServer(world, surfaces, createControls(controlled), {
    port,
    host,
    liveMs,
    perPollMs,
  }).catch(async (error: unknown) => {
    await tidy()
    throw error
  })

  let closed: Promise<void> | undefined
  const close = (): Promise<void> => (closed ??= server.close().then(tidy))
  return {
    url: server.url,
    providers: SURFACES.map(({ name, prefix, env }) => ({ name, baseUrl: server.url + prefix, env })),
    baseUrl: (provider) => server.url + prefixOf(provider),
    ledger: controlled.ledger,
    fault: controlled.fault,
    clearFaults: controlled.clearFaults,
    advance: controlled.advance,
    close,
    [Symbol.asyncDispose]: close,
  }
}
