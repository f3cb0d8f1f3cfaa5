import { join } from 'node:path'
import { userInfo } from 'node:os'
import { formatPlural } from '../../progress/format.ts'
import type { Entry, Survey } from '../../store/survey.ts'
import { formatBytes } from '../sizes.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

const OTHERS_MAY_WRITE = 0o022
const OTHERS_MAY_READ = 0o044
/** Less than this is soon used up by a batch or two. */
const LITTLE_ROOM = 100_000_000

/** Whether a store may be where it is, and is private there. */
export function placeFindings(survey: Survey, path: string): readonly Finding[] {
  return [
    ...(survey.folder ? [folderFinding(survey.folder, path)] : []),
    ...survey.files.map((entry) => fileFinding(entry)),
    fileSystemFinding(survey),
    roomFinding(survey),
    ...(survey.setAside.length === 0
      ? []
      : [
          warn(
            'set aside',
            `${formatPlural(survey.setAside.length, 'file', 'files')} of a damaged store: ${survey.setAside.join(', ')}`,
            'remove them once you miss nothing',
          ),
        ]),
  ]
}

function folderFinding(folder: Entry, path: string): Finding {
  const says = `${folder.path} (${described(folder)})`
  const foreign = foreignOwner('folder', folder)
  if (foreign) return foreign
  if (folder.kind !== 'folder')
    return bad('folder', `${folder.path} is not a folder`, `choose another place than ${path}`)
  if (hasModes() && (folder.mode & OTHERS_MAY_WRITE) !== 0) {
    // A folder that serves others too, such as /tmp, must not be closed to them.
    return bad(
      'folder',
      `${says}: others may write to it, and exchange the store`,
      `give the store a folder of its own, such as ${join(folder.path, 'offpeak')}`,
    )
  }
  return ok('folder', says)
}

function fileFinding(file: Entry): Finding {
  const says = `${file.path} (${described(file)})`
  const foreign = foreignOwner('file', file)
  if (foreign) return foreign
  if (file.kind !== 'file') return bad('file', `${file.path} is not a file`, 'name a file with --store')
  if (hasModes() && (file.mode & (OTHERS_MAY_READ | OTHERS_MAY_WRITE)) !== 0) {
    return warn('file', `${says}: others may read it`, `chmod 600 ${file.path}, as the next run will`)
  }
  return ok('file', says)
}

function foreignOwner(what: string, { path, uid }: Entry): Finding | undefined {
  const user = process.getuid?.()
  if (user === undefined || uid === user) return undefined
  return bad(
    what,
    `${path} belongs to user ${uid}, and you are ${user}`,
    'use a store of your own: --store, the option `store`, or OFFPEAK_HOME',
  )
}

function fileSystemFinding({ fileSystem: { type, network } }: Survey): Finding {
  if (network !== undefined) {
    return bad(
      'disk',
      `a network file system (${network}), where SQLite cannot keep its promises`,
      'move the store to a local disk',
    )
  }
  return ok('disk', type ?? 'local')
}

function roomFinding({ fileSystem: { freeBytes } }: Survey): Finding {
  const says = `${formatBytes(freeBytes)} free`
  return freeBytes < LITTLE_ROOM ? warn('room', says, 'free some, or run offpeak cache purge') : ok('room', says)
}

function described({ mode, uid }: Entry): string {
  if (!hasModes()) return 'yours'
  const owner = uid === process.getuid?.() ? userInfo().username : String(uid)
  return `${mode.toString(8).padStart(4, '0')}, ${owner}`
}

/** Windows keeps permissions elsewhere. */
function hasModes(): boolean {
  return process.platform !== 'win32'
}
