import { open } from 'node:fs/promises'
import { requestDigest } from '../digest.ts'
import { execute, type Outcome } from '../execute.ts'
import { openLineWriter } from '../line-writer.ts'
import { readBlock, type BlockRef } from '../lines.ts'
import { seededRandom, shuffled } from '../seeded.ts'
import { findTrigger } from '../triggers.ts'
import type { Channel, Dialect, Unexecuted } from './dialect.ts'
import { corrupted } from './result-faults.ts'

/** How rows become lines of results. */
export interface RowOrder {
  readonly batchId: string
  readonly dialect: Dialect
  /** Lines (from 1) that are no rows. */
  readonly skipped: ReadonlySet<number>
  /** Statuses that faults put on lines, from 1. */
  readonly forced: ReadonlyMap<number, number>
  /** Seconds since the epoch. */
  readonly createdAt: number
}

export interface ResultsOrder extends RowOrder {
  readonly blocks: readonly BlockRef[]
  readonly inputPath: string
  /** Rows before this one (in input order) were executed. */
  readonly executed: number
  /** Why the others were not. */
  readonly unexecuted: Unexecuted
  readonly outputPath: string
  readonly errorPath: string
  readonly signal: AbortSignal
}

/** Writes both result files in one pass over the input, block by block, in an order that is not the input's. */
export async function writeResults(order: ResultsOrder): Promise<void> {
  const random = seededRandom(order.batchId)
  const blocks = shuffled(order.blocks, random)
  const input = await open(order.inputPath)
  const output = await openLineWriter(order.outputPath)
  const errors = await openLineWriter(order.errorPath)
  try {
    for (const ref of blocks) {
      order.signal.throwIfAborted()
      const lines = await readBlock(input, ref)
      const numbered = lines.map((text, index) => ({ text, index: ref.firstLine + index }))
      for (const { text, index } of shuffled(numbered, random)) {
        const row = resultRow(text, index, order, index < order.executed ? undefined : order.unexecuted)
        const writer = row.channel === 'output' ? output : errors
        for (const line of row.lines) {
          // Awaiting only when there is something to wait for: a tick for every row would cost more than the row.
          const room = writer.write(line)
          if (room) await room
        }
      }
    }
  } finally {
    await Promise.all([input.close(), output.close(), errors.close()])
  }
}

export interface ResultRow {
  readonly channel: Channel
  readonly lines: readonly string[]
}

const NO_ROW: ResultRow = { channel: 'errors', lines: [] }

/** What a line of input becomes; `reason` says why it was not executed, if it was not. */
export function resultRow(
  text: string,
  index: number,
  { batchId, dialect, skipped, forced, createdAt }: RowOrder,
  reason: Unexecuted | undefined,
): ResultRow {
  if (skipped.has(index + 1)) return NO_ROW
  const row = dialect.row(text)
  // The input was validated; only a file changed on disk behind our back has no row here.
  if (!row) return NO_ROW
  const trigger = findTrigger(text)
  const place = { batchId, index }
  const { channels } = dialect

  const unexecuted = reason ?? (trigger?.kind === 'unexecuted' ? 'expired' : undefined)
  if (unexecuted) {
    const channel = channels[unexecuted]
    return channel === undefined ? NO_ROW : { channel, lines: [dialect.unexecuted(row, unexecuted, place)] }
  }
  const status = forced.get(index + 1)
  const { endpoint, body, model } = row
  const digest = requestDigest(endpoint.path, body)
  const outcome: Outcome =
    status === undefined
      ? execute({ endpoint, body, model, digest, trigger, createdAt }, dialect.errorBody)
      : { kind: 'refused', status, body: dialect.errorBody(status, forcedMessage(status)) }
  const channel = channels[outcome.kind === 'answered' ? 'succeeded' : 'failed']
  if (channel === undefined) return NO_ROW
  return { channel, lines: spoiled(dialect.executed(row, outcome, place), trigger?.kind) }
}

function forcedMessage(status: number): string {
  return `The simulator was asked to answer this line with ${status}`
}

function spoiled(line: string, trigger: string | undefined): readonly string[] {
  if (trigger === 'missing') return []
  if (trigger === 'duplicate') return [line, line]
  return [trigger === 'corrupt' ? corrupted(line) : line]
}
