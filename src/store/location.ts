import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statfsSync,
  statSync,
  type Stats,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { OffpeakError } from '../core/errors.ts'
import { isWindowsShare, mountTypeOf, networkFileSystem } from './filesystems.ts'

/** Where a store is, once it may be opened. */
export interface Location {
  readonly file: string
  /** Its folder, if it is private to this user. */
  readonly folder: string | undefined
}

const OTHERS_MAY_WRITE = 0o022
const OTHERS_MAY_ANYTHING = 0o077
/** The mark of a folder meant for everybody, such as /tmp. */
const STICKY = 0o1000

/** The files SQLite keeps beside a database. */
export const COMPANIONS: readonly string[] = ['-wal', '-shm', '-journal']

/**
 * Makes sure that a store may be where it is wanted: on a disk of this machine, in a file that is ours and that nobody else can
 * read or exchange. Makes the folder (0700) and the file (0600) when they do not exist. The rules for a folder that exists:
 * somebody else's is refused; one that holds nothing but the store is made private; one that holds other things too is not ours
 * to change, and is refused only if others may write to it.
 */
export function prepareLocation(path: string, networkAt: (folder: string) => string | undefined = networkOf): Location {
  const wanted = resolve(path)
  refuseNetwork(wanted, networkAt)
  if (statsOf(wanted)?.isDirectory()) throw notAFile(wanted)
  const folder = prepareFolder(dirname(wanted), basename(wanted))
  const file = join(folder.path, basename(wanted))
  prepareFile(file)
  return { file, folder: folder.isPrivate ? folder.path : undefined }
}

function prepareFolder(wanted: string, fileName: string): { readonly path: string; readonly isPrivate: boolean } {
  const created = attempt(wanted, 'made', () => makeFolders(wanted))
  // Links are followed once, here: from now on the folder itself is checked and used.
  const path = attempt(wanted, 'read', () => realpathSync(wanted))
  const stats = attempt(path, 'read', () => statSync(path))
  refuseForeign(path, 'folder', stats.uid)
  if (!hasModes() || (stats.mode & OTHERS_MAY_ANYTHING) === 0) return { path, isPrivate: true }

  const isStoreFile = (name: string): boolean => name === fileName || COMPANIONS.some((end) => name === fileName + end)
  const isOnlyForStore =
    created || ((stats.mode & STICKY) === 0 && attempt(path, 'read', () => readdirSync(path)).every(isStoreFile))
  if (isOnlyForStore) {
    attempt(path, 'made private', () => chmodSync(path, 0o700))
    return { path, isPrivate: true }
  }
  if ((stats.mode & OTHERS_MAY_WRITE) !== 0) {
    throw new OffpeakError(
      'store-unusable',
      `Other users may write to the folder ${path}, and could exchange the store in it. Give the store a folder of its own, such as ${join(path, 'offpeak', fileName)}.`,
    )
  }
  return { path, isPrivate: false }
}

/**
 * Makes a folder and those above it; true when it was not there. One at a time, because Node's own `recursive` never returns where
 * folders cannot be made but seem only to lack their parent, as in /proc.
 */
function makeFolders(wanted: string): boolean {
  if (statsOf(wanted) !== undefined) return false
  const parent = dirname(wanted)
  if (parent !== wanted) makeFolders(parent)
  try {
    mkdirSync(wanted, { mode: 0o700 })
    return true
  } catch (error) {
    // Another process was faster.
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

function prepareFile(file: string): void {
  // A file that exists is never opened here: closing it would drop the locks that SQLite holds on it elsewhere in this process.
  if (statsOf(file) === undefined) createPrivately(file)
  for (const each of [file, ...COMPANIONS.map((end) => file + end)]) makePrivate(each)
}

function createPrivately(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    // Another process was faster: its file is checked like any other.
    if (codeOf(error) !== 'EEXIST') throw unusable(file, 'made', error)
  }
}

function makePrivate(file: string): void {
  const stats = statsOf(file)
  // Companions come and go as others open and close the store.
  if (!stats) return
  if (stats.isSymbolicLink()) {
    throw new OffpeakError('store-unusable', `${file} is a symbolic link; name the file it leads to instead.`)
  }
  if (!stats.isFile()) throw notAFile(file)
  refuseForeign(file, 'file', stats.uid)
  if (!hasModes() || (stats.mode & OTHERS_MAY_ANYTHING) === 0) return
  try {
    chmodSync(file, 0o600)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw unusable(file, 'made private', error)
  }
}

function refuseNetwork(file: string, networkAt: (folder: string) => string | undefined): void {
  const name =
    process.platform === 'win32' && isWindowsShare(file) ? 'a Windows share' : networkAt(nearestExisting(dirname(file)))
  if (name === undefined) return
  throw new OffpeakError(
    'store-network-filesystem',
    `${file} is on a network file system (${name}), where SQLite cannot keep its promises. Put the store on a local disk: the option \`store\`, or OFFPEAK_HOME.`,
  )
}

/** Which network file system a folder is on; undefined when it is on a disk of this machine. */
export function networkOf(folder: string): string | undefined {
  return networkFileSystem(
    process.platform,
    attempt(folder, 'read', () => statfsSync(folder).type),
    () => mountTypeOf(realpathSync(folder), readFileSync('/proc/self/mountinfo', 'utf8')),
  )
}

function nearestExisting(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestExisting(dirname(folder))
}

function refuseForeign(path: string, what: 'folder' | 'file', uid: number): void {
  const user = process.getuid?.()
  if (user === undefined || uid === user) return
  throw new OffpeakError(
    'store-unusable',
    `The ${what} ${path} belongs to another user (${uid}, you are ${user}). Choose a place of your own with the option \`store\` or OFFPEAK_HOME.`,
  )
}

/** Windows keeps no such modes: a user's folders are private there by inheritance. */
function hasModes(): boolean {
  return process.getuid !== undefined
}

/** Of the thing itself, when it is a link; undefined when there is nothing. */
function statsOf(file: string): Stats | undefined {
  return attempt(file, 'read', () => lstatSync(file, { throwIfNoEntry: false }))
}

function notAFile(path: string): OffpeakError {
  return new OffpeakError(
    'store-unusable',
    `${path} is not a file; name a file for the store, such as ${join(path, 'store.sqlite')}.`,
  )
}

function attempt<T>(path: string, done: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw unusable(path, done, error)
  }
}

function unusable(path: string, done: string, cause: unknown): OffpeakError {
  return new OffpeakError(
    'store-unusable',
    `${path} cannot be ${done} (${codeOf(cause) ?? String(cause)}). Choose another place with the option \`store\` or OFFPEAK_HOME.`,
    { cause },
  )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
