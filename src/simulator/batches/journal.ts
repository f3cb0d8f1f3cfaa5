import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { readBlock, type BlockRef } from '../lines.ts'
import { seededRandom, shuffled } from '../seeded.ts'
import type { Channel, Unexecuted } from './dialect.ts'
import { resultRow, type RowOrder } from './write-results.ts'

/** Results that can be read while a batch runs: a row is appended when it finishes, and stays where it is. */
export interface Journal {
  /** Appends what has finished since the last time. */
  catchUp(progress: JournalProgress): Promise<void>
  readonly channels: Readonly<Record<Channel, JournalChannel>>
  /** Waits for what is being written. */
  close(): Promise<void>
}

export interface JournalProgress {
  /** How many rows have been executed, in the order of `completionOrder`. */
  readonly executed: number
  /** Why the others will not be; undefined while they still may. */
  readonly reason: Unexecuted | undefined
}

/** One file of it. */
export interface JournalChannel {
  lines(): number
  bytes(): number
  /** Its bytes from a line (counted from 0) to the end. */
  bytesFrom(line: number): number
  /** So many of them. */
  readFrom(line: number, bytes: number): Readable
  readLines(from: number, to: number): Promise<readonly string[]>
}

export interface JournalOrder {
  readonly rows: RowOrder
  readonly blocks: readonly BlockRef[]
  readonly inputPath: string
  /** Positions of the input, in the order in which they finish. */
  readonly order: Uint32Array
  readonly paths: Readonly<Record<Channel, string>>
  /** Called once, when nothing more can come. */
  onComplete(): void
}

/** An order that is not the input's, but never jumps far in it, so that few blocks are read at a time. */
export function completionOrder(blocks: readonly BlockRef[], seed: string): Uint32Array {
  const random = seededRandom(seed)
  const lines = blocks.reduce((sum, block) => sum + block.lines, 0)
  const order = new Uint32Array(lines)
  for (const { firstLine, lines } of blocks) {
    const places = shuffled([...Array(lines).keys()], random)
    for (const [index, place] of places.entries()) order[firstLine + index] = firstLine + place
  }
  return order
}

export function createJournal(order: JournalOrder): Journal {
  const channels = { output: createChannel(order.paths.output), errors: createChannel(order.paths.errors) }
  let written = 0
  let complete = false
  let writing: Promise<void> = Promise.resolve()

  async function write({ executed, reason }: JournalProgress): Promise<void> {
    if (complete) return
    const until = reason === undefined ? executed : order.order.length
    const input = await open(order.inputPath)
    try {
      await Promise.all([channels.output.open(), channels.errors.open()])
      for (const ref of order.blocks) {
        if (written >= ref.firstLine + ref.lines) continue
        if (written >= until) break
        const lines = await readBlock(input, ref)
        for (const end = Math.min(until, ref.firstLine + ref.lines); written < end; written++) {
          const index = order.order[written] ?? 0
          const row = resultRow(
            lines[index - ref.firstLine] ?? '',
            index,
            order.rows,
            written < executed ? undefined : reason,
          )
          for (const line of row.lines) channels[row.channel].append(line)
        }
        await Promise.all([channels.output.flush(), channels.errors.flush()])
      }
    } finally {
      await Promise.all([input.close(), channels.output.close(), channels.errors.close()])
    }
    if (reason === undefined) return
    complete = true
    order.onComplete()
  }

  return {
    channels,
    catchUp(progress) {
      const done = writing.then(() => write(progress))
      writing = done.catch(() => {})
      return done
    },
    close: () => writing,
  }
}

interface WritableChannel extends JournalChannel {
  open(): Promise<void>
  append(line: string): void
  flush(): Promise<void>
  close(): Promise<void>
}

function createChannel(path: string): WritableChannel {
  /** Where each line ends. */
  const ends: number[] = []
  let pending: Buffer[] = []
  let pendingEnds: number[] = []
  let size = 0
  let handle: FileHandle | undefined
  const startOf = (line: number): number => (line === 0 ? 0 : (ends[Math.min(line, ends.length) - 1] ?? 0))
  const bytes = (): number => ends.at(-1) ?? 0

  return {
    lines: () => ends.length,
    bytes,
    bytesFrom: (line) => bytes() - startOf(line),
    readFrom(line, bytes) {
      const start = startOf(line)
      // A file's stream cannot be told to read nothing.
      return bytes === 0 ? Readable.from([]) : createReadStream(path, { start, end: start + bytes - 1 })
    },
    async readLines(from, to) {
      const start = startOf(from)
      const length = startOf(to) - start
      if (length <= 0) return []
      const file = await open(path)
      try {
        const text = Buffer.alloc(length)
        await file.read(text, 0, length, start)
        return text.toString('utf8').split('\n').slice(0, -1)
      } finally {
        await file.close()
      }
    },
    async open() {
      handle = await open(path, 'a', 0o600)
    },
    append(line) {
      const piece = Buffer.from(`${line}\n`, 'utf8')
      pending.push(piece)
      size += piece.length
      pendingEnds.push(size)
    },
    async flush() {
      const piece = Buffer.concat(pending)
      const added = pendingEnds
      pending = []
      pendingEnds = []
      if (piece.length > 0) await handle?.write(piece)
      // Only what is on disk can be read.
      for (const end of added) ends.push(end)
    },
    async close() {
      await handle?.close()
      handle = undefined
    },
  }
}
