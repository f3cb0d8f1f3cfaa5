import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { SimulatorClock } from './clock.ts'

export interface FileFacts {
  readonly id: string
  /** Whose it is; nobody else can see it. */
  readonly owner: string
  readonly name: string
  readonly purpose: string
  readonly createdAt: number
  readonly expiresAt: number | undefined
}

export interface StoredFile extends FileFacts {
  /** Writes a file that is made on demand; later calls wait for the first. */
  bytes(): Promise<number>
  read(end?: number): Readable
  readonly path: string
}

/** Files on disk, in a folder of this simulator's own. Nothing of their content is kept in memory. */
export interface FileStore {
  /** Where a file's content goes before it is added. */
  pathFor(id: string): string
  /** `make` writes the content when it is first asked for; without it, it is already there. */
  add(facts: FileFacts, make?: () => Promise<unknown>): StoredFile
  /** A file that is still being written; `grown` resolves with its size, once it is as long as it can be by now. */
  addGrowing(facts: FileFacts, grown: () => Promise<number>): StoredFile
  get(owner: string, id: string): StoredFile | undefined
  /** Oldest first. */
  list(owner: string): readonly StoredFile[]
  /** Keeps the content on disk until the returned undo is called, whatever happens to the file. */
  pin(file: StoredFile): () => void
  remove(file: StoredFile): Promise<void>
  discard(path: string): Promise<void>
  close(): Promise<void>
}

interface Kept {
  readonly file: StoredFile
  pins: number
  removed: boolean
}

export async function openFileStore(parent: string | undefined, clock: SimulatorClock): Promise<FileStore> {
  const folder = await mkdtemp(join(parent ?? tmpdir(), 'offpeak-simulator-'))
  const files = new Map<string, Kept>()
  const discard = (path: string): Promise<void> => rm(path, { force: true })

  async function forget(kept: Kept): Promise<void> {
    kept.removed = true
    if (kept.pins > 0) return
    files.delete(kept.file.id)
    await discard(kept.file.path)
  }

  function keep(facts: FileFacts, bytes: () => Promise<number>): StoredFile {
    const path = join(folder, facts.id)
    const file: StoredFile = {
      ...facts,
      path,
      bytes,
      read: (end) =>
        createReadStream(path, { highWaterMark: 256 * 1024, ...(end === undefined ? {} : { end: end - 1 }) }),
    }
    files.set(facts.id, { file, pins: 0, removed: false })
    return file
  }

  function visible(kept: Kept, owner: string): boolean {
    return !kept.removed && kept.file.owner === owner && (kept.file.expiresAt ?? Infinity) > clock.now()
  }

  return {
    pathFor: (id) => join(folder, id),
    add(facts, make) {
      const path = join(folder, facts.id)
      let size: Promise<number> | undefined
      const measure = async (): Promise<number> => {
        await make?.()
        return (await stat(path)).size
      }
      return keep(facts, () => (size ??= measure()))
    },
    addGrowing: keep,
    get(owner, id) {
      const kept = files.get(id)
      return kept && visible(kept, owner) ? kept.file : undefined
    },
    list: (owner) => [...files.values()].flatMap((kept) => (visible(kept, owner) ? [kept.file] : [])),
    pin(file) {
      const kept = files.get(file.id)
      if (!kept) return () => {}
      kept.pins++
      let pinned = true
      return () => {
        if (!pinned) return
        pinned = false
        kept.pins--
        if (kept.removed) void forget(kept)
      }
    },
    async remove(file) {
      const kept = files.get(file.id)
      if (kept) await forget(kept)
    },
    discard,
    close: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }),
  }
}
