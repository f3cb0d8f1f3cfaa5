// Asks some prompts in a scope, says what becomes of them, and ends as `ENDING` says. Node runs it as it is.
import { batchify, type BatchifyOptions } from '../../../../src/index.ts'

const baseUrl = process.env['PROVIDER'] ?? ''
const ending = process.env['ENDING'] ?? 'when everything is answered'
const prompts = (process.env['PROMPTS'] ?? '').split(',')
const options = JSON.parse(process.env['OPTIONS'] ?? '{}') as BatchifyOptions // written by the test

let answered = 0

async function ask(prompt: string): Promise<void> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }),
  })
  await response.text()
  answered += 1
  console.log(`${prompt}: ${response.status} ${response.headers.get('x-offpeak-cache') ?? 'live'}`)
  if (ending === 'exit at the first answer' && answered === 1) process.exit(3)
}

const batch = batchify(options)
for (const type of ['request-queued', 'batch-submitting', 'batch-submitted'] as const) {
  batch.on(type, () => console.log(type))
}
const answers = batch.run(() => Promise.all(prompts.map(ask)))

/** Something else that keeps the program busy: its queue is not all it waits for. */
const busy = ending === 'busy' ? setInterval(() => undefined, 1000) : undefined
if (ending === 'asks on and on') {
  let more = 0
  setInterval(() => void batch.run(() => ask(`more ${(more += 1)}`)), 3)
}
if (ending === 'own listener') process.on('SIGINT', () => console.log('heard it'))
if (ending === 'exit at once') process.exit(3)
if (ending === 'exit once submitted') batch.on('batch-submitted', () => process.exit(3))
if (ending === 'rejection once submitted') {
  batch.on('batch-submitted', () => void Promise.reject(new Error('nobody handles this')))
}
if (ending === 'error once submitted') {
  batch.on('batch-submitted', () => {
    setImmediate(() => {
      throw new Error('nobody catches this')
    })
  })
}

await answers
clearInterval(busy)
await batch.close()
console.log('closed')
