import { type Look, paint, type Tone } from './style.ts'
import { textWidth, truncate } from './width.ts'

/** A piece of a line. When a line is too long, pieces leave it by `rank`, the highest first; rank 0 never leaves. */
export interface Piece {
  readonly text: string
  readonly tone: Tone
  readonly rank: number
}

/** Columns of the whole line. */
export function lineWidth(pieces: readonly Piece[], separator: string): number {
  const texts = pieces.reduce((sum, piece) => sum + textWidth(piece.text), 0)
  return texts + Math.max(0, pieces.length - 1) * textWidth(separator)
}

/** The pieces that fit so many columns together; the last one stays even if it does not. */
export function fitPieces(pieces: readonly Piece[], separator: string, width: number): Piece[] {
  const kept = pieces.filter((piece) => piece.text !== '')
  while (kept.length > 1 && lineWidth(kept, separator) > width) {
    const highest = Math.max(...kept.map((piece) => piece.rank))
    if (highest === 0) break
    kept.splice(
      kept.findLastIndex((piece) => piece.rank === highest),
      1,
    )
  }
  return kept
}

/** One line, never wider than `width`. */
export function fitLine(
  pieces: readonly Piece[],
  options: { separator: string; width: number; look: Look; ellipsis: string },
): string {
  const { separator, width, look, ellipsis } = options
  let room = width
  let line = ''
  for (const [index, piece] of fitPieces(pieces, separator, width).entries()) {
    const between = index === 0 ? '' : separator
    const text = truncate(piece.text, room - textWidth(between), ellipsis)
    if (text === '') break
    line += paint(between, 'quiet', look) + paint(text, piece.tone, look)
    room -= textWidth(between) + textWidth(text)
  }
  return line
}
