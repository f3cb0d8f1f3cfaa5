import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { defaultStorePath } from '../../config.ts'
import { OffpeakError } from '../../core/errors.ts'
import { formatCount, formatDuration, formatPlural } from '../../progress/format.ts'
import { type Cleared, clearStore, type Shrunk } from '../../store/clearing.ts'
import type { AnswersByModel, Contents } from '../../store/contents.ts'
import { readContents } from '../../store/read-contents.ts'
import { parseArguments, suggestion, usageError } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'
import { aligned, formatBytes } from '../sizes.ts'

const FLAGS = {
  store: { kind: 'text' },
  json: { kind: 'switch' },
  'older-than': { kind: 'duration' },
  all: { kind: 'switch' },
  wait: { kind: 'duration' },
} as const

const DAY_MS = 24 * 60 * 60_000
const RETENTION_MS = 30 * DAY_MS
const WAIT_MS = 15_000

const help = `Usage: offpeak cache [options]
       offpeak cache purge [--older-than <duration> | --all] [options]

Shows what the store holds. With purge, forgets answers and gives their room on the disk back. Work that is not finished is never
removed: requests that wait to be sent, and those that are with a provider.

Options:
      --store <path>           The store (default: this user's, or the one in OFFPEAK_HOME)
      --json                   Print one line of JSON
      --older-than <duration>  With purge: what was settled longer ago than 2s, 10m, 24h or 7d (default 30d)
      --all                    With purge: everything that is settled
      --wait <duration>        With purge: how long to wait for other processes that write (default 15s)

Examples:
  offpeak cache
  offpeak cache --store ./runs/store.db --json
  offpeak cache purge --older-than 7d
  offpeak cache purge --all
`

/** `offpeak cache`: what the store holds, and how to make it hold less. */
export const cache: Command = {
  name: 'cache',
  summary: 'Show what the store holds, or purge old answers from it',
  help,
  run(args, context) {
    const { flags, words } = parseArguments(args, FLAGS)
    const [word, extra] = words
    if (extra !== undefined) throw usageError(`offpeak cache takes one word at most, and was given "${extra}" as well`)
    const path = resolve(flags.store ?? defaultStorePath(process.env))
    const now = Date.now()
    if (word === undefined) {
      for (const name of ['older-than', 'wait'] as const)
        if (flags[name] !== undefined) throw usageError(`--${name} goes with purge: offpeak cache purge --${name} …`)
      if (flags.all) throw usageError('--all goes with purge: offpeak cache purge --all')
      return Promise.resolve(show(path, now, flags.json, context))
    }
    if (word !== 'purge') throw usageError(`unknown word "${word}"${suggestion(word, ['purge'])}`)
    if (flags.all && flags['older-than'] !== undefined) throw usageError('--all and --older-than exclude each other')
    const before = flags.all ? now : now - (flags['older-than'] ?? RETENTION_MS)
    return Promise.resolve(purge({ path, before, now, waitMs: flags.wait ?? WAIT_MS }, flags.json, context))
  },
}

interface Held {
  readonly answers: number
  readonly answerBytes: number
  readonly oldestAt: number | undefined
  readonly models: readonly AnswersByModel[]
  readonly jobs: ReturnType<Contents['jobs']>
  readonly openIntents: number
}

