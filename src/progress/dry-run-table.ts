import type { DryRunReport, DryRunSums, DryRunRange } from '../core/dry-run.ts'
import { formatCount, formatPlural, formatUsd } from './format.ts'
import { type Look, paint } from './style.ts'
import { padEnd, padStart, printable, textWidth } from './width.ts'

interface Column {
  readonly title: string
  readonly cell: (sums: DryRunSums, look: Look) => string
}

const NAMES = ['provider', 'endpoint', 'model'] as const

const COLUMNS: readonly Column[] = [
  { title: 'requests', cell: ({ requests }) => formatCount(requests) },
  { title: 'stored', cell: ({ cached }) => formatCount(cached) },
  { title: 'batches', cell: ({ batches }) => formatCount(batches) },
  {
    title: 'tokens in',
    cell: ({ tokens, uncountedRequests }) => withRest(formatCount(tokens.input), uncountedRequests),
  },
  { title: 'tokens out', cell: ({ tokens }, look) => rangeText(tokens.output, formatCount, look) },
  { title: 'live', cell: ({ liveCostUsd, unpriced }, look) => costText(liveCostUsd, unpriced.live, look) },
  { title: 'batch', cell: ({ batchCostUsd, unpriced }, look) => costText(batchCostUsd, unpriced.batch, look) },
  {
    title: 'saved',
    cell: ({ savedUsd, unpriced }, look) => costText(savedUsd, Math.max(unpriced.live, unpriced.batch), look),
  },
]

/** Calls that would go live are named one by one up to here. */
const MOST_NAMED = 10
const BETWEEN = '  '

/** What a dry run found. `columns`: how wide the screen is; a table that is wider is told group by group. */
export function renderDryRun(report: DryRunReport, look: Look, columns: number = Number.POSITIVE_INFINITY): string[] {
  const { totals } = report
  const head = `${paint('offpeak', 'strong', look)}  dry run: ${formatPlural(totals.requests, 'request', 'requests')} in ${formatPlural(totals.batches, 'batch', 'batches')}; nothing was sent`
  return [
    head,
    ...groupLines(report, look, columns),
    ...(totals.batches > 0 ? [moneyLine(totals, look)] : []),
    ...notes(report, look),
  ]
}

function groupLines({ groups, totals }: DryRunReport, look: Look, columns: number): string[] {
  if (groups.length === 0) return []
  const named = groups.map((group) => ({ names: NAMES.map((name) => printable(group[name])), sums: group }))
  const rows = groups.length > 1 ? [...named, { names: ['total', '', ''], sums: totals }] : named
  const cells = rows.map(({ names, sums }) => [...names, ...COLUMNS.map(({ cell }) => cell(sums, look))])
  const titles = [...NAMES, ...COLUMNS.map(({ title }) => title)]
  const widths = titles.map((title, column) =>
    Math.max(textWidth(title), ...cells.map((row) => textWidth(row[column] ?? ''))),
  )
  const width = widths.reduce((sum, each) => sum + each + BETWEEN.length, 0)
  if (width > columns) return rows.flatMap(({ names, sums }) => told(names, sums, look))
  // Names to the left, numbers to the right.
  const line = (row: readonly string[]): string =>
    BETWEEN +
    row.map((text, column) => (column < NAMES.length ? padEnd : padStart)(text, widths[column] ?? 0)).join(BETWEEN)
  return [paint(line(titles), 'quiet', look), ...cells.map(line)]
}

/** The same without a table. */
function told(names: readonly string[], sums: DryRunSums, look: Look): readonly string[] {
  const facts = COLUMNS.map(({ title, cell }) => `${title} ${cell(sums, look)}`)
  const lines = [facts.slice(0, 3), facts.slice(3, 5), facts.slice(5)].map((each) => `    ${each.join(', ')}`)
  return [`  ${names.filter((name) => name !== '').join(' ')}`, ...lines]
}

function moneyLine({ liveCostUsd, batchCostUsd, savedUsd, unpriced }: DryRunSums, look: Look): string {
  if (!batchCostUsd) return `  ${paint('what it costs in batches is unknown', 'note', look)}`
  const cost = `probably ${formatUsd(batchCostUsd.likely)} in batches`
  // Compared is only what has both prices.
  if (!liveCostUsd || !savedUsd || unpriced.live > unpriced.batch) return `  ${cost}`
  const live = batchCostUsd.likely + savedUsd.likely
  const percent = live > 0 ? ` (${Math.round((savedUsd.likely / live) * 100)} %)` : ''
  const saves = `${cost} instead of ${formatUsd(live)} live: saves ${formatUsd(savedUsd.likely)}${percent}`
  return `  ${paint(saves, 'good', look)}`
}

function notes({ totals, wouldPassThrough, prices, stoppedBy }: DryRunReport, look: Look): string[] {
  const { unpriced, uncountedRequests, joined } = totals
  const lines: string[] = []
  const note = (text: string): void => void lines.push(`  ${paint(printable(text), 'note', look)}`)
  if (stoppedBy !== undefined) note(`counted up to where it stopped: ${stoppedBy}`)
  if (joined > 0)
    note(
      `${formatPlural(joined, 'request is', 'requests are')} under way already, for an earlier run or another process`,
    )
  const withoutPrice = Math.max(unpriced.live, unpriced.batch)
  if (withoutPrice > 0) {
    const because = unpriced.because.join('; ')
    note(
      `${formatPlural(withoutPrice, 'request has', 'requests have')} no known price and ${withoutPrice === 1 ? 'is' : 'are'} in no such sum: ${because}`,
    )
  }
  if (uncountedRequests > 0) {
    note(
      `${formatPlural(uncountedRequests, 'request holds', 'requests hold')} something whose tokens cannot be counted from here`,
    )
  }
  for (const { provider, endpoint, reason, detail, requests } of wouldPassThrough.slice(0, MOST_NAMED)) {
    note(
      `${formatPlural(requests, 'call', 'calls')} to ${provider} ${endpoint} would go through at full price: ${reason}, ${detail}`,
    )
  }
  const unnamed = wouldPassThrough.slice(MOST_NAMED).reduce((sum, { requests }) => sum + requests, 0)
  if (unnamed > 0) note(`and ${formatPlural(unnamed, 'other call', 'other calls')}`)
  const age = `batch prices checked on ${prices.checked}, ${formatPlural(prices.ageDays, 'day', 'days')} ago`
  return [...lines, `  ${paint(age, 'quiet', look)}`]
}

/** `12–480`, `12` where both ends are the same, `from 12` where there is no upper one. */
function rangeText({ low, high }: DryRunRange, format: (value: number) => string, look: Look): string {
  if (high === undefined) return `from ${format(low)}`
  const [least, most] = [format(low), format(high)]
  return least === most ? least : `${least}${look.unicode ? '–' : '-'}${most}`
}

function costText(cost: DryRunRange | undefined, unpriced: number, look: Look): string {
  return cost ? withRest(rangeText(cost, formatUsd, look), unpriced) : unpriced > 0 ? 'unknown' : formatUsd(0)
}

/** Something comes on top. */
function withRest(text: string, rest: number): string {
  return rest > 0 ? `${text} +?` : text
}
