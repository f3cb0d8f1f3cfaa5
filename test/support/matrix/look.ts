import PQueue from 'p-queue'
import type { Client } from './client.ts'
import { type Column, COLUMNS } from './columns.ts'
import { connectionTo, type Early, observe, startProvider } from './observe.ts'
import { complaint, type Exception, type Outcome } from './outcome.ts'

export interface Cell {
  readonly column: Column
  /** undefined: `yes`. */
  readonly declared: Exception | undefined
  readonly seen: Outcome
  /** What is not as declared. */
  readonly complaint: string | undefined
}

export interface Row {
  readonly client: Client
  readonly cells: readonly Cell[]
}

/** Cells wait for timers and sockets more than for the processor. */
const AT_ONCE = 10

/** Looks at every cell of these clients. To be called once in a process, and before anything else has loaded the library. */
export async function lookAt(clients: readonly Client[]): Promise<readonly Row[]> {
  const native = globalThis.fetch
  const early = await Promise.all(clients.map(buildEarly))
  const { batchify: library } = await import('../../../src/index.ts')
  if (globalThis.fetch === native) throw new Error('the library was there before the clients were built')

  const queue = new PQueue({ concurrency: AT_ONCE })
  return Promise.all(
    clients.map(async (client, index) => {
      const built = early[index]
      if (!built) throw new Error(`${client.name} was not built early`)
      const look = (column: Column): Promise<Outcome> => observe(column, { client, library, early: built })
      const cells = COLUMNS.map(async (column): Promise<Cell> => {
        const seen = await queue.add(() => look(column))
        const declared = client.but?.[column]
        return { column, declared, seen, complaint: complaint(declared, seen) }
      })
      return { client, cells: await Promise.all(cells) }
    }),
  )
}

async function buildEarly(client: Client): Promise<Early> {
  const simulator = await startProvider()
  return { simulator, calls: client.connect(connectionTo(client, { simulator })) }
}