function show(path: string, now: number, isJson: boolean, { print, say }: CommandContext): number {
  const bytes = sizeOf(path)
  if (bytes === undefined) {
    if (isJson) print(`${JSON.stringify({ path, exists: false })}\n`)
    else say(`There is no store at ${path} yet; the first run makes it.`)
    return 0
  }
  const held = readContents(path, WAIT_MS, (contents): Held => {
    const models = contents.answers()
    return {
      answers: models.reduce((sum, { answers }) => sum + answers, 0),
      answerBytes: models.reduce((sum, each) => sum + each.bytes, 0),
      oldestAt: models.length === 0 ? undefined : Math.min(...models.map(({ oldestAt }) => oldestAt)),
      models,
      jobs: contents.jobs(),
      openIntents: contents.openIntents().length,
    }
  })
  if (isJson) {
    print(`${JSON.stringify({ path, exists: true, bytes, ...held })}\n`)
    return 0
  }
  const { jobs } = held
  const rows = [
    ['store', path],
    ['size', formatBytes(bytes)],
    ['answers', `${formatCount(held.answers)} (${formatBytes(held.answerBytes)})`],
    ...held.models.map((each) => [
      `  ${each.provider} ${each.model}`,
      `${formatCount(each.answers)} (${formatBytes(each.bytes)}), the oldest ${age(now, each.oldestAt)}`,
    ]),
    ['oldest', held.oldestAt === undefined ? 'none' : age(now, held.oldestAt)],
    [
      'unfinished',
      `${formatCount(jobs.queued)} queued, ${formatCount(jobs.submitted)} submitted in ${formatPlural(held.openIntents, 'batch', 'batches')}`,
    ],
    ['no answers', `${formatCount(jobs.failed)} failed, ${formatCount(jobs.dropped)} dropped`],
  ]
  print(`${aligned(rows).join('\n')}\n`)
  return 0
}

function purge(clearing: Parameters<typeof clearStore>[0], isJson: boolean, { print, say }: CommandContext): number {
  const { path, now } = clearing
  if (sizeOf(path) === undefined) {
    throw new OffpeakError('store-unusable', `there is no store at ${path}, and nothing to purge`)
  }
  const cleared = clearStore(clearing)
  if (isJson) {
    print(`${JSON.stringify({ path, ...cleared })}\n`)
    return 0
  }
  const freed = cleared.bytesBefore - cleared.bytesAfter
  print(`removed ${formatPlural(cleared.removedJobs, 'job', 'jobs')}, freed ${formatBytes(freed)}\n`)
  for (const line of keptLines(cleared, now)) print(`kept ${line}\n`)
  const reason = whyNotSmaller(cleared.shrunk)
  if (reason) say(reason)
  return 0
}

function keptLines({ kept, openIntents, before, spared }: Cleared, now: number): readonly string[] {
  const lines: string[] = []
  const young = kept.answered + kept.failed
  const since = formatDuration(now - before)
  if (young > 0) {
    const why = spared
      ? `settled within the last ${since}: process ${spared.pid} is at work and may not have read them yet`
      : `settled within the last ${since}`
    lines.push(`${formatPlural(young, 'job', 'jobs')} ${why}`)
  }
  if (kept.dropped > 0) {
    lines.push(`${formatPlural(kept.dropped, 'job', 'jobs')} dropped by their callers within the last ${since}`)
  }
  if (kept.queued > 0) lines.push(`${formatPlural(kept.queued, 'queued job', 'queued jobs')}: not sent yet`)
  if (kept.submitted > 0 || openIntents > 0) {
    lines.push(
      `${formatPlural(kept.submitted, 'submitted job', 'submitted jobs')} in ${formatPlural(openIntents, 'open batch', 'open batches')}: paid for, or about to be`,
    )
  }
  return lines
}

function whyNotSmaller(shrunk: Shrunk): string | undefined {
  switch (shrunk.kind) {
    case 'done':
    case 'nothing-to-gain':
      return undefined
    case 'in-use':
      return `The file keeps its size while process ${shrunk.pid} uses it; later runs use the room again. Purge again when it has ended.`
    case 'too-large':
      return 'The file keeps its size: what is left is too large to be rewritten. Later runs use the room again.'
    case 'no-room':
      return 'The file keeps its size: the disk has no room for rewriting it. Later runs use the room again.'
  }
}

function age(now: number, at: number): string {
  return `${formatDuration(now - at)} ago`
}

/** Of the file and its log. undefined: there is no store. */
function sizeOf(path: string): number | undefined {
  const size = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.size
  const bytes = size(path)
  return bytes === undefined ? undefined : bytes + (size(`${path}-wal`) ?? 0)
}
