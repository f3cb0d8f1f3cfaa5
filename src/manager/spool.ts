import { openAsBlob } from 'node:fs'
import { type FileHandle, mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BatchInput, ProviderAdapter } from '../core/adapter.ts'
import type { Intent } from '../core/batch.ts'
import { customId } from '../core/job.ts'
import type { Store } from '../core/store.ts'
import { isAlive } from './is-alive.ts'

/** `<process id>-<random>`, marked as ours where everybody's files are. */
const FOLDER = /^(?:offpeak-spool-)?(\d+)-\w+$/
const CHUNK_CHARACTERS = 256 * 1024

type SpoolPlace = Pick<Store, 'folder'>

/** A batch's input on disk, removed again when disposed. */
export interface Spool extends AsyncDisposable {
  readonly input: BatchInput
}

/** Writes the jobs of an intent to a file of their own, a piece at a time: memory never holds them all. */
export async function spool(store: Store, adapter: ProviderAdapter, intent: Intent): Promise<Spool> {
  const { parent, prefix } = placeOf(store)
  await mkdir(parent, { recursive: true, mode: 0o700 })
  const folder = await mkdtemp(join(parent, `${prefix}${process.pid}-`))
  const fileName = `${intent.tag}.jsonl`
  const path = join(folder, fileName)
  try {
    const written = await writeText(path, lines(store, adapter, intent), { before: '', between: '\n', after: '\n' })
    const blob = await openAsBlob(path, { type: 'application/jsonl' })
    const document = async (before: string, after: string): Promise<Blob> => {
      const whole = join(folder, `${intent.tag}.json`)
      await writeText(whole, lines(store, adapter, intent), { before, between: ',', after })
      return await openAsBlob(whole, { type: 'application/json' })
    }
    const input = { ...written, fileName, blob, document }
    return { input, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Removes what processes that are gone left behind: prompts should not lie about. */
export async function sweepSpool(store: SpoolPlace): Promise<void> {
  for (const folder of await spoolLeftovers(store)) {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

/** The folders that processes that are gone left behind. */
export async function spoolLeftovers(store: SpoolPlace): Promise<readonly string[]> {
  const { parent, prefix } = placeOf(store)
  // A folder that does not exist, or a file of somebody else's, is nothing to sweep.
  const names = await readdir(parent).catch(() => [])
  return names
    .filter((name) => {
      const pid = name.startsWith(prefix) ? FOLDER.exec(name)?.[1] : undefined
      return pid !== undefined && !isAlive(Number(pid))
    })
    .map((name) => join(parent, name))
}

function placeOf({ folder }: SpoolPlace): { readonly parent: string; readonly prefix: string } {
  return folder === undefined
    ? { parent: tmpdir(), prefix: 'offpeak-spool-' }
    : { parent: join(folder, 'spool'), prefix: '' }
}

function* lines(store: Store, adapter: ProviderAdapter, intent: Intent): Generator<string> {
  for (const { job, body, endpoint } of store.bodies(intent.id)) {
    yield adapter.line({ job, customId: customId(intent.tag, job), endpoint, body })
  }
}

interface Joints {
  readonly before: string
  readonly between: string
  readonly after: string
}

async function writeText(
  path: string,
  all: Iterable<string>,
  { before, between, after }: Joints,
): Promise<{ jobs: number; bytes: number }> {
  await using file = await open(path, 'w', 0o600)
  let jobs = 0
  let bytes = 0
  let chunk = before
  for (const line of all) {
    if (jobs > 0) chunk += between
    chunk += line
    jobs += 1
    if (chunk.length < CHUNK_CHARACTERS) continue
    bytes += await writeWhole(file, chunk)
    chunk = ''
  }
  bytes += await writeWhole(file, chunk + after)
  return { jobs, bytes }
}

/** `write` may write a part only, as on a disk that is almost full; `writeFile` goes on or fails. */
async function writeWhole(file: FileHandle, chunk: string): Promise<number> {
  const bytes = Buffer.from(chunk)
  await file.writeFile(bytes)
  return bytes.length
}
