import type { BatchReader, StoredBatch } from '../../store/read-batches.ts'
import { suggestion, usageError } from '../args.ts'

/** What somebody means by a word: one batch, or a run with all of its batches. */
export type Selected =
  | { readonly kind: 'batch'; readonly batch: StoredBatch }
  | { readonly kind: 'run'; readonly run: number; readonly batches: readonly StoredBatch[] }

/** So many candidates are named when a word could mean several. */
const NAMED = 5

export function batchesIn(selected: Selected): readonly StoredBatch[] {
  return selected.kind === 'run' ? selected.batches : [selected.batch]
}

/** What people call a batch: its provider's id, or our tag until it has one. */
export function nameOf({ intent }: StoredBatch): string {
  return intent.handle?.id ?? intent.tag
}

/** A provider's id of a batch, or a tag, or the beginning of either. */
export function selectBatch(reader: BatchReader, word: string): StoredBatch {
  const found = word === '' ? [] : reader.find(word, NAMED + 1)
  const [batch, another] = found
  if (batch === undefined) {
    const known = reader.list({}, 200).batches.flatMap((each) => [nameOf(each), each.intent.tag])
    throw usageError(`there is no batch "${word}"${suggestion(word, known)} (offpeak batches lists them)`)
  }
  if (another !== undefined) {
    const names = found.slice(0, NAMED).map(nameOf).join(', ')
    throw usageError(`"${word}" could be any of ${names}${found.length > NAMED ? ' and more' : ''}`)
  }
  return batch
}

/** `last`, the number of a run, or a batch. */
export function selectBatchOrRun(reader: BatchReader, word: string): Selected {
  const run = runNamed(reader, word)
  const batches = run === undefined ? [] : reader.batchesOf(run)
  return run !== undefined && batches.length > 0
    ? { kind: 'run', run, batches }
    : { kind: 'batch', batch: selectBatch(reader, word) }
}

/** The number of a run, or `last`; undefined for a word that names none. */
export function runNamed(reader: BatchReader, word: string): number | undefined {
  if (/^[1-9]\d{0,14}$/.test(word)) return Number(word)
  if (word !== 'last') return undefined
  const latest = reader.latestRun()
  if (latest === undefined) throw usageError('no run has sent a batch yet')
  return latest
}
