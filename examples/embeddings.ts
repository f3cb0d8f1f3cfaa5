/*
 * A small search: documents and query embedded at batch price, then compared.
 *
 *   OPENAI_API_KEY=sk-… node examples/embeddings.ts
 *
 * Run it twice: the second run finds every vector in the store and pays for nothing. (See openai-chat.ts for running without a key.)
 */
import { batchify } from 'offpeak'
import OpenAI from 'openai'

const openai = new OpenAI()
const documents = [
  'The cat sleeps on the warm windowsill.',
  'Interest rates rose for the third time this year.',
  'Add the flour, then fold in the egg whites.',
]
const query = 'How do I bake a sponge cake?'

const [wanted, ...vectors] = await batchify(() => Promise.all([query, ...documents].map(embed)))

const ranked = documents
  .map((document, index) => ({ document, score: similarity(wanted ?? [], vectors[index] ?? []) }))
  .sort((a, b) => b.score - a.score)
for (const { document, score } of ranked) console.log(`${score.toFixed(3)}  ${document}`)

async function embed(input: string): Promise<readonly number[]> {
  const { data } = await openai.embeddings.create({ model: 'text-embedding-3-small', input })
  return data[0]?.embedding ?? []
}

/** OpenAI's vectors have length one, so this is the cosine of their angle. */
function similarity(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
}
