const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/**
 * The text of one member of a JSON text, exactly as written: `memberText('{"a":{"b": 1.0}}', ['a', 'b'])` is `'1.0'`.
 * The text must already be known to be valid JSON. undefined when there is no such member; of duplicates the last one counts, as for JSON.parse.
 */
export function memberText(text: string, path: readonly string[]): string | undefined {
  const span = findPath(text, path)
  return span && text.slice(span.start, span.end)
}

/**
 * The same text with one member, name and value, in place of another; not a byte beside it changes. undefined when there is no such member;
 * of duplicates the last one is replaced.
 */
export function replaceMember(
  text: string,
  path: readonly string[],
  by: { readonly name: string; readonly value: string },
): string | undefined {
  const span = findPath(text, path)
  return span && `${text.slice(0, span.nameStart)}${JSON.stringify(by.name)}:${by.value}${text.slice(span.end)}`
}

/** The texts of the elements of a JSON array, exactly as written; none when it is not an array. The text must already be known to be valid JSON. */
export function elementTexts(text: string): string[] {
  const elements: string[] = []
  let position = skipSpace(text, 0)
  if (text.charCodeAt(position) !== OPEN_BRACKET) return elements
  position = skipSpace(text, position + 1)
  while (position < text.length && text.charCodeAt(position) !== CLOSE_BRACKET) {
    const end = skipValue(text, position)
    elements.push(text.slice(position, end))
    position = skipSpace(text, end)
    if (text.charCodeAt(position) !== COMMA) break
    position = skipSpace(text, position + 1)
  }
  return elements
}

/** Where a member stands: its name from `nameStart` on, its value from `start` to `end`. */
interface Span {
  readonly nameStart: number
  readonly start: number
  readonly end: number
}

function findPath(text: string, path: readonly string[]): Span | undefined {
  const outside = skipSpace(text, 0)
  let span: Span | undefined = { nameStart: outside, start: outside, end: text.length }
  for (const name of path) {
    span = findMember(text, span.start, name)
    if (!span) return undefined
  }
  return span
}

/** A member of the object that begins at `at`. */
function findMember(text: string, at: number, name: string): Span | undefined {
  if (text.charCodeAt(at) !== OPEN_BRACE) return undefined
  let found: Span | undefined
  let position = skipSpace(text, at + 1)
  while (text.charCodeAt(position) === QUOTE) {
    const nameStart = position
    const keyEnd = skipString(text, position)
    const isIt = sameKey(text, position, keyEnd, name)
    position = skipSpace(text, keyEnd)
    if (text.charCodeAt(position) !== COLON) return found
    const start = skipSpace(text, position + 1)
    const end = skipValue(text, start)
    if (isIt) found = { nameStart, start, end }
    position = skipSpace(text, end)
    if (text.charCodeAt(position) !== COMMA) return found
    position = skipSpace(text, position + 1)
  }
  return found
}

function sameKey(text: string, start: number, end: number, name: string): boolean {
  const written = text.slice(start + 1, end - 1)
  return written === name || (written.includes('\\') && JSON.parse(text.slice(start, end)) === name)
}

function skipSpace(text: string, at: number): number {
  let position = at
  // Space, tab, line feed and carriage return are all of JSON's white space, and nothing else at or below 32 is left outside strings.
  while (text.charCodeAt(position) <= 32) position += 1
  return position
}

/** `at` is on the opening quote; returns the position after the closing one. */
function skipString(text: string, at: number): number {
  let close = text.indexOf('"', at + 1)
  while (close !== -1) {
    let backslashes = 0
    while (text.charCodeAt(close - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return close + 1
    close = text.indexOf('"', close + 1)
  }
  return text.length
}

function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at)
  if (first === QUOTE) return skipString(text, at)
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(text, at)
  let position = at
  while (position < text.length) {
    const code = text.charCodeAt(position)
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 32) break
    position += 1
  }
  return position
}

function skipNested(text: string, at: number): number {
  let depth = 0
  let position = at
  while (position < text.length) {
    const code = text.charCodeAt(position)
    if (code === QUOTE) {
      position = skipString(text, position)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    position += 1
    if (depth === 0) break
  }
  return position
}

/**
 * A JSON text made fit for one line of JSONL without touching its meaning. A raw line break in valid JSON is white space;
 * U+0085, U+2028 and U+2029 are legal inside strings, but some line splitters break there.
 */
export function oneLine(json: string): string {
  return /[\r\n\u0085\u2028\u2029]/.test(json)
    ? json
        .replace(/[\r\n]/g, ' ')
        .replace(/[\u0085\u2028\u2029]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json
}
