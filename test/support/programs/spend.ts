// Asks some prompts within a limit of cost, and says each answer's status as it comes.
import { batchify, type BatchifyOptions, CostLimitError } from '../../../src/index.ts'

const baseUrl = process.env['PROVIDER'] ?? ''
const prompts = (process.env['PROMPTS'] ?? '').split(',')
const options = JSON.parse(process.env['OPTIONS'] ?? '{}') as BatchifyOptions // written by the test

async function ask(prompt: string): Promise<void> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 2000, messages: [{ role: 'user', content: prompt }] }),
  })
  await response.text()
  console.log(`${prompt}: ${response.status}`)
}

try {
  await batchify({ display: 'off', baseUrls: { openai: [baseUrl] }, ...options }, () => Promise.all(prompts.map(ask)))
  console.log('whole')
} catch (error) {
  if (!(error instanceof CostLimitError)) throw error
  console.log('limited')
}
