import { fork } from 'node:child_process'

const [, own = '', role] = process.argv
if (role === undefined) fork(own, ['child'])
else {
  const response = await fetch(`${process.env['OPENAI_BASE_URL']}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'from a child' }] }),
  })
  await response.text()
  console.log(response.headers.get('x-offpeak-cache') ?? 'live')
}
