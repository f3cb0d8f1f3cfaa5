/*
 * SQLite's write-ahead log, read without SQLite: https://www.sqlite.org/fileformat2.html#walformat
 */

/** What a log says about itself. */
export type LogState =
  /** There is none, or it is empty. */
  | { readonly kind: 'none' }
  /** Its header is damaged: SQLite would take it for an empty one, and overwrite it. */
  | { readonly kind: 'unreadable'; readonly bytes: number }
  | {
      readonly kind: 'read'
      readonly bytes: number
      /** Pages that belong to whole transactions. */
      readonly frames: number
      /** It ends in the middle of a transaction, which is not part of the store. */
      readonly isCut: boolean
    }

export interface LogFile {
  readonly state: LogState
  readonly pageSize: number | undefined
  /** Pages of the database after the last whole transaction in it. */
  readonly pageCount: number | undefined
  /** Where in the log the newest version of a page is. */
  readonly pages: ReadonlyMap<number, number>
}

/** Reads bytes of a file; fewer than asked for at its end. */
export type ReadAt = (position: number, length: number) => Buffer

const HEADER = 32
const FRAME_HEADER = 24
/** The last bit tells the byte order of its checksums. */
const MAGIC = 0x377f0682

/** Whether these first bytes are those of a log. */
export function isLogHeader(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) >>> 1 === MAGIC >>> 1
}

/** Finds what whole transactions of a log hold, as SQLite's own recovery does. */
export function readLog(size: number, readAt: ReadAt): LogFile {
  const nothing = { pageSize: undefined, pageCount: undefined, pages: new Map<number, number>() }
  if (size === 0) return { ...nothing, state: { kind: 'none' } }
  const header = readAt(0, HEADER)
  const checksum = checksumFrom(header)
  if (header.length < HEADER || !isLogHeader(header) || !checksum.matches(header.subarray(0, 24), header, 24)) {
    return { ...nothing, state: { kind: 'unreadable', bytes: size } }
  }
  const pageSize = header.readUInt32BE(8)
  const salts = header.subarray(16, 24)
  const pages = new Map<number, number>()
  let pending = new Map<number, number>()
  let pageCount: number | undefined
  let [position, frames, isCut] = [HEADER, 0, false]
  while (position < size) {
    const frame = readAt(position, FRAME_HEADER + pageSize)
    // Frames of an earlier round, not overwritten yet.
    if (frame.length >= 16 && !frame.subarray(8, 16).equals(salts)) break
    const content = frame.subarray(FRAME_HEADER)
    const isWhole =
      frame.length === FRAME_HEADER + pageSize && checksum.matches([frame.subarray(0, 8), content], frame, 16)
    if (!isWhole) {
      isCut = true
      break
    }
    pending.set(frame.readUInt32BE(0), position + FRAME_HEADER)
    const commit = frame.readUInt32BE(4)
    if (commit > 0) {
      for (const [page, at] of pending) pages.set(page, at)
      frames += pending.size
      pageCount = commit
      pending = new Map()
    }
    position += frame.length
  }
  const state = { kind: 'read', bytes: size, frames, isCut: isCut || pending.size > 0 } as const
  return { state, pageSize, pageCount, pages }
}

interface Checksum {
  /** Adds these bytes, and tells whether the sum is the one stored at `at`. */
  matches(bytes: Buffer | readonly Buffer[], stored: Buffer, at: number): boolean
}

function checksumFrom(header: Buffer): Checksum {
  const isBigEndian = header.length > 3 && (header.readUInt8(3) & 1) === 1
  let [first, second] = [0, 0]
  const add = (bytes: Buffer): void => {
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      first = (first + (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + second) >>> 0
      second = (second + (isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + first) >>> 0
    }
  }
  return {
    matches(bytes, stored, at) {
      for (const part of Buffer.isBuffer(bytes) ? [bytes] : bytes) add(part)
      return stored.length >= at + 8 && stored.readUInt32BE(at) === first && stored.readUInt32BE(at + 4) === second
    },
  }
}
