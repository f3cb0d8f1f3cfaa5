import { Readable } from 'node:stream'

/** A body that can be read only once. */
export type Drainable = Request | ReadableStream | AsyncIterable<unknown>

export function isDrainable(body: unknown): body is Drainable {
  return typeof body === 'object' && body !== null && (body instanceof Request || Symbol.asyncIterator in body)
}

/** Reads it to its end. An abort lets go of the source; what to tell the caller is the caller's own affair. */
export async function drain(source: Drainable, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (source instanceof Request) return source.bytes()
  const reading = readerOf(source)
  // Letting go may fail, as the source may have by then; nobody is left to hear of it.
  const letGo = (): void => void reading.cancel(signal?.reason).catch(() => {})
  signal?.addEventListener('abort', letGo, { once: true })
  try {
    const chunks: Uint8Array[] = []
    for (let next = await reading.read(); next.done !== true; next = await reading.read()) {
      chunks.push(bytesOfChunk(next.value))
    }
    return Buffer.concat(chunks)
  } finally {
    signal?.removeEventListener('abort', letGo)
  }
}

interface Reading {
  read(): Promise<{ done?: boolean; value?: unknown }>
  cancel(reason: unknown): Promise<unknown>
}

function readerOf(source: ReadableStream | AsyncIterable<unknown>): Reading {
  if (source instanceof ReadableStream) return source.getReader()
  const iterator = source[Symbol.asyncIterator]()
  return {
    read: () => iterator.next(),
    cancel: async () => iterator.return?.(),
  }
}

function bytesOfChunk(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk)
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  throw new TypeError('Received non-Uint8Array chunk')
}

/** Whether somebody has read from it, or cancelled it. */
export function isDisturbed(stream: ReadableStream): boolean {
  // Node takes web streams here too; its types know only its own.
  return Readable.isDisturbed(stream as unknown as Readable)
}
