import { request } from 'node:http'
import { expect, it } from 'vitest'
import type { Calls, Client } from '../../support/matrix/client.ts'
import { lookAt } from '../../support/matrix/look.ts'
import { no } from '../../support/matrix/outcome.ts'
import { asMarkdown, asText } from '../../support/matrix/render.ts'
import type { Connection } from '../../support/clients.ts'

/** A client beyond our reach: whatever it asks goes out at full price. */
function onNodeHttp({ baseUrl, apiKey }: Connection): Calls {
  return {
    plain: (prompt) =>
      new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
        const sent = request(`${baseUrl}/chat/completions`, { method: 'POST', headers, agent: false })
        sent.on('error', reject)
        sent.on('response', (response) => {
          void Array.fromAsync(response.setEncoding('utf8')).then((pieces) => {
            const whole: unknown = JSON.parse(pieces.join(''))
            if (response.statusCode === 200) resolve({ gist: String(Reflect.get(Object(whole), 'id')), whole })
            else reject(Object.assign(new Error('refused'), { status: response.statusCode }))
          }, reject)
        })
        sent.end(JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }))
      }),
  }
}

const BEYOND = no('went live', 'beyond our reach')
const takes = { signal: false, limit: false }
const naive: Client = { name: 'node:http', provider: 'openai', connect: onNodeHttp, takes }
const declared: Client = { ...naive, name: 'node:http, declared', but: { 'plain answer': BEYOND, inside: BEYOND } }

it('sees what goes live, is not offered or is declared otherwise than it is', async () => {
  const rows = await lookAt([naive, declared])

  const [seen, complaints] = [
    Object.fromEntries(rows[0]?.cells.map((cell) => [cell.column, cell.seen]) ?? []),
    rows.map(({ cells }) => cells.filter(({ complaint }) => complaint !== undefined).map(({ column }) => column)),
  ]
  expect(seen).toEqual({
    'plain answer': 'went live',
    'system + tools': 'not offered',
    'JSON schema': 'not offered',
    embeddings: 'not offered',
    image: 'not offered',
    'row 400': 'went live',
    'row 429': 'went live',
    'user abort': 'not offered',
    'SDK timeout': 'not offered',
    'before import': 'went live',
    inside: 'went live',
  })
  expect(complaints[0]).toHaveLength(11)
  expect(complaints[1]).toEqual(complaints[0]?.filter((column) => column !== 'plain answer' && column !== 'inside'))
  expect(asText(rows).split('\n').at(-1)).toBe('¹ beyond our reach')
  expect(asMarkdown(rows)).toContain('| node:http, declared · OpenAI | no¹ | WRONG |')
})
