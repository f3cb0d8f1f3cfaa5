import type { JsonObject, PassReason } from '../core/request.ts'
import { decompress } from './decompress.ts'
import { drain, isDrainable } from './drain.ts'

/** Bytes of our own, that nobody else can change. */
export type Bytes = Uint8Array<ArrayBuffer>

/** What reading a body came to. `drained` stands in for a body that cannot be read, or relied on, a second time. */
export type Captured =
  | { readonly kind: 'json'; readonly text: string; readonly json: JsonObject; readonly drained?: Bytes | undefined }
  | {
      readonly kind: 'unfit'
      readonly reason: PassReason
      readonly detail: string
      readonly drained?: Bytes | undefined
    }

/** The headers that say how to read a body. */
export interface BodyHeaders {
  readonly type: string | undefined
  readonly encoding: string | undefined
}

/**
 * Reads the body of a matched call, however its client wrote it: at once where that is possible, and never one that its
 * content type rules out. Rejects only when the caller's own stream fails.
 */
export function captureBody(
  body: unknown,
  headers: BodyHeaders,
  signal: AbortSignal | undefined,
): Captured | Promise<Captured> {
  const { type, encoding } = headers
  if (body === undefined || body === null) return unfit('not-json', 'it has no body')
  if (type !== undefined && type.startsWith('multipart/')) return unfit('not-json', 'its body is multipart')
  if (typeof body === 'string') {
    return encoding === undefined ? readText(body.toWellFormed()) : readEncoded(Buffer.from(body), encoding)
  }
  const bytes = bytesOf(body)
  if (bytes)
    return encoding === undefined ? readBytes(bytes) : readDrained(Promise.resolve(new Uint8Array(bytes)), encoding)
  if (body instanceof FormData) return unfit('not-json', 'its body is multipart')
  if (body instanceof URLSearchParams) return unfit('not-json', 'its body is a form')
  if (body instanceof Blob) return readBlob(body, encoding)
  if (isDrainable(body)) return readDrained(drain(body, signal), encoding)
  return unfit('unreadable-body', 'its body is of a kind unknown to offpeak')
}

async function readBlob(blob: Blob, encoding: string | undefined): Promise<Captured> {
  try {
    return await read(await blob.bytes(), encoding)
  } catch {
    // Nothing is lost: the native call meets the same unreadable file and tells its caller.
    return unfit('unreadable-body', 'its Blob cannot be read')
  }
}

async function readDrained(draining: Promise<Uint8Array>, encoding: string | undefined): Promise<Captured> {
  const drained = ownBytes(await draining)
  return { ...(await read(drained, encoding)), drained }
}

function read(bytes: Uint8Array, encoding: string | undefined): Captured | Promise<Captured> {
  return encoding === undefined ? readBytes(bytes) : readEncoded(bytes, encoding)
}

async function readEncoded(bytes: Uint8Array, encoding: string): Promise<Captured> {
  try {
    return readBytes(await decompress(bytes, encoding))
  } catch {
    // Nothing is lost: the provider gets the bytes as they are, and judges them itself.
    return unfit('unreadable-body', `its body cannot be decoded as ${encoding}`)
  }
}

// A byte order mark is kept, so that it is refused here as it is by JSON parsers elsewhere.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readBytes(bytes: Uint8Array): Captured {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return unfit('not-json', 'its body is not UTF-8')
  }
  return readText(text)
}

function readText(text: string): Captured {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return unfit('not-json', 'its body is not JSON')
  }
  if (!isObject(json)) return unfit('not-json', 'the JSON of its body is not an object')
  if (json['stream'] === true) return unfit('streaming', 'it asks for a stream')
  return { kind: 'json', text, json }
}

function unfit(reason: PassReason, detail: string): Captured & { kind: 'unfit' } {
  return { kind: 'unfit', reason, detail }
}

/** Fresh from the parser, an object that is not an array has JSON in it and nothing else. */
function isObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function bytesOf(body: unknown): Uint8Array | undefined {
  if (body instanceof ArrayBuffer) return new Uint8Array(body)
  if (!ArrayBuffer.isView(body)) return undefined
  return body instanceof Uint8Array ? body : new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
}

function ownBytes(bytes: Uint8Array): Bytes {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Bytes) : new Uint8Array(bytes)
}
