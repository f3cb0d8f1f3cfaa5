import { isUtf8 } from 'node:buffer'
import type { PageFile } from './page-file.ts'

/*
 * Rows out of the pages of a database file: https://www.sqlite.org/fileformat2.html#b_tree_pages. Everything that does not add up
 * to the byte is nothing: the pages read here may hold anything.
 */

export type Value = null | number | string | Uint8Array

/** `table`: rows by number. `index`: entries of an index, and rows of a table WITHOUT ROWID. */
export type TreeKind = 'table' | 'index'

/** A row, and the pages it goes on in. */
export interface Cell {
  /** Its number; undefined in an index. */
  readonly rowid: number | undefined
  readonly values: readonly Value[]
  readonly overflow: readonly number[]
}

export interface TreePage {
  readonly kind: TreeKind
  /** Pages below it; none for a leaf. */
  readonly children: readonly number[]
  readonly cells: readonly Cell[]
  /** Entries that could not be read. */
  readonly broken: number
}

const INTERIOR_INDEX = 2
const INTERIOR_TABLE = 5
const LEAF_INDEX = 10
const LEAF_TABLE = 13

/** Reads a page of a b-tree; undefined when it is none. */
export function readTreePage(pages: PageFile, number: number): TreePage | undefined {
  const page = pages.page(number)
  if (!page) return undefined
  const start = number === 1 ? 100 : 0
  const type = page.readUInt8(start)
  if (type !== INTERIOR_INDEX && type !== INTERIOR_TABLE && type !== LEAF_INDEX && type !== LEAF_TABLE) return undefined
  const kind = type === LEAF_TABLE || type === INTERIOR_TABLE ? 'table' : 'index'
  const isLeaf = type === LEAF_INDEX || type === LEAF_TABLE
  const count = page.readUInt16BE(start + 3)
  const pointers = start + (isLeaf ? 8 : 12)
  if (pointers + 2 * count > page.length) return undefined

  const children: number[] = []
  const cells: Cell[] = []
  let broken = 0
  for (let n = 0; n < count; n += 1) {
    const at = page.readUInt16BE(pointers + 2 * n)
    if (at < pointers + 2 * count || at + 4 > page.length) {
      broken += 1
      continue
    }
    if (!isLeaf) children.push(page.readUInt32BE(at))
    if (type === INTERIOR_TABLE) continue
    const cell = readCell(pages, page, isLeaf ? at : at + 4, kind)
    if (cell) cells.push(cell)
    else broken += 1
  }
  if (!isLeaf) children.push(page.readUInt32BE(start + 8))
  return { kind, children, cells, broken }
}

function readCell(pages: PageFile, page: Buffer, from: number, kind: TreeKind): Cell | undefined {
  const length = readVarint(page, from)
  if (!length || length.value > pages.count * pages.pageSize) return undefined
  const rowid = kind === 'table' ? readVarint(page, length.next) : undefined
  if (kind === 'table' && !rowid) return undefined
  const at = rowid?.next ?? length.next
  const local = localBytes(length.value, pages.pageSize, kind)
  const isSplit = local < length.value
  if (at + local + (isSplit ? 4 : 0) > page.length) return undefined
  const inPage = page.subarray(at, at + local)
  const rest = isSplit ? readOverflow(pages, page.readUInt32BE(at + local), length.value - local) : undefined
  if (isSplit && !rest) return undefined
  const values = decodeRecord(rest ? Buffer.concat([inPage, ...rest.parts], length.value) : inPage)
  return values && { rowid: rowid?.value, values, overflow: rest?.pages ?? [] }
}

/** How much of a payload is in the page itself. */
function localBytes(payload: number, usable: number, kind: TreeKind): number {
  const most = kind === 'table' ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23
  if (payload <= most) return payload
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const local = least + ((payload - least) % (usable - 4))
  return local <= most ? local : least
}

function readOverflow(
  pages: PageFile,
  first: number,
  length: number,
): { parts: Buffer[]; pages: number[] } | undefined {
  const chain: number[] = []
  const parts: Buffer[] = []
  let next = first
  let left = length
  while (left > 0) {
    if (next < 2 || next > pages.count) return undefined
    const page = pages.page(next)
    if (!page) return undefined
    chain.push(next)
    const part = page.subarray(4, Math.min(4 + left, page.length))
    parts.push(part)
    left -= part.length
    next = page.readUInt32BE(0)
  }
  return next === 0 ? { parts, pages: chain } : undefined
}

function decodeRecord(record: Buffer): readonly Value[] | undefined {
  const header = readVarint(record, 0)
  if (!header || header.value < 1 || header.value > record.length) return undefined
  const values: Value[] = []
  let at = header.next
  let body = header.value
  while (at < header.value) {
    const type = readVarint(record, at)
    if (!type || type.next > header.value) return undefined
    const size = sizeOf(type.value)
    if (size === undefined || body + size > record.length) return undefined
    const value = decodeValue(record.subarray(body, body + size), type.value)
    if (value === undefined) return undefined
    values.push(value)
    at = type.next
    body += size
  }
  return body === record.length ? values : undefined
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0]

function sizeOf(type: number): number | undefined {
  return type >= 12 ? Math.floor((type - 12) / 2) : INTEGER_BYTES[type]
}

function decodeValue(bytes: Buffer, type: number): Value | undefined {
  if (type >= 12) {
    if (type % 2 === 0) return Uint8Array.from(bytes)
    return isUtf8(bytes) ? bytes.toString('utf8') : undefined
  }
  if (type === 0) return null
  if (type === 7) return bytes.readDoubleBE(0)
  if (type >= 8) return type - 8
  if (type < 6) return bytes.readIntBE(0, bytes.length)
  const value = Number(bytes.readBigInt64BE(0))
  return Number.isSafeInteger(value) ? value : undefined
}

/** Numbers of seven bits per byte. None of ours is negative, or beyond what a number holds. */
function readVarint(bytes: Buffer, from: number): { readonly value: number; readonly next: number } | undefined {
  let value = 0
  for (let n = 0; n < 8; n += 1) {
    const byte = bytes[from + n]
    if (byte === undefined) return undefined
    value = value * 128 + (byte & 127)
    if (byte < 128) return Number.isSafeInteger(value) ? { value, next: from + n + 1 } : undefined
  }
  return undefined
}
