/*
 * The block form: everything from `batchify()` to the end of the block is batched, with options, events and a report.
 *
 *   OPENAI_API_KEY=sk-… node examples/block-form.ts
 *
 * `await using` is Node 24's; on Node 22 let a compiler translate it. (See openai-chat.ts for running without a key.)
 */
import { batchify } from 'offpeak'
import OpenAI from 'openai'

const openai = new OpenAI()

{
  await using batch = batchify({ batchSize: 500, metadata: { purpose: 'riddles' } })
  batch.on('batch-submitted', ({ id, jobs }) => console.log(`${jobs} requests became ${id}`))

  // Await your calls inside the block: what is still open at its end is refused.
  const riddles = await Promise.all(['rivers', 'clocks', 'shadows'].map(riddleAbout))
  for (const riddle of riddles) console.log(riddle)

  const { requests, batches, savedUsd } = batch.report()
  console.log(
    `${requests.completed} answers in ${batches} batch, ${savedUsd?.toFixed(6) ?? 'an unknown number of'} dollars saved`,
  )
}

async function riddleAbout(topic: string): Promise<string> {
  const response = await openai.responses.create({
    model: 'gpt-4o-mini',
    input: `A short riddle about ${topic}, please.`,
  })
  return response.output_text
}
