import type { Clock } from '../core/clock.ts'
import type { OffpeakEvent } from '../core/events.ts'
import type { Cost, Report } from '../core/report.ts'
import { chooseLook, chooseMode, type DisplayMode, type Environment } from './display-mode.ts'
import { createOutput, type OutputStream } from './output.ts'
import { createLog } from './plain.ts'
import { renderBlock } from './render.ts'
import { createProgress, type Progress, reduce, toSnapshot } from './snapshot.ts'
import { type Look, paint } from './style.ts'
import { renderSummary } from './summary.ts'
import { terminalFor, type TerminalSize } from './terminal.ts'
import { openTroubles } from './troubles.ts'
import { warningOf } from './warnings.ts'
import { printable } from './width.ts'

export interface DisplayOptions {
  readonly mode: DisplayMode
  /** Everything goes here, and nowhere else. */
  readonly stream: OutputStream
  readonly env: Environment
  readonly clock: Clock
  /** Other streams that may end on the same screen, usually stdout: what is written to them goes above the live block. */
  readonly beside?: readonly OutputStream[]
  /** Somebody else's reducer to look at. Without it the display keeps its own. */
  readonly progress?: Progress
  /** What has been answered so far cost and saved. */
  readonly cost?: () => Cost
  /** Commands that show more, for the end. */
  readonly more?: () => readonly string[]
}

/** Shows one scope. Never throws, whatever becomes of its stream. */
export interface Display {
  handle(event: OffpeakEvent): void
  /** Says something at once and for good. */
  warn(text: string): void
  /** Ends the display; with a report, its summary stays. May be called twice. */
  close(report?: Report): void
}

/** The last step of a display: puts lines where they belong. */
interface Surface {
  handle(event: OffpeakEvent): void
  print(lines: readonly string[]): void
  close(lastWords: readonly string[]): void
}

const NO_COST = (): Cost => ({ unpricedRequests: 0 })
const SILENCE: Display = { handle() {}, warn() {}, close() {} }

/** A live block, log lines or nothing. */
export function createDisplay(options: DisplayOptions): Display {
  const { stream, env, clock } = options
  const mode = chooseMode(options.mode, stream, env)
  if (mode === 'off') return SILENCE

  const look = chooseLook(stream, env)
  const ownsProgress = options.progress === undefined
  const progress = options.progress ?? createProgress(clock.now())
  const surface = mode === 'live' ? liveSurface(options, progress, look) : logSurface(options, progress, look)
  const warned = new Set<string>()
  let closed = false

  function warn(text: string): void {
    if (closed) return
    const lines = text.split('\n').map(printable)
    surface.print(lines.map((line) => `${paint('offpeak', 'strong', look)}  ${paint(line, 'note', look)}`))
  }

  return {
    handle(event) {
      if (closed) return
      if (ownsProgress) reduce(progress, event)
      const warning = warningOf(event)
      if (warning && !warned.has(warning.key) && warned.size < MAX_WARNINGS) {
        warned.add(warning.key)
        warn(warning.text)
      }
      surface.handle(event)
    },
    warn,
    close(report) {
      if (closed) return
      closed = true
      const elapsedMs = clock.now() - progress.startedAt
      const extras = { elapsedMs, passedThrough: progress.passedThrough, more: options.more?.() ?? [] }
      surface.close(report && report.requests.total > 0 ? renderSummary(report, extras, look) : [])
    },
  }
}

/** Reasons come from outside, and a run has days to collect them. */
const MAX_WARNINGS = 30

function liveSurface(options: DisplayOptions, progress: Progress, look: Look): Surface {
  const { clock, cost = NO_COST } = options
  const terminal = terminalFor(
    options.stream,
    clock,
    options.beside?.filter((each) => each.isTTY === true),
  )

  const leave = terminal.show(({ columns, rows }: TerminalSize) => {
    const now = clock.now()
    const snapshot = toSnapshot(progress, now)
    if (snapshot.requests.total === 0 && snapshot.batches.length === 0) return []
    const extras = { cost: cost(), troubles: openTroubles(progress.troubles, now), now }
    return renderBlock(snapshot, extras, { ...look, width: columns, height: rows })
  })

  return { handle: () => terminal.touch(), print: (lines) => terminal.print(lines), close: leave }
}

function logSurface(options: DisplayOptions, progress: Progress, look: Look): Surface {
  const { stream, clock, cost = NO_COST } = options
  const output = createOutput(stream)
  const log = createLog(output, clock, look, { snapshot: () => toSnapshot(progress, clock.now()), cost })

  return {
    handle: (event) => log.handle(event),
    print: (lines) => log.print(lines),
    close(lastWords) {
      if (lastWords.length > 0) log.print(lastWords)
      log.close()
      output.close()
    },
  }
}
