import OpenAI from 'openai'

/** Asks for as much as it is told to; `careful` prints what it is refused, `careless` fails with it. */
const client = new OpenAI({ apiKey: 'sk-test' })
const [, , manner] = process.argv

async function ask(content: string): Promise<void> {
  await client.chat.completions.create({
    model: 'gpt-4o-mini',
    max_completion_tokens: 10_000,
    messages: [{ role: 'user', content }],
  })
}

const outcomes = await Promise.allSettled(['one', 'two', 'three'].map(ask))
const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
console.log(refused.map((error) => (error instanceof OpenAI.APIError ? error.status : String(error))).join(' '))
if (manner === 'careless' && refused.length > 0) throw refused[0]
