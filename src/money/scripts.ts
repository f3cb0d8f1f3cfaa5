/*
 * Kinds of characters, and how many tokens their runs come to. Fitted 2026-11 to the `o200k_base` encoding (the `gpt-tokenizer` package,
 * 4.0.0) over prose in twenty-one languages, code and JSON. Other vocabularies differ by a factor that real answers teach (`calibration.ts`).
 */

export const SPACE = 0
export const NEWLINE = 1
export const LOWER = 2
export const UPPER = 3
/** Latin letters with a mark that western European languages use. */
export const WESTERN = 4
/** Further Latin letters: Slavic, Baltic, Turkish, Vietnamese. */
export const EXTENDED = 5
export const DIGIT = 6
export const PUNCTUATION = 7
/** Everything from here on is counted by its row of `RUNS`. */
export const FIRST_RUN = 8

/** Tokens of a run: `each` for the run, and `further` for every character past the first `within`. */
interface Run {
  readonly from: readonly (readonly [first: number, last: number])[]
  readonly each: number
  readonly within: number
  readonly further: number
}

const CYRILLIC: Run = { from: [[0x400, 0x52f]], each: 1.1, within: 4, further: 0.235 }
const GREEK: Run = {
  from: [
    [0x370, 0x3ff],
    [0x1f00, 0x1fff],
  ],
  each: 1.2,
  within: 3,
  further: 0.43,
}
const HEBREW: Run = { from: [[0x590, 0x5ff]], each: 1.26, within: 2, further: 0.32 }
const ARABIC: Run = {
  from: [
    [0x600, 0x6ff],
    [0x750, 0x77f],
    [0x8a0, 0x8ff],
    [0xfb50, 0xfdff],
    [0xfe70, 0xfefe],
  ],
  each: 1.2,
  within: 3,
  further: 0.31,
}
/** Devanagari and its relatives. */
const INDIC: Run = { from: [[0x900, 0xdff]], each: 1.2, within: 3, further: 0.32 }
/** Thai and its neighbours: no spaces between words. */
const THAI: Run = {
  from: [
    [0xe00, 0xeff],
    [0x1000, 0x109f],
    [0x1780, 0x17ff],
  ],
  each: 1.3,
  within: 2,
  further: 0.44,
}
const HANGUL: Run = {
  from: [
    [0x1100, 0x11ff],
    [0xac00, 0xd7a3],
  ],
  each: 1.3,
  within: 1,
  further: 0.46,
}
const HAN: Run = {
  from: [
    [0x3400, 0x9fff],
    [0xf900, 0xfaff],
  ],
  each: 0,
  within: 0,
  further: 0.83,
}
const KANA: Run = { from: [[0x3040, 0x30ff]], each: 0, within: 0, further: 0.74 }
/** Full-width punctuation and forms. */
const WIDE: Run = {
  from: [
    [0x3000, 0x303f],
    [0xff00, 0xffef],
  ],
  each: 0,
  within: 0,
  further: 0.88,
}
/** Quotation marks, dashes and signs; those of a text mostly share the token of a neighbour. */
const SIGNS: Run = {
  from: [
    [0xa1, 0xbf],
    [0x2000, 0x206f],
  ],
  each: 0,
  within: 0,
  further: 0.5,
}
/** One half of a character beyond the first 65 536: emoji, mostly. */
const HALF: Run = { from: [[0xd800, 0xdfff]], each: 0, within: 0, further: 0.95 }
const ELSE: Run = { from: [], each: 0, within: 0, further: 1.6 }

/** In the order of their kinds, from `FIRST_RUN` on. */
export const RUNS: readonly Run[] = [
  ELSE,
  CYRILLIC,
  GREEK,
  HEBREW,
  ARABIC,
  INDIC,
  THAI,
  HANGUL,
  HAN,
  KANA,
  WIDE,
  SIGNS,
  HALF,
]

/** Kind of every UTF-16 code unit. */
export const KINDS: Uint8Array = kinds()

function kinds(): Uint8Array {
  const table = new Uint8Array(0x1_00_00).fill(FIRST_RUN)
  RUNS.forEach(({ from }, index) => {
    for (const [first, last] of from) table.fill(FIRST_RUN + index, first, last + 1)
  })
  const signs = FIRST_RUN + RUNS.indexOf(SIGNS)
  table.fill(PUNCTUATION, 0x21, 0x7f)
  table.fill(DIGIT, 0x30, 0x3a)
  table.fill(UPPER, 0x41, 0x5b)
  table.fill(LOWER, 0x61, 0x7b)
  table.fill(WESTERN, 0xc0, 0x100)
  table.fill(EXTENDED, 0x100, 0x370)
  table.fill(EXTENDED, 0x1e00, 0x1f00)
  for (const sign of [0xd7, 0xf7, 0x60c, 0x61b, 0x61f]) table[sign] = signs
  for (const space of [0x09, 0x20, 0xa0]) table[space] = SPACE
  for (const newline of [0x0a, 0x0d]) table[newline] = NEWLINE
  return table
}
