import { openAsBlob } from 'node:fs'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BatchInput, ProviderAdapter } from '../core/adapter.ts'
import type { Intent } from '../core/batch.ts'
import { customId } from '../core/job.ts'
import type { Store } from '../core/store.ts'

const CHUNK_CHARACTERS = 256 * 1024

/** A batch's input on disk, removed again when disposed. */
export interface Spool extends AsyncDisposable {
  readonly input: BatchInput
}

/** Writes the jobs of an intent to a file of their own, a piece at a time: memory never holds them all. */
export async function spool(store: Store, adapter: ProviderAdapter, intent: Intent): Promise<Spool> {
  const parent = store.folder === undefined ? tmpdir() : join(store.folder, 'spool')
  await mkdir(parent, { recursive: true, mode: 0o700 })
  const folder = await mkdtemp(join(parent, `${process.pid}-`))
  const fileName = `${intent.tag}.jsonl`
  const path = join(folder, fileName)
  try {
    const written = await writeLines(path, lines(store, adapter, intent))
    const blob = await openAsBlob(path, { type: 'application/jsonl' })
    const input = {
      ...written,
      fileName,
      blob,
      lines: async function* () {
        yield* lines(store, adapter, intent)
      },
    }
    return { input, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function* lines(store: Store, adapter: ProviderAdapter, intent: Intent): Generator<string> {
  for (const { job, body, endpoint } of store.bodies(intent.id)) {
    yield adapter.line({ job, customId: customId(intent.tag, job), endpoint, body })
  }
}

async function writeLines(path: string, all: Iterable<string>): Promise<{ jobs: number; bytes: number }> {
  await using file = await open(path, 'wx', 0o600)
  let jobs = 0
  let bytes = 0
  let chunk = ''
  for (const line of all) {
    chunk += line
    chunk += '\n'
    jobs += 1
    if (chunk.length < CHUNK_CHARACTERS) continue
    bytes += (await file.write(chunk)).bytesWritten
    chunk = ''
  }
  if (chunk !== '') bytes += (await file.write(chunk)).bytesWritten
  return { jobs, bytes }
}
