import { EventEmitter } from 'node:events'
import { textWidth } from '../../../src/progress/width.ts'

// oxlint-disable-next-line no-control-regex -- finding them is the point
const TOKEN = /\u001b\[(\??)([\d;]*)([A-Za-z])|\n|\r|[^\u001b\n\r]/gu

/** A stream that keeps what a terminal of this size would show: enough of one for what a display writes to it. */
export class FakeScreen extends EventEmitter {
  isTTY = true
  columns: number
  rows: number
  /** Everything written, as it came. */
  raw = ''
  writes = 0
  /** Set to make every write fail. */
  broken: Error | undefined
  #rows: string[][] = [[]]
  #row = 0
  #column = 0
  #wraps = true
  cursorShown = true

  constructor(columns = 80, rows = 24) {
    super()
    this.columns = columns
    this.rows = rows
  }

  write(text: string, done?: (error?: Error | null) => void): boolean {
    const { broken } = this
    if (broken) {
      done?.(broken)
      // As a real stream does: the callback first, the event later.
      process.nextTick(() => this.emit('error', broken))
      return false
    }
    this.raw += text
    this.writes += 1
    for (const [token, isPrivate, argument, command] of text.matchAll(TOKEN)) {
      if (command === undefined) this.#put(token)
      else this.#obey(isPrivate === '?', argument ?? '', command)
    }
    done?.()
    return true
  }

  /** What can be read on it, without the empty rows at its end. */
  get lines(): string[] {
    const lines = this.#rows.map((cells) => cells.join('').trimEnd())
    while (lines.at(-1) === '') lines.pop()
    return lines
  }

  /** Changes the width as a terminal does that wraps the lines it has, and tells. */
  resize(columns: number): void {
    const wrapped: string[][] = []
    for (const [index, cells] of this.#rows.entries()) {
      if (index === this.#row) this.#row = wrapped.length
      const text = cells.join('').trimEnd()
      for (let start = 0; start === 0 || start < text.length; start += columns) {
        wrapped.push(text.slice(start, start + columns).split(''))
      }
    }
    this.#rows = wrapped
    this.columns = columns
    this.emit('resize')
  }

  #put(character: string): void {
    if (character === '\r') this.#column = 0
    else if (character === '\n') {
      this.#down()
      this.#column = 0
    } else {
      if (this.#column >= this.columns) {
        if (this.#wraps) {
          this.#down()
          this.#column = 0
        } else this.#column = this.columns - 1
      }
      const cells = this.#cells()
      while (cells.length < this.#column) cells.push(' ')
      cells[this.#column] = character
      this.#column += 1
      for (let spare = textWidth(character); spare > 1; spare -= 1) {
        cells[this.#column] = ''
        this.#column += 1
      }
    }
  }

  #down(): void {
    this.#row += 1
    this.#cells()
  }

  #cells(): string[] {
    for (;;) {
      const cells = this.#rows[this.#row]
      if (cells) return cells
      this.#rows.push([])
    }
  }

  #obey(isPrivate: boolean, argument: string, command: string): void {
    if (isPrivate) {
      if (argument === '25') this.cursorShown = command === 'h'
      if (argument === '7') this.#wraps = command === 'h'
      return
    }
    if (command === 'm') return
    if (command === 'A') this.#row = Math.max(0, this.#row - Number(argument || 1))
    else if (command === 'B') this.#row = Math.min(this.#rows.length - 1, this.#row + Number(argument || 1))
    else if (command === 'K' && argument === '2') this.#cells().length = 0
    else throw new Error(`the fake screen does not know ${argument}${command}`)
  }
}
