import type { Certainty } from './batch-rates.ts'

/** What a picture in a prompt comes to, taken for one of about a megapixel: its real size is not looked at. */
interface ImageRow {
  /** The adapter's name. */
  readonly provider: string
  readonly tokens: number
  /** For `detail: 'low'`. */
  readonly lowDetail?: number
  readonly source: string
  readonly certainty: Certainty
}

const IMAGES: readonly ImageRow[] = [
  {
    provider: 'openai',
    // 85, and 170 for each of four tiles; models that count patches come to more.
    tokens: 765,
    lowDetail: 85,
    source: 'https://platform.openai.com/docs/guides/images-vision',
    certainty: 'stated',
  },
  {
    provider: 'anthropic',
    // Width × height / 750, at the largest size that is not made smaller.
    tokens: 1600,
    source: 'https://platform.claude.com/docs/en/build-with-claude/vision',
    certainty: 'stated',
  },
  {
    provider: 'gemini',
    // Gemini 3 at its default resolution; Gemini 2 counts 258 for each of four tiles.
    tokens: 1120,
    source: 'https://ai.google.dev/gemini-api/docs/media-resolution',
    certainty: 'reported',
  },
]

/** Tokens of one picture; undefined: nobody says. */
export function imageTokens(provider: string, detail: unknown): number | undefined {
  const row = IMAGES.find((each) => each.provider === provider)
  return detail === 'low' ? (row?.lowDetail ?? row?.tokens) : row?.tokens
}
