import { NetworkError } from '../../core/errors.ts'

/**
 * The lines of a body in groups, as its chunks arrive; empty ones are left out. Only a line feed ends a line (strings may hold U+2028).
 * A body that breaks off rejects with a NetworkError, after the whole lines before.
 */
export async function* readLines(response: Response): AsyncGenerator<readonly string[]> {
  if (!response.body) return
  const decoder = new TextDecoder()
  // Pieces of a line still without its end: joined once, so that a line of many chunks costs no more than its length.
  let pieces: string[] = []
  for await (const chunk of wholeChunks(response.body)) {
    const text = decoder.decode(chunk, { stream: true })
    let end = text.indexOf('\n')
    if (end === -1) {
      pieces.push(text)
      continue
    }
    const lines: string[] = []
    pieces.push(text.slice(0, end))
    addLine(lines, pieces.join(''))
    let start = end + 1
    end = text.indexOf('\n', start)
    while (end !== -1) {
      addLine(lines, text.slice(start, end))
      start = end + 1
      end = text.indexOf('\n', start)
    }
    pieces = [text.slice(start)]
    if (lines.length > 0) yield lines
  }
  pieces.push(decoder.decode())
  const last: string[] = []
  addLine(last, pieces.join(''))
  if (last.length > 0) yield last
}

async function* wholeChunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (cause) {
    throw new NetworkError('the results broke off', { cause })
  }
}

function addLine(lines: string[], line: string): void {
  if (line !== '' && line !== '\r') lines.push(line)
}
