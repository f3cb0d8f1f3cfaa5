import type { Report } from '../core/report.ts'
import type { PassReason } from '../core/request.ts'
import { formatCount, formatDuration, formatPlural, formatUsd } from './format.ts'
import { glyphs, type Look, paint } from './style.ts'
import { printable } from './width.ts'

export interface SummaryExtras {
  readonly elapsedMs: number
  readonly passedThrough: ReadonlyMap<PassReason, number>
  /** Commands that show more. */
  readonly more: readonly string[]
}

const MAX_FAILURES = 5

/** The last words of a scope: what was asked, what came of it, what it cost. Fits a screen. */
export function renderSummary(report: Report, extras: SummaryExtras, look: Look): string[] {
  const glyph = glyphs(look)
  const { requests } = report
  const batched = requests.total - requests.passedThrough
  const pending = requests.queued + requests.running
  const outcomes = [
    part(requests.completed, 'answered'),
    requests.failed > 0 ? paint(`${formatCount(requests.failed)} failed`, 'bad', look) : '',
    part(requests.cached, 'from the store'),
    pending > 0 ? paint(`${formatCount(pending)} not settled`, 'note', look) : '',
  ].filter((text) => text !== '')
  const lines = [
    `${paint('offpeak', 'strong', look)}  ${formatPlural(batched, 'request', 'requests')} in ${tookText(extras.elapsedMs)}${outcomes.length > 0 ? `: ${outcomes.join(', ')}` : ''}`,
  ]
  const work = workText(report)
  if (work !== '') lines.push(`  ${paint(work, 'quiet', look)}`)
  const money = moneyText(report)
  if (money !== '') lines.push(`  ${paint(money, report.savedUsd === undefined ? 'quiet' : 'good', look)}`)
  if (report.unpricedRequests > 0) {
    const text = `${formatPlural(report.unpricedRequests, 'answer has', 'answers have')} no known price and ${report.unpricedRequests === 1 ? 'is' : 'are'} in no sum`
    lines.push(`  ${paint(text, 'note', look)}`)
  }
  for (const failure of report.failures.slice(0, MAX_FAILURES)) {
    const what = paint(`${formatCount(failure.count)} ${glyph.times} ${printable(failure.reason)}`, 'bad', look)
    lines.push(`  ${what}${paint(`, for example ${printable(failure.example)}`, 'quiet', look)}`)
  }
  const unnamed = report.failures.length - MAX_FAILURES
  if (unnamed > 0)
    lines.push(`  ${paint(`and ${formatPlural(unnamed, 'other reason', 'other reasons')}`, 'quiet', look)}`)
  if (extras.passedThrough.size > 0) lines.push(`  ${paint(passedText(extras.passedThrough), 'note', look)}`)
  // A run answered from the store has nothing more to show.
  if (extras.more.length > 0 && (report.batches > 0 || requests.failed > 0)) {
    lines.push(`  ${paint(`more: ${extras.more.join(glyph.separator)}`, 'quiet', look)}`)
  }
  return lines
}

/** A run answered from the store takes no seconds, but it takes some time. */
function tookText(ms: number): string {
  return ms < 1000 ? `${Math.max(0, Math.round(ms))}ms` : formatDuration(ms)
}

function part(count: number, text: string): string {
  return count > 0 ? `${formatCount(count)} ${text}` : ''
}

function workText({ batches, tokens }: Report): string {
  const parts = [
    batches > 0 ? formatPlural(batches, 'batch', 'batches') : '',
    tokens.input + tokens.output > 0 ? `${formatCount(tokens.input)} tokens in, ${formatCount(tokens.output)} out` : '',
  ]
  return parts.filter((text) => text !== '').join(', ')
}

function moneyText({ costUsd, liveCostUsd, savedUsd }: Report): string {
  if (costUsd === undefined) return ''
  if (liveCostUsd === undefined || savedUsd === undefined) return `cost ${formatUsd(costUsd)}`
  const percent = liveCostUsd > 0 ? ` (${Math.round((savedUsd / liveCostUsd) * 100)} %)` : ''
  return `cost ${formatUsd(costUsd)} instead of ${formatUsd(liveCostUsd)}: saved ${formatUsd(savedUsd)}${percent}`
}

function passedText(passedThrough: ReadonlyMap<PassReason, number>): string {
  const total = [...passedThrough.values()].reduce((sum, count) => sum + count, 0)
  const reasons = [...passedThrough].map(([reason, count]) => `${formatCount(count)} ${reason}`)
  return `${formatPlural(total, 'call', 'calls')} went through at full price: ${reasons.join(', ')}`
}
