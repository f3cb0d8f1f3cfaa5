import { readdirSync, readFileSync } from 'node:fs'
import { z } from 'zod'

/** A text and its tokens, as the reference tokenizer counted them. */
export interface CountedText {
  readonly text: string
  readonly tokens: number
}

export interface CorpusText extends CountedText {
  readonly name: string
  /** Its lines that are not empty, each counted by itself. */
  readonly lines: readonly CountedText[]
}

const FOLDER = new URL('../../fixtures/tokens/', import.meta.url)

const Counts = z.object({
  texts: z.record(z.string(), z.object({ whole: z.number(), lines: z.array(z.number()) })),
})

/** Texts of our own in many languages, and how many tokens each is; `counts.json` says by which tokenizer. */
export function tokenCorpus(): readonly CorpusText[] {
  const { texts } = Counts.parse(JSON.parse(readFileSync(new URL('counts.json', FOLDER), 'utf8')))
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.txt'))
    .map((file) => {
      const name = file.slice(0, -'.txt'.length)
      const text = readFileSync(new URL(file, FOLDER), 'utf8')
      const counts = texts[name]
      const lines = text.split('\n').filter((line) => line !== '')
      if (counts?.lines.length !== lines.length) throw new Error(`${file} has changed since its tokens were counted`)
      return {
        name,
        text,
        tokens: counts.whole,
        lines: lines.map((line, index) => ({ text: line, tokens: counts.lines[index] ?? Number.NaN })),
      }
    })
}
