import { promisify } from 'node:util'
// The default import, because an older Node lacks some of the names and would fail before `check-node` has its say.
import zlib from 'node:zlib'

/** No provider takes a request of this size, and a bomb stops here. */
const MAX_BYTES = 256 * 1024 * 1024

const DECODERS: Readonly<Record<string, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  gzip: limited(zlib.gunzip),
  'x-gzip': limited(zlib.gunzip),
  deflate: limited(zlib.inflate),
  br: limited(zlib.brotliDecompress),
  zstd: limited(zlib.zstdDecompress),
  identity: (bytes) => Promise.resolve(bytes),
}

/** Undoes a `content-encoding`, last coding first. Rejects when it cannot. */
export async function decompress(bytes: Uint8Array, encoding: string): Promise<Uint8Array> {
  let decoded = bytes
  for (const coding of encoding.toLowerCase().split(',').toReversed()) {
    const decode = DECODERS[coding.trim()]
    if (!decode) throw new TypeError(`unknown content-encoding: ${coding.trim()}`)
    decoded = await decode(decoded)
  }
  return decoded
}

type Decoder = (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
  done: (error: Error | null, decoded: Buffer) => void,
) => void

function limited(decoder: Decoder): (bytes: Uint8Array) => Promise<Uint8Array> {
  const decode = promisify(decoder)
  return (bytes) => decode(bytes, { maxOutputLength: MAX_BYTES })
}
