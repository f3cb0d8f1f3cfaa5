/*
 * The AI SDK: structured output for one list of reviews, and a tool that the model may call, at batch price.
 *
 *   OPENAI_API_KEY=sk-… node examples/ai-sdk.ts
 *
 * Each step of a tool loop waits for its own batch. (See openai-chat.ts for running without a key.)
 */
import { openai } from '@ai-sdk/openai'
import { generateText, isStepCount, Output, tool } from 'ai'
import { batchify } from 'offpeak'
import { z } from 'zod'

const model = openai('gpt-4o-mini')
const reviews = ['It broke after a day.', 'My favourite kettle so far!', 'It is a kettle. It boils water.']
const stock = tool({
  description: 'How many of a product are in stock',
  inputSchema: z.object({ product: z.string() }),
  execute: ({ product }) => ({ product, available: product.length }),
})

const [moods, answer] = await batchify(() => Promise.all([Promise.all(reviews.map(moodOf)), ask()]))

for (const [index, review] of reviews.entries()) console.log(`${moods[index]?.mood}: ${review}`)
console.log(answer.text)

async function moodOf(review: string): Promise<{ mood: string }> {
  const { output } = await generateText({
    model,
    output: Output.object({ schema: z.object({ mood: z.enum(['good', 'bad', 'neither']) }) }),
    prompt: `What is the mood of this review? ${review}`,
  })
  return output
}

async function ask(): Promise<{ text: string }> {
  return await generateText({ model, tools: { stock }, stopWhen: isStepCount(3), prompt: 'Are there kettles left?' })
}
