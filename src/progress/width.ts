import { stripVTControlCharacters } from 'node:util'

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
const ASCII = /^[\u0020-\u007e]*$/
// oxlint-disable-next-line no-control-regex -- finding them is the point
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
/** East Asian wide and fullwidth blocks, and emoji: what terminals give two columns. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u
const INVISIBLE = /^[\p{Mark}\p{Format}]+$/u

function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2
  return INVISIBLE.test(grapheme) ? 0 : 1
}

/** Columns a text takes on a terminal; styling takes none. */
export function textWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const { segment } of segments.segment(stripVTControlCharacters(text))) width += graphemeWidth(segment)
  return width
}

/** Names, ids and states come from outside: nothing in them may move the cursor or break the line. */
export function printable(text: string): string {
  return ASCII.test(text) ? text : stripVTControlCharacters(text).replaceAll(CONTROL, ' ')
}

/** At most so many columns of an unstyled text; what was cut is marked at the end. */
export function truncate(text: string, width: number, mark: string): string {
  if (textWidth(text) <= width) return text
  const room = width - textWidth(mark)
  if (room < 0) return ''
  let kept = ''
  let used = 0
  for (const { segment } of segments.segment(text)) {
    used += graphemeWidth(segment)
    if (used > room) break
    kept += segment
  }
  return kept + mark
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)))
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text
}
