import { open } from 'node:fs/promises'

/** Writes lines to a file in large pieces; only one piece is held. */
export interface LineWriter {
  /** Resolves when there is room for more. */
  write(line: string): Promise<void> | undefined
  /** Resolves with the file's size. */
  close(): Promise<number>
}

const PIECE_CHARACTERS = 256 * 1024

export async function openLineWriter(path: string): Promise<LineWriter> {
  const handle = await open(path, 'w', 0o600)
  let pending: string[] = []
  let characters = 0
  let bytes = 0

  async function flush(): Promise<void> {
    const piece = Buffer.from(pending.join(''), 'utf8')
    pending = []
    characters = 0
    bytes += piece.length
    await handle.write(piece)
  }

  return {
    write(line) {
      pending.push(line, '\n')
      characters += line.length + 1
      return characters < PIECE_CHARACTERS ? undefined : flush()
    },
    async close() {
      try {
        await flush()
      } finally {
        await handle.close()
      }
      return bytes
    },
  }
}
