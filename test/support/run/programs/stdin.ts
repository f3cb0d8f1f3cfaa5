import { text } from 'node:stream/consumers'

const content = await text(process.stdin)
const response = await fetch(`${process.env['OPENAI_BASE_URL']}/chat/completions`, {
  method: 'POST',
  headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content }] }),
})
console.log(response.headers.get('x-offpeak-cache'), await response.text())
