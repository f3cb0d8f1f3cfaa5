/** The requests every row of the table makes, and what it keeps of their answers. */

export const MODEL = 'gpt-5-mini'
/** Characters of a prompt: a question about a paragraph of text. */
const PROMPT_CHARACTERS = 600
/** Rows and bytes one batch may have, for everybody. */
export const BATCH_ROWS = 50_000
export const BATCH_BYTES = 200_000_000
/** How often everybody asks whether a batch is done. */
export const POLL_MS = 200

const SENTENCE = 'The customer writes that the parcel arrived late, and asks for the shipping costs to be paid back. '
const PADDING = SENTENCE.repeat(Math.ceil(PROMPT_CHARACTERS / SENTENCE.length))

export interface ChatBody {
  readonly model: string
  readonly messages: { readonly role: 'system' | 'user'; readonly content: string }[]
  readonly temperature: number
}

/** The n-th prompt, as if read from a file just now: all different, and held by nobody. */
export function promptAt(n: number): string {
  return `${n}. ${PADDING}`.slice(0, PROMPT_CHARACTERS)
}

export function chatBody(prompt: string): ChatBody {
  return {
    model: MODEL,
    messages: [
      { role: 'system', content: 'Answer with one word: the topic of the message.' },
      { role: 'user', content: prompt },
    ],
    temperature: 0,
  }
}

interface ChatCompletion {
  readonly choices: readonly { readonly message: { readonly content: string } }[]
}

/** What a program keeps of an answer. */
export function contentOf(completion: unknown): string {
  // Our own simulator's answer; one without a text fails the count below.
  const content = (completion as ChatCompletion).choices[0]?.message.content
  if (content === undefined) throw new Error('an answer has no text')
  return content
}

/** Every caller got an answer, and none the same as the next. */
export function checkAnswers(answers: readonly string[], requests: number): void {
  if (answers.length !== requests || new Set(answers).size !== requests) {
    throw new Error(`${requests} requests got ${new Set(answers).size} different answers`)
  }
}
