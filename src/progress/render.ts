import type { Cost } from '../core/report.ts'
import type { BatchSnapshot, RequestCounts, Snapshot, TimeLeft } from '../core/snapshot.ts'
import { fitLine, fitPieces, lineWidth, type Piece } from './fit.ts'
import { formatCount, formatDuration, formatPlural, formatTimeLeft, formatTimeOfDay } from './format.ts'
import { savedText } from './money.ts'
import { type Glyphs, glyphs, type Look, paint } from './style.ts'
import { isBusy, NO_ROOM, type Trouble } from './troubles.ts'
import { padEnd, padStart, printable, textWidth, truncate } from './width.ts'

/** What the block shows beside the snapshot. */
export interface Extras {
  /** Of what has been answered so far. */
  readonly cost: Cost
  readonly troubles: readonly Trouble[]
  readonly now: number
}

export interface Frame extends Look {
  readonly width: number
  /** Lines the block may have. */
  readonly height: number
}

/** So many batches get a line of their own; the rest is summed. */
const MAX_BATCHES = 8
const MAX_TROUBLES = 3
const MAX_BAR = 30
const MIN_BAR = 6
const BATCH_BAR = 16
/** The rank of the word that is left of the bar. */
const HEADING = 4

/** The live block: no line is wider than the frame, and there are no more of them than it has room for. */
export function renderBlock(snapshot: Snapshot, extras: Extras, frame: Frame): string[] {
  const head = [totalsLine(snapshot, extras, frame), countsLine(snapshot, frame)]
  const notes = extras.troubles.slice(0, MAX_TROUBLES).map((trouble) => troubleLine(trouble, extras.now, frame))
  const room = Math.max(0, frame.height - head.length - notes.length)
  return [...head, ...batchLines(snapshot.batches, room, frame), ...notes].slice(0, Math.max(1, frame.height))
}

/** Requests we are waiting for or have the answer of. */
function batchedTotal(requests: RequestCounts): number {
  return requests.total - requests.passedThrough
}

function settledCount(requests: RequestCounts): number {
  return requests.cached + requests.completed + requests.failed
}

function totalsLine(snapshot: Snapshot, extras: Extras, frame: Frame): string {
  const { requests } = snapshot
  const total = batchedTotal(requests)
  const settled = settledCount(requests)
  const gap = '  '
  const room = frame.width - MIN_BAR - gap.length
  const pieces = (length: 'long' | 'short'): Piece[] => {
    const all: Piece[] = [
      { text: 'offpeak', tone: 'strong', rank: HEADING },
      { text: `${formatCount(settled)}/${formatCount(total)}`, tone: 'plain', rank: 0 },
      { text: formatDuration(snapshot.elapsedMs), tone: 'quiet', rank: 2 },
      { text: snapshot.left ? formatTimeLeft(snapshot.left, glyphs(frame).to) : '', tone: 'quiet', rank: 1 },
      { text: savedText(extras.cost, length), tone: extras.cost.savedUsd === undefined ? 'note' : 'good', rank: 3 },
    ]
    return all.filter((piece) => piece.text !== '')
  }
  const long = pieces('long')
  const kept = lineWidth(long, gap) <= room ? long : fitPieces(pieces('short'), gap, room)
  const barWidth = Math.min(MAX_BAR, frame.width - lineWidth(kept, gap) - gap.length)
  const before = kept.filter((piece) => piece.rank === HEADING)
  const after = kept.filter((piece) => piece.rank !== HEADING)
  const options = { separator: gap, look: frame, ellipsis: glyphs(frame).ellipsis }
  if (barWidth < MIN_BAR) return fitLine(kept, { ...options, width: frame.width })
  return [
    ...before.map((piece) => paint(piece.text, piece.tone, frame)),
    bar(settled, total, barWidth, frame),
    fitLine(after, { ...options, width: frame.width }),
  ].join(gap)
}

