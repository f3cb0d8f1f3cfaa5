import { rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import type { RowFault } from '../faults.ts'
import type { StoredFile } from '../file-store.ts'
import { openLineWriter } from '../line-writer.ts'
import { readBlocks } from '../lines.ts'
import type { Reply, World } from '../provider.ts'
import { createReadStream } from 'node:fs'

/** The reply to a download of results: the file, or what faults make of it (the file itself stays as it is). */
export async function serveResults(
  world: World,
  file: StoredFile,
  type: string,
  unknownRow: (customId: string) => string,
): Promise<Reply> {
  const faults = world.faults.takeForResults()
  if (faults.length === 0) return serveFile(file, type)
  // Results may be written only when they are asked for.
  await file.bytes()
  const path = world.files.pathFor(`faulty-${randomBytes(8).toString('hex')}`)
  const writer = await openLineWriter(path)
  for await (const { ref, lines } of readBlocks(file.path)) {
    for (const [index, line] of lines.entries()) {
      for (const spoiled of spoil(line, ref.firstLine + index + 1, faults)) await writer.write(spoiled)
    }
  }
  for (const fault of faults) {
    if (fault.kind === 'unknown-row') await writer.write(unknownRow(fault.customId ?? 'nobody-sent-this'))
  }
  const bytes = await writer.close()
  return { status: 200, body: { kind: 'file', bytes, type, read } }

  function read(end?: number): ReturnType<typeof createReadStream> {
    const stream = createReadStream(path, end === undefined ? {} : { end: end - 1 })
    // Read once; what cannot be removed now goes with the simulator's folder.
    stream.once('close', () => void rm(path, { force: true }).catch(() => {}))
    return stream
  }
}

/** What faults make of a page of results; `first` is its first row's position, from 1. */
export function spoilPage(
  lines: readonly string[],
  first: number,
  faults: readonly RowFault[],
  unknownRow: (customId: string) => string,
): readonly string[] {
  return [
    ...lines.flatMap((line, index) => spoil(line, first + index, faults)),
    ...faults.flatMap((fault) =>
      fault.kind === 'unknown-row' ? [unknownRow(fault.customId ?? 'nobody-sent-this')] : [],
    ),
  ]
}

/** A download of a file as it is. */
export async function serveFile(file: StoredFile, type: string): Promise<Reply> {
  return { status: 200, body: { kind: 'file', bytes: await file.bytes(), type, read: (end) => file.read(end) } }
}

/** What becomes of one row: nothing, itself, half of it, or two of it. */
function spoil(line: string, row: number, faults: readonly RowFault[]): readonly string[] {
  let lines = [line]
  for (const fault of faults) {
    if (fault.kind === 'unknown-row' || !(fault.rows ?? [1]).includes(row)) continue
    if (fault.kind === 'missing-row') lines = []
    if (fault.kind === 'duplicate-row') lines = lines.flatMap((line) => [line, line])
    if (fault.kind === 'corrupt-row') lines = lines.map(corrupted)
  }
  return lines
}

/** The first half of a row: not JSON. */
export function corrupted(line: string): string {
  return line.slice(0, Math.ceil(line.length / 2))
}
