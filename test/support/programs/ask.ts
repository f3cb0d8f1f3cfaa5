// Asks some prompts in a scope, and says each answer's status as it comes.
import { batchify, type BatchifyOptions } from '../../../src/index.ts'

const baseUrl = process.env['PROVIDER'] ?? ''
const prompts = (process.env['PROMPTS'] ?? '').split(',').filter((prompt) => prompt !== '')
const options = JSON.parse(process.env['OPTIONS'] ?? '{}') as BatchifyOptions // written by the test

async function ask(prompt: string): Promise<void> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }),
  })
  await response.text()
  console.log(`${prompt}: ${response.status} ${response.headers.get('x-offpeak-cache') ?? 'live'}`)
}

const batch = batchify({ display: 'off', baseUrls: { openai: [baseUrl] }, ...options })
batch.on('batch-submitting', () => console.log('submitting'))
batch.on('batch-submitted', () => console.log('submitted'))
const answers = batch.run(() => Promise.all(prompts.map(ask)))
// Some programs close their scope, and some just end.
if (process.env['CLOSES'] === '1') {
  await answers
  await batch.close()
  console.log('closed')
}
