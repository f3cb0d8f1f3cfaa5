import { open, type FileHandle } from 'node:fs/promises'

/** A run of whole lines in a file: small enough to hold, large enough to be read in one go. */
export interface BlockRef {
  readonly offset: number
  readonly bytes: number
  /** 0-based number of its first line. */
  readonly firstLine: number
  readonly lines: number
}

export interface Block {
  readonly ref: BlockRef
  readonly lines: readonly string[]
}

const BLOCK_BYTES = 256 * 1024
const NEWLINE = 10

/** Reads a file as blocks of whole lines, in order. A newline at the very end does not begin another line. */
export async function* readBlocks(path: string): AsyncGenerator<Block> {
  const handle = await open(path)
  try {
    let position = 0
    let offset = 0
    let firstLine = 0
    let held: Buffer[] = []
    for (;;) {
      const chunk = Buffer.allocUnsafe(BLOCK_BYTES)
      const { bytesRead } = await handle.read(chunk, 0, BLOCK_BYTES, position)
      position += bytesRead
      const read = chunk.subarray(0, bytesRead)
      const cut = bytesRead === 0 ? 0 : read.lastIndexOf(NEWLINE) + 1
      if (cut === 0 && bytesRead > 0) {
        held.push(read)
        continue
      }
      const bytes = Buffer.concat([...held, read.subarray(0, cut)])
      held = [read.subarray(cut)]
      if (bytes.length > 0) {
        const lines = splitLines(bytes)
        yield { ref: { offset, bytes: bytes.length, firstLine, lines: lines.length }, lines }
        offset += bytes.length
        firstLine += lines.length
      }
      if (bytesRead === 0) return
    }
  } finally {
    await handle.close()
  }
}

/** Reads one block again. */
export async function readBlock(handle: FileHandle, ref: BlockRef): Promise<readonly string[]> {
  const bytes = Buffer.allocUnsafe(ref.bytes)
  await handle.read(bytes, 0, ref.bytes, ref.offset)
  return splitLines(bytes)
}

function splitLines(bytes: Buffer): string[] {
  const lines = bytes.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
