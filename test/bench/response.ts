// node test/bench/response.ts — what a late Response costs next to a native one: made, its headers looked at, its JSON read.
import type { Reply } from '../../src/core/reply.ts'
import { toResponse } from '../../src/intercept/response.ts'

const ROUNDS = 100_000
const headers = {
  'content-type': 'application/json',
  'x-request-id': 'req_1',
  'x-offpeak-batch': 'batch_1',
  'x-offpeak-job': '1',
  'x-offpeak-cache': 'miss',
}
const json = { id: 'r1', output: [{ type: 'message', content: [{ type: 'output_text', text: 'x'.repeat(500) }] }] }
const body = JSON.stringify(json)

const makers: Record<string, () => Response> = {
  'late, parsed already': () => toResponse(reply({ json }), 'https://api.example.com/v1/chat'),
  'late, as text': () => toResponse(reply({}), 'https://api.example.com/v1/chat'),
  'native new Response(text)': () => new Response(body, { status: 200, headers }),
}

function reply(parsed: { json?: unknown }): Reply {
  return { status: 200, headers, body, ...parsed }
}

for (const [name, make] of Object.entries(makers)) {
  const costs = {
    made: await cpuPerRound(make),
    'and looked at': await cpuPerRound(() => make().headers.get('content-type')),
    'and read': await cpuPerRound(async () => {
      const response = make()
      response.headers.get('content-type')
      await response.json()
    }),
  }
  const cells = Object.entries(costs).map(([what, cost]) => `${what} ${cost.toFixed(2)} µs`)
  process.stdout.write(`${name.padEnd(28)} ${cells.join('   ')}\n`)
}

/** CPU microseconds per round, after a warm-up. */
async function cpuPerRound(round: () => unknown): Promise<number> {
  for (let warm = 0; warm < ROUNDS / 10; warm += 1) await round()
  const before = process.cpuUsage()
  for (let done = 0; done < ROUNDS; done += 1) await round()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / ROUNDS
}
