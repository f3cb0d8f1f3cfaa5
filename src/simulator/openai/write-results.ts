import { open } from 'node:fs/promises'
import { requestDigest } from '../digest.ts'
import { isObject, parseJson } from '../json.ts'
import { openLineWriter } from '../line-writer.ts'
import { readBlock, type BlockRef } from '../lines.ts'
import { seededRandom, shuffled } from '../seeded.ts'
import { findTrigger } from '../triggers.ts'
import type { Endpoint } from './endpoint.ts'
import { errorOfStatus } from './envelope.ts'
import { execute, type Outcome } from './execute.ts'
import { corrupted } from './result-faults.ts'

/** Why a row was not executed. */
export interface UnexecutedError {
  readonly code: string
  readonly message: string
}

export interface ResultsOrder {
  readonly batchId: string
  readonly endpoint: Endpoint
  readonly blocks: readonly BlockRef[]
  readonly inputPath: string
  /** Rows before this one (in input order) were executed. */
  readonly executed: number
  /** Why the others were not. */
  readonly unexecuted: UnexecutedError
  /** Statuses that faults put on lines, from 1. */
  readonly forced: ReadonlyMap<number, number>
  /** Seconds since the epoch. */
  readonly createdAt: number
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
        const row = resultRow(text, index, order)
        const writer = row.failed ? errors : output
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

export const BATCH_EXPIRED: UnexecutedError = {
  code: 'batch_expired',
  message: 'This request could not be executed before the completion window expired.',
}

export const BATCH_CANCELLED: UnexecutedError = {
  code: 'batch_cancelled',
  message: 'This request was not executed because the batch was cancelled.',
}

interface ResultRow {
  readonly failed: boolean
  readonly lines: readonly string[]
}

function resultRow(text: string, index: number, order: ResultsOrder): ResultRow {
  const row = parseJson(text)
  // The input was validated; only a file changed on disk behind our back has no row here.
  if (!isObject(row) || !isObject(row['body'])) return { failed: true, lines: [] }
  const { body, custom_id: customId } = row
  const trigger = findTrigger(text)
  const id = `batch_req_${order.batchId.slice(-8)}${index.toString(16).padStart(6, '0')}`

  const unexecuted =
    index >= order.executed ? order.unexecuted : trigger?.kind === 'unexecuted' ? BATCH_EXPIRED : undefined
  if (unexecuted) {
    return { failed: true, lines: [JSON.stringify({ id, custom_id: customId, response: null, error: unexecuted })] }
  }
  const { endpoint, createdAt } = order
  const forced = order.forced.get(index + 1)
  const outcome =
    forced === undefined
      ? execute({ endpoint, body, digest: requestDigest(endpoint.path, body), trigger, createdAt })
      : forcedOutcome(forced)
  const response = { status_code: outcome.status, request_id: `req_${id.slice(10)}`, body: outcome.body }
  const line = JSON.stringify({ id, custom_id: customId, response, error: null })
  return { failed: outcome.kind === 'refused', lines: spoiled(line, trigger?.kind) }
}

function spoiled(line: string, trigger: string | undefined): readonly string[] {
  if (trigger === 'missing') return []
  if (trigger === 'duplicate') return [line, line]
  return [trigger === 'corrupt' ? corrupted(line) : line]
}

function forcedOutcome(status: number): Outcome {
  return {
    kind: 'refused',
    status,
    body: { error: errorOfStatus(status, `The simulator was asked to answer this line with ${status}`) },
  }
}
