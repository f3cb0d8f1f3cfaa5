import type { Clock } from '../core/clock.ts'
import { createOutput, type OutputStream } from './output.ts'
import { textWidth } from './width.ts'
import { type CursorAfter, hookWrite } from './write-hook.ts'

const FRAME_MS = 100
const TICK_MS = 1000
const FALLBACK_COLUMNS = 80
const FALLBACK_ROWS = 24

/** Frames are shown whole by terminals that know how; the cursor is back before a write ends, so that no way of dying loses it. */
const BEGIN = '\u001b[?2026h\u001b[?25l'
const END = '\u001b[?25h\u001b[?2026l'
const WRAP_OFF = '\u001b[?7l'
const WRAP_ON = '\u001b[?7h'
/**
 * Rows are erased one by one: erasing the screen below makes some terminals keep a copy in their scrollback, and a row that was
 * wrapped once is only forgotten as such when it is erased whole.
 */
const ERASE_ROW = '\u001b[2K'
const DOWN = '\u001b[1B'

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** One display's part of the live block. */
export type Section = (size: TerminalSize) => readonly string[]

/** A live block at the bottom of a terminal, shared by everyone who writes one to the same stream. */
export interface Terminal {
  /** Adds a part to the block; returns the undo, which may leave lines behind for good. */
  show(section: Section): (lastWords?: readonly string[]) => void
  /** Something changed: draw soon, and at most ten times a second. */
  touch(): void
  /** Prints lines above the block, for good. */
  print(lines: readonly string[]): void
}

const terminals = new WeakMap<OutputStream, Terminal>()

/**
 * `beside`: further streams that end on the same screen, usually stdout. While the block is up, whatever the program writes to any of
 * them goes above it; their `write` is their own again when the last section has left.
 */
export function terminalFor(stream: OutputStream, clock: Clock, beside: readonly OutputStream[] = []): Terminal {
  let terminal = terminals.get(stream)
  if (!terminal) {
    terminal = createTerminal(stream, clock, beside)
    terminals.set(stream, terminal)
  }
  return terminal
}

function createTerminal(stream: OutputStream, clock: Clock, beside: readonly OutputStream[]): Terminal {
  const sections = new Set<Section>()
  let session: Session | undefined

  return {
    show(section) {
      sections.add(section)
      session ??= openSession(stream, clock, beside, sections)
      session.touch()
      return (lastWords = []) => {
        if (!sections.delete(section)) return
        if (lastWords.length > 0) session?.print(lastWords)
        if (sections.size > 0) return
        session?.close()
        session = undefined
      }
    },
    touch() {
      session?.touch()
    },
    print(lines) {
      session?.print(lines)
    },
  }
}

interface Session {
  touch(): void
  print(lines: readonly string[]): void
  close(): void
}

/** From the first section to the last. */
function openSession(
  stream: OutputStream,
  clock: Clock,
  beside: readonly OutputStream[],
  sections: ReadonlySet<Section>,
): Session {
  /** The lines on the screen; the cursor is at the start of the line below them. */
  let drawn: readonly string[] = []
  let drawnAt = clock.now()
  let soon = false
  let cancelTimer: (() => void) | undefined
  /** The program left the cursor in the middle of a line (a prompt, dots): the block stays away until that line ends. */
  let midLine = false

  const originalWrite = stream.write.bind(stream)
  const output = createOutput(stream, originalWrite)
  const undoHooks = [stream, ...beside].map((each) => hookWrite(each, makeWay))
  stream.on?.('resize', redraw)

  function size(): TerminalSize {
    // Some pseudo-terminals say 0.
    return { columns: stream.columns || FALLBACK_COLUMNS, rows: stream.rows || FALLBACK_ROWS }
  }

  /** Rows the block takes. Lines drawn wider than the terminal is now have been wrapped by it. */
  function rowsDrawn(): number {
    const { columns } = size()
    return drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(textWidth(line) / columns)), 0)
  }

  /** Leaves the cursor where the block began. Without a block nothing is erased: the row is the program's. */
  function eraseBlock(): string {
    const rows = rowsDrawn()
    if (rows === 0) return ''
    return `${upBy(rows)}${(ERASE_ROW + DOWN).repeat(rows)}${ERASE_ROW}${upBy(rows)}`
  }

  /** The program is about to write to this screen. */
  function makeWay(cursor: CursorAfter): void {
    const erased = eraseBlock()
    if (erased !== '') output.write(erased)
    drawn = []
    if (cursor !== undefined) midLine = cursor === 'mid-line'
    touch()
  }

  function blockLines(): readonly string[] {
    if (midLine) return []
    const { columns, rows } = size()
    // The last column stays empty, because some terminals wrap as soon as it is written; so does the last row, for the cursor.
    const height = Math.max(1, rows - 1)
    const share = {
      columns: Math.max(1, columns - 1),
      rows: Math.max(1, Math.floor(height / Math.max(1, sections.size))),
    }
    return [...sections].flatMap((section) => section(share)).slice(0, height)
  }

  function write(above: readonly string[], block: readonly string[]): void {
    const rows = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')
    output.write(BEGIN + eraseBlock() + rows(above) + WRAP_OFF + rows(block) + WRAP_ON + END)
    drawn = block
  }

  /** The same number of lines: only those that changed are written. */
  function update(block: readonly string[]): void {
    const rows = block.map((line, index) => (line === drawn[index] ? '\n' : `${ERASE_ROW}${line}\n`)).join('')
    output.write(BEGIN + upBy(drawn.length) + WRAP_OFF + rows + WRAP_ON + END)
    drawn = block
  }

  function schedule(ms: number): void {
    cancelTimer?.()
    cancelTimer = output.alive ? clock.after(ms, draw) : undefined
  }

  function draw(): void {
    soon = false
    drawnAt = clock.now()
    const block = blockLines()
    if (block.length !== drawn.length) write([], block)
    else if (block.some((line, index) => line !== drawn[index])) update(block)
    schedule(TICK_MS)
  }

  /** The terminal has wrapped and moved lines: none is where it was. */
  function redraw(): void {
    if (drawn.length > 0) write([], blockLines())
  }

  function touch(): void {
    if (soon) return
    soon = true
    schedule(Math.max(0, drawnAt + FRAME_MS - clock.now()))
  }

  return {
    touch,
    print(lines) {
      if (midLine) output.write('\n')
      midLine = false
      write(lines, blockLines())
    },
    close() {
      cancelTimer?.()
      for (const undo of undoHooks.toReversed()) undo()
      stream.off?.('resize', redraw)
      const erased = eraseBlock()
      if (erased !== '') output.write(erased)
      output.close()
    },
  }
}

function upBy(rows: number): string {
  return rows > 0 ? `\r\u001b[${rows}A` : '\r'
}
