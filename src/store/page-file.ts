import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type LogFile, type LogState, type ReadAt, readLog } from './log-file.ts'
import { APPLICATION_ID, PAGE_SIZE } from './migrations.ts'

/*
 * A database file read page by page, without SQLite, which refuses the whole for the sake of a part:
 * https://www.sqlite.org/fileformat2.html. It never writes.
 */

/** What the first hundred bytes say; undefined where they are not those of a database. */
export interface FileHeader {
  readonly pageSize: number
  /** As the header has it; the file may be shorter. */
  readonly pageCount: number
  readonly firstFree: number
  readonly freePages: number
  readonly version: number
  readonly isOurs: boolean
}

export interface PageFile extends Disposable {
  /** The newest header: the log's, if the first page is in the log. */
  readonly header: FileHeader | undefined
  readonly log: LogState
  readonly bytes: number
  readonly pageSize: number
  /** Pages are numbered from 1 to this. */
  readonly count: number
  /** A whole page; what lies behind the end of a file that was cut is zeros. undefined: all of it does. */
  readonly page: (number: number) => Buffer | undefined
}

const MAGIC = 'SQLite format 3\0'
/** Those our stores have: the first ones the driver's default, all since a size of our own. */
const USUAL_PAGE_SIZES = [4096, PAGE_SIZE]
/** After its first page, a store begins with so many pages at least that are each the root of a table or an index. */
const ROOTS = 12
/** First bytes of the pages of such a tree. */
const TREE_PAGES = new Set<number | undefined>([2, 5, 10, 13])

/** Opens a database file and its log for reading. Never in a process that has it open with SQLite, whose locks closing a file drops. */
export function openPages(file: string): PageFile {
  const main = openFile(file)
  let log: OpenedFile | undefined
  try {
    log = openIfThere(`${file}-wal`)
    return pagesOver(main, log)
  } catch (error) {
    main.close()
    log?.close()
    throw error
  }
}

function pagesOver(main: OpenedFile, logFile: OpenedFile | undefined): PageFile {
  const log: LogFile = readLog(logFile?.size ?? 0, logFile?.readAt ?? (() => Buffer.alloc(0)))
  const inFile = readHeader(main.readAt(0, 100))
  const pageSize = inFile?.pageSize ?? log.pageSize ?? guessPageSize(main)
  // A log of pages of another size is not this file's.
  const logged = log.pageSize === pageSize ? log.pages : new Map<number, number>()

  const page = (number: number): Buffer | undefined => {
    const inLog = logged.get(number)
    const bytes =
      inLog === undefined || !logFile ? main.readAt((number - 1) * pageSize, pageSize) : logFile.readAt(inLog, pageSize)
    if (bytes.length === 0) return undefined
    return bytes.length === pageSize ? bytes : Buffer.concat([bytes, Buffer.alloc(pageSize - bytes.length)])
  }
  const first = logged.has(1) ? page(1) : undefined
  return {
    header: (first && readHeader(first)) ?? inFile,
    log: log.state,
    bytes: main.size,
    pageSize,
    count: Math.max(Math.ceil(main.size / pageSize), log.pageSize === pageSize ? (log.pageCount ?? 0) : 0),
    page,
    [Symbol.dispose]() {
      main.close()
      logFile?.close()
    },
  }
}

/** Of a file that says nothing about itself. By a size too small, most roots would begin in the middle of a page. */
function guessPageSize({ readAt }: OpenedFile): number {
  const fits = (size: number): boolean => {
    const roots = Array.from({ length: ROOTS }, (_, n) => readAt((n + 1) * size, 1)[0])
    return roots.filter((first) => TREE_PAGES.has(first)).length > ROOTS / 2
  }
  return USUAL_PAGE_SIZES.find(fits) ?? PAGE_SIZE
}

function readHeader(bytes: Buffer): FileHeader | undefined {
  if (bytes.length < 100 || bytes.toString('latin1', 0, 16) !== MAGIC) return undefined
  const size = bytes.readUInt16BE(16)
  const pageSize = size === 1 ? 65_536 : size
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) return undefined
  return {
    pageSize,
    pageCount: bytes.readUInt32BE(28),
    firstFree: bytes.readUInt32BE(32),
    freePages: bytes.readUInt32BE(36),
    version: bytes.readUInt32BE(60),
    isOurs: bytes.readUInt32BE(68) === APPLICATION_ID,
  }
}

interface OpenedFile {
  readonly size: number
  readonly readAt: ReadAt
  close(): void
}

function openFile(path: string): OpenedFile {
  const descriptor = openSync(path, 'r')
  return {
    size: fstatSync(descriptor).size,
    readAt(position, length) {
      const bytes = Buffer.alloc(length)
      let read = 0
      while (read < length) {
        const more = readSync(descriptor, bytes, read, length - read, position + read)
        if (more === 0) break
        read += more
      }
      return bytes.subarray(0, read)
    },
    close: () => closeSync(descriptor),
  }
}

function openIfThere(path: string): OpenedFile | undefined {
  try {
    return openFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
