import { type Clock, sleep } from '../../core/clock.ts'
import type { OutputStream } from '../../progress/output.ts'
import { terminalFor } from '../../progress/terminal.ts'
import { printable, truncate } from '../../progress/width.ts'
import { OPEN_STATES, type StoredBatch } from '../../store/read-batches.ts'
import { batchLines, progressOf } from './describe.ts'
import { nameOf } from './select.ts'

/** A look at the batches that are watched. */
export interface Look {
  readonly batches: readonly StoredBatch[]
  /** Of these, the ones whose provider says that they are over, collected or not. */
  readonly over: ReadonlySet<StoredBatch>
  /** Why some of them cannot be told of; each is said once. */
  readonly notes: readonly string[]
}

export interface WatchOptions {
  readonly look: () => Promise<Look>
  readonly intervalMs: number
  readonly clock: Clock
  readonly interrupted: AbortSignal
  /** Where the list is redrawn; without one, a line is printed for every batch that has changed. */
  readonly screen: OutputStream | undefined
  readonly print: (text: string) => void
  readonly say: (text: string) => void
}

/** Looks again and again until every batch is over, or the user has seen enough. */
export async function watchBatches(options: WatchOptions): Promise<readonly StoredBatch[]> {
  const { look, intervalMs, clock, interrupted } = options
  const surface = options.screen ? liveList(options.screen, clock) : printedLines(options)
  const said = new Set<string>()
  let batches: readonly StoredBatch[] = []
  try {
    while (!interrupted.aborted) {
      const seen = await look()
      batches = seen.batches
      surface.show(batches)
      for (const note of seen.notes) {
        if (!said.has(note)) surface.note(note)
        said.add(note)
      }
      if (batches.every((batch) => seen.over.has(batch) || !isOpen(batch))) break
      await sleep(clock, intervalMs, { signal: interrupted, hold: true })
    }
  } finally {
    surface.close()
  }
  return batches
}

export function isOpen({ state }: StoredBatch): boolean {
  return OPEN_STATES.includes(state)
}

interface Surface {
  show(batches: readonly StoredBatch[]): void
  note(text: string): void
  close(): void
}

/** The list in one place of a terminal; ages go on between two looks. It stays when the watch is over. */
function liveList(screen: OutputStream, clock: Clock): Surface {
  let batches: readonly StoredBatch[] = []
  const terminal = terminalFor(screen, clock)
  const leave = terminal.show(({ columns, rows }) => {
    const lines = batches.length === 0 ? [] : batchLines(batches, clock.now())
    const fitting = lines.length <= rows ? lines : [...lines.slice(0, rows - 1), `and ${lines.length - rows + 1} more`]
    return fitting.map((line) => truncate(line, columns, '…'))
  })
  return {
    show(latest) {
      batches = latest
      terminal.touch()
    },
    note: (text) => terminal.print([printable(text)]),
    close: () => leave(batches.length === 0 ? [] : batchLines(batches, clock.now())),
  }
}

function printedLines({ print, say }: Pick<WatchOptions, 'print' | 'say'>): Surface {
  const printed = new Map<string, string>()
  return {
    show(batches) {
      for (const batch of batches) {
        const name = nameOf(batch)
        const line = changeLine(batch)
        if (printed.get(batch.intent.tag) === line) continue
        printed.set(batch.intent.tag, line)
        print(`${name}  ${line}\n`)
      }
    },
    note: say,
    close() {},
  }
}

function changeLine(batch: StoredBatch): string {
  const { done, failed } = progressOf(batch)
  const status = batch.state === 'running' && batch.intent.status ? ` (${batch.intent.status})` : ''
  const failures = failed === undefined || failed === 0 ? '' : `, ${failed} failed`
  return `${batch.state}${status}, ${done ?? '?'} of ${batch.intent.jobs} done${failures}`
}
