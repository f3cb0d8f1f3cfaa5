import { FakeScreen } from '../../unit/progress/fake-screen.ts'
import type { TerminalSize } from './open-terminal.ts'

const FRAME_ENDS = '\u001b[?2026l'

/** What somebody in front of a terminal has seen. */
export interface Seen {
  /** What the screen showed, frame by frame. */
  readonly frames: readonly (readonly string[])[]
  /** What is left on it. */
  readonly lines: readonly string[]
  readonly cursorShown: boolean
}

export function lookAtScreen(output: string, { columns, rows }: TerminalSize): Seen {
  const screen = new FakeScreen(columns, rows)
  const frames = output.split(FRAME_ENDS).map((part, index, { length }) => {
    screen.write(index === length - 1 ? part : part + FRAME_ENDS)
    return screen.lines
  })
  return { frames, lines: screen.lines, cursorShown: screen.cursorShown }
}
