/*
 * Ordinary calls of the openai SDK, at batch price: nothing between the braces knows about it.
 *
 *   OPENAI_API_KEY=sk-… node examples/openai-chat.ts
 *
 * Without a key: `npx offpeak simulate` in another terminal, and
 *
 *   OPENAI_API_KEY=anything OPENAI_BASE_URL=http://127.0.0.1:9911/v1 node examples/openai-chat.ts
 */
import { batchify } from 'offpeak'
import OpenAI from 'openai'

const openai = new OpenAI()
const countries = ['Peru', 'Mongolia', 'Portugal', 'Ghana', 'Vanuatu']

const capitals = await batchify(() => Promise.all(countries.map(capitalOf)))

for (const [index, country] of countries.entries()) console.log(`${country}: ${capitals[index]}`)

async function capitalOf(country: string): Promise<string | null | undefined> {
  const { choices } = await openai.chat.completions.create({
    model: 'gpt-4o-mini',
    messages: [
      { role: 'system', content: 'Answer with one word.' },
      { role: 'user', content: `What is the capital of ${country}?` },
    ],
  })
  return choices[0]?.message.content
}
