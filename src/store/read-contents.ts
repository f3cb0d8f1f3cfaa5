import { OffpeakError } from '../core/errors.ts'
import { damaged, openFailed } from './connection.ts'
import { type Contents, contentsOf } from './contents.ts'
import { checkIsOurs, versionOf } from './migrations.ts'
import { openForReading } from './reading-only.ts'
import { hasOrphanedLog } from './recognise.ts'

/** Reads from a store without changing it; everything `work` reads is of one moment. */
export function readContents<T>(file: string, busyTimeoutMs: number, work: (contents: Contents) => T): T {
  if (hasOrphanedLog(file)) throw damaged(file, 'its write-ahead log does not belong to it')
  let database: ReturnType<typeof openForReading> | undefined
  try {
    database = openForReading(file, busyTimeoutMs)
    const opened = database
    checkIsOurs(opened, file)
    if (versionOf(opened) === 0) throw new OffpeakError('store-unusable', `${file} is empty; the first run fills it.`)
    return opened.transaction(() => work(contentsOf(opened)))()
  } catch (error) {
    database?.close()
    throw openFailed(error, file)
  } finally {
    database?.close()
  }
}
