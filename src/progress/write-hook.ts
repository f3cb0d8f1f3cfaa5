import { stripVTControlCharacters } from 'node:util'
import type { OutputStream } from './output.ts'

/** Where a chunk leaves the cursor; undefined when it does not move it. */
export type CursorAfter = 'line-start' | 'mid-line' | undefined

/** A few styling sequences may follow the last newline. */
const TAIL = 64

function cursorAfter(chunk: unknown): CursorAfter {
  if (chunk instanceof Uint8Array) {
    if (chunk.length === 0) return undefined
    return cursorAfter(Buffer.from(chunk.subarray(-TAIL)).toString('latin1'))
  }
  if (typeof chunk !== 'string') return undefined
  const tail = stripVTControlCharacters(chunk.slice(-TAIL))
  if (tail === '') return undefined
  return tail.endsWith('\n') ? 'line-start' : 'mid-line'
}

/** Tells of every write to a stream before it happens. The undo gives the stream its own `write` back, if nobody wrapped it since. */
export function hookWrite(stream: OutputStream, beforeWrite: (cursor: CursorAfter) => void): () => void {
  // oxlint-disable-next-line typescript/unbound-method -- called with its stream below
  const original = stream.write
  const wasOwn = Object.hasOwn(stream, 'write')
  let active = true

  function hooked(...parts: Parameters<OutputStream['write']>): boolean {
    if (active) beforeWrite(cursorAfter(parts[0]))
    return Reflect.apply(original, stream, parts)
  }

  stream.write = hooked
  return () => {
    active = false
    if (stream.write !== hooked) return
    if (wasOwn) stream.write = original
    else Reflect.deleteProperty(stream, 'write')
  }
}
