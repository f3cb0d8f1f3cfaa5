/**
 * A short text that a regular expression accepts; undefined where it asks for more than this can find. Knows what patterns of JSON schemas
 * are made of: literals, classes, groups, alternatives, counts. What comes out has been tried against the expression itself.
 */
export function patternInstance(pattern: string): string | undefined {
  try {
    const expression = new RegExp(pattern, 'u')
    const text = new Reader(pattern).alternatives()
    return expression.test(text) ? text : undefined
  } catch {
    // Not an expression, or not one that is understood here: whoever asked does without.
    return undefined
  }
}

const CLASSES: Readonly<Record<string, string>> = { d: '0', D: 'a', w: 'a', W: '-', s: ' ', S: 'a' }
const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', 0: '\0' }
/** Tried for a class that says what it does not hold. */
const CANDIDATES = ['a', '0', 'A', '-', '_', ' ', '.', '~']
/** A count as high as this is nobody's minimum in earnest. */
const MOST_REPEATS = 10_000

/** Reads an expression from left to right, and writes a text for it. */
class Reader {
  readonly #pattern: string
  #at = 0

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  /** The first alternative; the others are read past. */
  alternatives(): string {
    const first = this.#sequence()
    while (this.#take('|')) this.#sequence()
    return first
  }

  #sequence(): string {
    let text = ''
    while (this.#at < this.#pattern.length && !this.#sees('|') && !this.#sees(')')) {
      const piece = this.#piece()
      text += piece.repeat(this.#least())
    }
    return text
  }

  #piece(): string {
    if (this.#take('^') || this.#take('$') || this.#take('\\b')) return ''
    if (this.#take('(')) return this.#group()
    if (this.#take('[')) return this.#class()
    if (this.#take('.')) return 'a'
    return this.#take('\\') ? this.#escaped() : this.#next()
  }

  #group(): string {
    const isAhead = this.#take('?=') || this.#take('?!') || this.#take('?<=') || this.#take('?<!')
    if (!isAhead && !this.#take('?:') && this.#take('?<')) while (this.#next() !== '>');
    const text = this.alternatives()
    this.#expect(')')
    // What is looked for ahead is not part of the text; whether it is there is tried in the end.
    return isAhead ? '' : text
  }

  #class(): string {
    const start = this.#at - 1
    const isNegated = this.#take('^')
    let first: string | undefined
    while (!this.#take(']')) {
      const character = this.#take('\\') ? this.#escaped() : this.#next()
      first ??= character
    }
    if (!isNegated) return first ?? ''
    const expression = new RegExp(`^${this.#pattern.slice(start, this.#at)}$`, 'u')
    return CANDIDATES.find((candidate) => expression.test(candidate)) ?? ''
  }

  #escaped(): string {
    const letter = this.#next()
    if (letter === 'u' || letter === 'x') {
      const [, code = ''] = /^(?:\{([0-9a-f]+)\}|)/i.exec(this.#rest()) ?? []
      if (code !== '') return this.#skip(code.length + 2, String.fromCodePoint(Number.parseInt(code, 16)))
      const length = letter === 'u' ? 4 : 2
      return this.#skip(length, String.fromCodePoint(Number.parseInt(this.#rest().slice(0, length), 16)))
    }
    if (letter === 'p' || letter === 'P') {
      const [property = ''] = /^\{[^}]*\}/.exec(this.#rest()) ?? []
      const expression = new RegExp(`\\${letter}${property}`, 'u')
      return this.#skip(property.length, CANDIDATES.find((candidate) => expression.test(candidate)) ?? '')
    }
    return CLASSES[letter] ?? ESCAPES[letter] ?? letter
  }

  /** How often the piece before has to come. */
  #least(): number {
    const [written = '', count] = /^(?:[*+?]|\{(\d+)(?:,\d*)?\})\??/.exec(this.#rest()) ?? []
    this.#at += written.length
    if (written.startsWith('*') || written.startsWith('?')) return 0
    return Math.min(MOST_REPEATS, Number(count ?? 1))
  }

  #rest(): string {
    return this.#pattern.slice(this.#at)
  }

  #skip(length: number, text: string): string {
    this.#at += length
    return text
  }

  #next(): string {
    const code = this.#pattern.codePointAt(this.#at)
    if (code === undefined) throw new SyntaxError('the expression ends too early')
    const character = String.fromCodePoint(code)
    this.#at += character.length
    return character
  }

  #sees(text: string): boolean {
    return this.#pattern.startsWith(text, this.#at)
  }

  #take(text: string): boolean {
    if (!this.#sees(text)) return false
    this.#at += text.length
    return true
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new SyntaxError(`the expression lacks a ${text}`)
  }
}
