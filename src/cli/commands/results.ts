import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { formatCount, formatPlural } from '../../progress/format.ts'
import { parseArguments, usageError } from '../args.ts'
import { resultLines } from '../batches/result-lines.ts'
import { batchesIn, selectBatchOrRun } from '../batches/select.ts'
import type { Command, CommandContext } from '../command.ts'
import { openStoreFor, storePath } from '../store-file.ts'
import { writeWhenReady } from '../write-when-ready.ts'

const FLAGS = {
  store: { kind: 'text' },
  output: { kind: 'text', short: 'o' },
  failed: { kind: 'switch' },
} as const

const help = `Usage: offpeak results <batch|run|last> [options]

Requests and answers of a batch, or of all batches of a run, as JSONL: one object a line, as many as there are.

  {"job", "batch", "provider", "endpoint", "model", "status", "request", "response" or "error", "usage", "costUsd", "liveCostUsd"}

request is the body as it was sent, response the body as it came, status the HTTP status of that request. What is not known (a cost,
tokens) is left out. Requests without an answer yet are left out as well, and counted on stderr.

A batch is named by its provider's id, by its tag, or by the beginning of either; a run by its number in offpeak batches; last is the
latest run that has sent a batch.

Options:
      --store <path>   The store (default: this user's, or the one in OFFPEAK_HOME)
  -o, --output <file>  Write to a file, which appears once it is whole (default: stdout)
      --failed         Only those that failed

Exit code: 0; 1 when something cannot be read or written; 2 for wrong usage; 130 and 143 when interrupted.

Examples:
  offpeak results last -o answers.jsonl
  offpeak results batch_6917 | jq -r .response.output_text
  offpeak results 12 --failed
`

/** A write this large costs little beside what it carries. */
const CHUNK_LENGTH = 65_536

/** `offpeak results`: everything that was asked and answered, a line each. */
export const results: Command = {
  name: 'results',
  summary: 'Print requests and answers of a batch or run as JSONL',
  help,
  async run(args, context) {
    const { flags, words } = parseArguments(args, FLAGS)
    const [word, extra] = words
    if (word === undefined) throw usageError('offpeak results needs a batch or a run: offpeak results last')
    if (extra !== undefined)
      throw usageError(`offpeak results takes one batch or run, and was given "${extra}" as well`)
    using reader = openStoreFor(storePath(flags.store))
    const batches = batchesIn(selectBatchOrRun(reader, word))
    const lines = resultLines(reader, batches, flags.failed ? 'failed' : 'settled')

    const written =
      flags.output === undefined
        ? await copy(lines, context.stream, context.interrupted)
        : await copyToFile(lines, resolve(flags.output), context)
    if (context.interrupted.aborted) return context.interrupted.reason === 'SIGTERM' ? 143 : 130
    if (flags.output !== undefined) {
      context.say(`${formatPlural(written, 'request', 'requests')} written to ${resolve(flags.output)}`)
    }
    const waiting = batches.reduce((sum, { jobs }) => sum + jobs.submitted, 0)
    if (waiting > 0) context.say(`${formatCount(waiting)} without an answer yet`)
    return 0
  },
}

/** Returns how many lines; stops early when their reader leaves, or the user wants no more. */
async function copy(
  lines: Iterable<string>,
  write: (text: string) => Promise<boolean>,
  interrupted: AbortSignal,
): Promise<number> {
  let count = 0
  let chunk = ''
  for (const line of lines) {
    chunk += line
    count += 1
    if (chunk.length < CHUNK_LENGTH) continue
    if (interrupted.aborted || !(await write(chunk))) return count
    chunk = ''
  }
  if (chunk !== '' && !interrupted.aborted) await write(chunk)
  return count
}

/** Whoever finds the file finds all of it. Prompts are in it: it is its owner's alone, as the store is. */
async function copyToFile(lines: Iterable<string>, path: string, { interrupted }: CommandContext): Promise<number> {
  const unfinished = `${path}.unfinished`
  const file = createWriteStream(unfinished, { mode: 0o600 })
  // Looked at once the last line is written: a full disk, say.
  file.on('error', () => undefined)
  try {
    await once(file, 'open')
    const count = await copy(lines, (text) => writeWhenReady(file, text), interrupted)
    file.end()
    if (!file.closed) await once(file, 'close')
    if (file.errored) throw file.errored
    if (!interrupted.aborted) await rename(unfinished, path)
    return count
  } finally {
    file.destroy()
    await rm(unfinished, { force: true })
  }
}
