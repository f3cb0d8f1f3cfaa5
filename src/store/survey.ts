import { readdirSync, readFileSync, readlinkSync, realpathSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isWindowsShare, mountTypeOf } from './filesystems.ts'
import { COMPANIONS, networkOf } from './location.ts'

/** One file or folder, as far as it matters who may use it. */
export interface Entry {
  readonly path: string
  readonly kind: 'file' | 'folder' | 'other'
  /** The nine bits of its permissions. */
  readonly mode: number
  readonly uid: number
}

/** Where a store is, looked at from outside. */
export interface Survey {
  /** undefined: it does not exist. */
  readonly folder: Entry | undefined
  /** The database and what SQLite keeps beside it, as far as they exist. */
  readonly files: readonly Entry[]
  readonly fileSystem: {
    /** `ext4`; undefined when the platform does not say. */
    readonly type: string | undefined
    /** The name of the network file system that it is. */
    readonly network: string | undefined
    readonly freeBytes: number
  }
  /** Damaged files that a repair has set aside. */
  readonly setAside: readonly string[]
}

/** Looks at the place of a store; makes and changes nothing. */
export function surveyPlace(file: string): Survey {
  const folder = dirname(file)
  const existing = nearestExisting(folder)
  const { bavail, bsize } = statfsSync(existing)
  return {
    folder: entryOf(folder),
    files: ['', ...COMPANIONS].flatMap((end) => entryOf(file + end) ?? []),
    fileSystem: {
      type: typeOf(existing),
      network: process.platform === 'win32' && isWindowsShare(file) ? 'a Windows share' : networkOf(existing),
      freeBytes: bavail * bsize,
    },
    setAside: namesIn(folder)
      .filter((name) => name.startsWith(`${basename(file)}.damaged-`))
      .map((name) => join(folder, name)),
  }
}

/** Processes of this user, other than this one, that have the file open. Known on Linux only: nowhere else does it take no other program. */
export function processesUsing(file: string): readonly number[] {
  if (process.platform !== 'linux') return []
  const path = attempt(() => realpathSync(file))
  if (path === undefined) return []
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      const folder = `/proc/${pid}/fd`
      return namesIn(folder).some((name) => attempt(() => readlinkSync(join(folder, name))) === path)
    })
    .map(Number)
}

function entryOf(path: string): Entry | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (!stats) return undefined
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other'
  return { path, kind, mode: stats.mode & 0o777, uid: stats.uid }
}

function typeOf(folder: string): string | undefined {
  if (process.platform !== 'linux') return undefined
  return attempt(() => mountTypeOf(realpathSync(folder), readFileSync('/proc/self/mountinfo', 'utf8')))
}

function nearestExisting(folder: string): string {
  const isThere = statSync(folder, { throwIfNoEntry: false }) !== undefined
  return isThere || dirname(folder) === folder ? folder : nearestExisting(dirname(folder))
}

/** What may not be looked into holds nothing we could tell. */
function namesIn(folder: string): readonly string[] {
  return attempt(() => readdirSync(folder)) ?? []
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