function countsLine({ requests, batches }: Snapshot, frame: Frame): string {
  const glyph = glyphs(frame)
  const open = batches.filter((batch) => !batch.ended).length
  const some = (count: number, text: string): string => (count > 0 ? `${formatCount(count)} ${text}` : '')
  const pieces = (where: string): Piece[] => {
    const all: Piece[] = [
      { text: some(requests.queued, 'queued'), tone: 'plain', rank: 2 },
      { text: some(requests.running, `running${where}`), tone: 'plain', rank: 1 },
      { text: some(requests.completed, 'done'), tone: 'plain', rank: 1 },
      { text: some(requests.failed, 'failed'), tone: 'bad', rank: 0 },
      { text: some(requests.cached, 'from the store'), tone: 'quiet', rank: 3 },
      { text: some(requests.passedThrough, 'at full price'), tone: 'note', rank: 2 },
    ]
    return all.filter((piece) => piece.text !== '')
  }
  const margin = marginOf(frame)
  const width = frame.width - margin.length
  const long = pieces(open > 0 ? ` in ${formatPlural(open, 'batch', 'batches')}` : '')
  if (long.length === 0) return indent('nothing yet', 'quiet', frame)
  const chosen = lineWidth(long, glyph.separator) <= width ? long : pieces('')
  return margin + fitLine(chosen, { separator: glyph.separator, look: frame, ellipsis: glyph.ellipsis, width })
}

function indent(text: string, tone: Piece['tone'], frame: Frame): string {
  const margin = marginOf(frame)
  return margin + paint(truncate(text, frame.width - margin.length, glyphs(frame).ellipsis), tone, frame)
}

/** Below the heading everything stands in by two, where there is room to spare. */
function marginOf(frame: Frame): string {
  return frame.width < 16 ? '' : '  '
}

function bar(done: number, total: number, width: number, look: Look): string {
  const glyph: Glyphs = glyphs(look)
  const share = total > 0 ? Math.min(1, done / total) : 0
  // Rounded down: a full bar means that everything is done.
  const full = Math.floor(share * width)
  return paint(glyph.full.repeat(full), 'good', look) + paint(glyph.empty.repeat(width - full), 'quiet', look)
}

/** One row of the table of batches, as plain text. */
interface Row {
  readonly name: string
  readonly done: number
  readonly total: number
  readonly countsKnown: boolean
  readonly counts: string
  readonly age: string
  readonly state: string
  readonly failed: number
  readonly remark: string
  readonly left: TimeLeft | undefined
}

function batchLines(batches: readonly BatchSnapshot[], room: number, frame: Frame): string[] {
  const open = batches.filter((batch) => !batch.ended)
  const most = Math.min(MAX_BATCHES, room)
  if (most === 0 || open.length === 0) return []
  const shown = open.length <= most ? open : open.slice(0, most - 1)
  const rows = shown.map(batchRow)
  if (shown.length < open.length) rows.push(restRow(open.slice(shown.length)))
  return table(rows, frame)
}

/** Words that say no more than the bar does. */
const ORDINARY = new Set(['in progress', 'running'])
/** There is nothing to count yet. Later on some providers count nothing before the end: no bar, and the reader is told why. */
const WITHOUT_COUNTS = new Set(['submitting', 'submitted', 'validating'])

function batchRow(batch: BatchSnapshot): Row {
  const endpoint = batch.endpoint.replace(/^\/?(v\d+\/)?/, '')
  const done = batch.completed + batch.failed
  const state = printable(batch.state.replaceAll('_', ' '))
  return {
    name: printable(`${batch.model} ${endpoint}`),
    done,
    total: batch.total,
    countsKnown: batch.countsKnown,
    counts: batch.countsKnown ? `${formatCount(done)}/${formatCount(batch.total)}` : formatCount(batch.total),
    age: formatDuration(batch.ageMs),
    state,
    failed: batch.failed,
    remark: batch.countsKnown ? (ORDINARY.has(state) ? '' : state) : WITHOUT_COUNTS.has(state) ? '' : 'no counts yet',
    left: batch.left,
  }
}

