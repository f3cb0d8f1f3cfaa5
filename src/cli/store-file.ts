import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { defaultStorePath } from '../config.ts'
import { OffpeakError } from '../core/errors.ts'
import { type BatchReader, openBatchReader } from '../store/read-batches.ts'

/** How long a look waits for somebody who writes. */
const WAIT_MS = 15_000

/** The store a command is about: the one it names, or this user's. */
export function storePath(named: string | undefined): string {
  return resolve(named ?? defaultStorePath(process.env))
}

export function openStoreFor(path: string): BatchReader {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new OffpeakError('store-unusable', `there is no store at ${path} yet; the first run makes it`)
  }
  return openBatchReader(path, WAIT_MS)
}
