import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { defaultStorePath } from '../../config.ts'
import type { Spending } from '../../core/store.ts'
import { formatCount, formatUsd } from '../../progress/format.ts'
import { readContents } from '../../store/read-contents.ts'
import { parseArguments, suggestion, usageError } from '../args.ts'
import type { Command } from '../command.ts'
import { aligned } from '../sizes.ts'

const FLAGS = {
  since: { kind: 'duration' },
  by: { kind: 'text' },
  store: { kind: 'text' },
  json: { kind: 'switch' },
} as const

const DIMENSIONS = ['model', 'provider', 'day', 'tag'] as const
type Dimension = (typeof DIMENSIONS)[number]

const WAIT_MS = 15_000
const NO_TAG = '(none)'

const help = `Usage: offpeak savings [options]

Shows what answers cost in batches and what they would have cost live, as it was recorded when they came. Outlives the answers
themselves. What has no known price is counted as unpriced, and is in no sum.

Options:
      --since <duration>  Only the last 30d, 12h, … by UTC days (default: everything)
      --by <what>         model (default), provider, day or tag: the metadata a run was given
      --store <path>      The store (default: this user's, or the one in OFFPEAK_HOME)
      --json              Print one line of JSON

Examples:
  offpeak savings
  offpeak savings --since 30d --by day
  offpeak savings --by tag --json
`

/** One group of what was spent, in dollars. */
interface SavingsLine {
  readonly key: string
  requests: number
  unpriced: number
  inputTokens: number
  cachedTokens: number
  outputTokens: number
  reasoningTokens: number
  costUsd: number
  liveCostUsd: number
}

/** `offpeak savings`: what batches cost, and what they saved. */
export const savings: Command = {
  name: 'savings',
  summary: 'Show what batches cost, and what they saved',
  help,
  run(args, { print, say }) {
    const { flags, words } = parseArguments(args, FLAGS)
    if (words[0] !== undefined) throw usageError(`offpeak savings takes no words, and was given "${words[0]}"`)
    const by = dimensionOf(flags.by)
    const path = resolve(flags.store ?? defaultStorePath(process.env))
    const since = flags.since === undefined ? '' : dayOf(Date.now() - flags.since)
    const exists = statSync(path, { throwIfNoEntry: false }) !== undefined
    const spent = exists ? readContents(path, WAIT_MS, (contents) => contents.spending(since)) : []
    const lines = groupedBy(by, spent)
    const total = sumOf('total', spent)
    if (flags.json) {
      print(
        `${JSON.stringify({ path, exists, since: since || null, by, lines: lines.map(withSaving), total: withSaving(total) })}\n`,
      )
    } else if (lines.length === 0) {
      say(exists ? 'Nothing has been spent in that time.' : `There is no store at ${path} yet; the first run makes it.`)
    } else {
      print(`${table(by, lines, total).join('\n')}\n`)
      if (total.unpriced > 0)
        say(`${formatCount(total.unpriced)} requests have no known price and are in none of the sums.`)
    }
    return Promise.resolve(0)
  },
}

function dimensionOf(text = 'model'): Dimension {
  const found = DIMENSIONS.find((each) => each === text)
  if (!found) throw usageError(`--by must be ${DIMENSIONS.join(', ')}, not "${text}"${suggestion(text, DIMENSIONS)}`)
  return found
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

/** Days in their order, anything else by what it cost. */
function groupedBy(by: Dimension, spent: readonly Spending[]): readonly SavingsLine[] {
  const groups = Map.groupBy(spent, (each) => keyOf(by, each))
  const lines = Array.from(groups, ([key, group]) => sumOf(key, group))
  return lines.sort((a, b) => (by === 'day' ? (a.key < b.key ? -1 : 1) : b.liveCostUsd - a.liveCostUsd))
}

function keyOf(by: Dimension, { provider, model, day, metadata }: Spending): string {
  switch (by) {
    case 'provider':
      return provider
    case 'model':
      return `${provider} ${model}`
    case 'day':
      return day
    case 'tag': {
      const pairs = Object.entries(metadata).map(([name, value]) => `${name}=${value}`)
      return pairs.length === 0 ? NO_TAG : pairs.sort().join(' ')
    }
  }
}

function sumOf(key: string, spent: readonly Spending[]): SavingsLine {
  const sum: SavingsLine = {
    key,
    requests: 0,
    unpriced: 0,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    costUsd: 0,
    liveCostUsd: 0,
  }
  for (const each of spent) {
    sum.requests += each.requests
    sum.unpriced += each.unpriced
    sum.inputTokens += each.inputTokens
    sum.cachedTokens += each.cachedTokens
    sum.outputTokens += each.outputTokens
    sum.reasoningTokens += each.reasoningTokens
    sum.costUsd += each.costUsd
    sum.liveCostUsd += each.liveCostUsd
  }
  return sum
}

function hasPrice({ requests, unpriced }: SavingsLine): boolean {
  return requests > unpriced
}

/** Sums of which nothing is known are null: they are not zero. */
function withSaving(line: SavingsLine): unknown {
  const { costUsd, liveCostUsd, ...rest } = line
  if (!hasPrice(line)) return { ...rest, costUsd: null, liveCostUsd: null, savedUsd: null }
  return { ...rest, costUsd, liveCostUsd, savedUsd: liveCostUsd - costUsd }
}

function table(by: Dimension, lines: readonly SavingsLine[], total: SavingsLine): readonly string[] {
  const head = [by, 'requests', 'input', 'output', 'live', 'batch', 'saved']
  return aligned([head, ...[...lines, total].map(cellsOf)])
}

function cellsOf(line: SavingsLine): readonly string[] {
  const { key, requests, inputTokens, outputTokens, costUsd, liveCostUsd } = line
  const counts = [key, ...[requests, inputTokens, outputTokens].map(formatCount)]
  if (!hasPrice(line)) return [...counts, 'unknown', 'unknown', 'unknown']
  const saved = liveCostUsd - costUsd
  const share = liveCostUsd > 0 ? ` (${Math.round((saved / liveCostUsd) * 100)} %)` : ''
  return [...counts, formatUsd(liveCostUsd), formatUsd(costUsd), `${formatUsd(saved)}${share}`]
}
