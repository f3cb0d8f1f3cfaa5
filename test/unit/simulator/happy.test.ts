import OpenAI, { toFile } from 'openai'
import { expect, test } from 'vitest'
import { startTestSimulator } from '../../support/simulator.ts'

test('a batch is completed at the third look', async () => {
  await using simulator = await startTestSimulator()
  const openai = new OpenAI({ apiKey: 'sk-one', baseURL: simulator.baseUrl('openai') })
  const rows = [1, 2, 3].map((n) => JSON.stringify({ custom_id: `r${n}`, method: 'POST', url: '/v1/chat/completions', body: { model: 'gpt-x', messages: [{ role: 'user', content: `prompt ${n}` }] } }))
  const file = await openai.files.create({ purpose: 'batch', file: await toFile(Buffer.from(rows.join('\n')), 'x.jsonl') })
  const batch = await openai.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { a: 'b' } })
  const seen = []
  for (let n = 0; n < 3; n++) seen.push(await openai.batches.retrieve(batch.id))
  const text = await (await openai.files.content(seen.at(-1)!.output_file_id!)).text()
  expect(seen.map((b) => b.status)).toEqual(['in_progress', 'in_progress', 'completed'])
})
