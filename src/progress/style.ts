import { styleText } from 'node:util'

/** What an output can show. */
export interface Look {
  readonly colour: boolean
  readonly unicode: boolean
}

export type Tone = 'plain' | 'quiet' | 'strong' | 'good' | 'bad' | 'note'

const FORMATS = { quiet: 'dim', strong: 'bold', good: 'green', bad: 'red', note: 'yellow' } as const

export function paint(text: string, tone: Tone, look: Look): string {
  if (!look.colour || tone === 'plain' || text === '') return text
  // The stream has been asked already, when the look was chosen.
  return styleText(FORMATS[tone], text, { validateStream: false })
}

export interface Glyphs {
  readonly full: string
  readonly empty: string
  readonly separator: string
  readonly ellipsis: string
  readonly warning: string
  readonly times: string
  /** Between the ends of a range. */
  readonly to: string
}

const UNICODE: Glyphs = { full: '━', empty: '─', separator: ' · ', ellipsis: '…', warning: '▲', times: '×', to: '–' }
const ASCII: Glyphs = { full: '#', empty: '-', separator: ', ', ellipsis: '~', warning: '!', times: 'x', to: '-' }

export function glyphs(look: Look): Glyphs {
  return look.unicode ? UNICODE : ASCII
}