function restRow(rest: readonly BatchSnapshot[]): Row {
  const sum = (pick: (batch: BatchSnapshot) => number): number => rest.reduce((total, batch) => total + pick(batch), 0)
  const failed = sum((batch) => batch.failed)
  const done = sum((batch) => batch.completed) + failed
  const total = sum((batch) => batch.total)
  const countsKnown = rest.every((batch) => batch.countsKnown)
  return {
    name: formatPlural(rest.length, 'more batch', 'more batches'),
    done,
    total,
    countsKnown,
    counts: countsKnown ? `${formatCount(done)}/${formatCount(total)}` : formatCount(total),
    age: '',
    state: 'running',
    failed,
    remark: '',
    left: undefined,
  }
}

/**
 * Columns are as wide as their widest cell. A narrow frame loses the remarks, then the middle column (a bar, or the state where
 * there is no count to draw one from), then the age; the name is cut last.
 */
function table(rows: readonly Row[], frame: Frame): string[] {
  const glyph = glyphs(frame)
  const widest = (pick: (row: Row) => string): number => Math.max(...rows.map((row) => textWidth(pick(row))))
  const counts = widest((row) => row.counts)
  const age = widest((row) => row.age)
  const wanted = widest((row) => row.name)
  const gap = 2
  const margin = marginOf(frame)
  const left = frame.width - margin.length - counts
  const least = Math.max(0, Math.min(wanted, 12, left - gap))
  const ageRoom = age > 0 && left - gap - least >= gap + age ? gap + age : 0
  const barRoom = left - gap - least - ageRoom >= gap + MIN_BAR ? gap + MIN_BAR : 0
  const spare = Math.max(0, left - gap - least - ageRoom - barRoom)
  const name = Math.min(wanted, least + spare)
  const barWidth = barRoom === 0 ? 0 : Math.min(BATCH_BAR, MIN_BAR + spare - (name - least))
  const remarkRoom = left - gap - name - ageRoom - (barWidth === 0 ? 0 : gap + barWidth) - gap

  return rows.map((row) => {
    if (name < 1) return indent(row.counts, 'plain', frame)
    let line = `${margin}${padEnd(truncate(row.name, name, glyph.ellipsis), name)}`
    if (barWidth > 0) line += `  ${middle(row, barWidth, frame)}`
    line += `  ${padStart(row.counts, counts)}`
    if (ageRoom > 0) line += paint(`  ${padStart(row.age, age)}`, 'quiet', frame)
    return (line + remarks(row, remarkRoom, frame)).trimEnd()
  })
}

function middle(row: Row, width: number, frame: Frame): string {
  if (row.countsKnown) return bar(row.done, row.total, width, frame)
  return paint(padEnd(truncate(row.state, width, glyphs(frame).ellipsis), width), 'quiet', frame)
}

function remarks(row: Row, room: number, frame: Frame): string {
  const pieces: Piece[] = [
    { text: row.failed > 0 ? `${formatCount(row.failed)} failed` : '', tone: 'bad', rank: 1 },
    { text: row.remark, tone: 'quiet', rank: 3 },
    { text: row.left ? formatTimeLeft(row.left, glyphs(frame).to) : '', tone: 'quiet', rank: 2 },
  ]
  const kept = fitPieces(pieces, '  ', room).filter((piece) => textWidth(piece.text) <= room)
  return kept.map((piece) => `  ${paint(piece.text, piece.tone, frame)}`).join('')
}

/** In words, without anything of the frame: the log says the same. */
export function troubleText(trouble: Omit<Trouble, 'until'>, now: number): string {
  const { retryAt } = trouble
  const provider = printable(trouble.provider)
  const next = retryAt !== undefined && retryAt > now ? `, next try in ${formatDuration(retryAt - now + 999)}` : ''
  const since = formatTimeOfDay(trouble.since)
  if (trouble.doing === NO_ROOM) return `${provider} has had no room for more since ${since}; the rest waits here`
  if (isBusy(trouble.reason)) return `${provider} has asked us to slow down since ${since}${next}`
  return `${provider} unreachable since ${since}${next}`
}

function troubleLine(trouble: Trouble, now: number, frame: Frame): string {
  return indent(`${glyphs(frame).warning} ${troubleText(trouble, now)}`, 'note', frame)
}
