import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { clientFor, params, raw } from './anthropic-client.ts'

const WEATHER = {
  name: 'weather',
  input_schema: {
    type: 'object' as const,
    properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1 } },
    required: ['city', 'days'],
  },
}
const ASK = { model: 'claude-haiku-4-5', max_tokens: 64, messages: [{ role: 'user' as const, content: 'a pear?' }] }

test('a message answers with the digest of its request, an echo and its usage', async () => {
  await using simulator = await startTestSimulator()

  const { data, response } = await clientFor(simulator).messages.create(ASK).withResponse()

  expect(data).toMatchObject({
    type: 'message',
    role: 'assistant',
    model: 'claude-haiku-4-5',
    content: [{ type: 'text', text: `Answer ${answerDigest('/v1/messages', ASK)}: a pear?` }],
    stop_reason: 'end_turn',
    usage: { input_tokens: 2, service_tier: 'standard' },
  })
  expect(data.usage.output_tokens).toBeGreaterThan(0)
  expect(response.headers.get('request-id')).toMatch(/^req_/)
  expect(simulator.ledger().executions).toMatchObject({ live: 1, batch: 0 })
})

test('a streamed message adds up to the one that is not streamed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const asks = [
    ASK,
    { ...ASK, tools: [WEATHER], tool_choice: { type: 'any' as const } },
    { ...ASK, max_tokens: 4096, thinking: { type: 'enabled' as const, budget_tokens: 1024 } },
  ]

  for (const ask of asks) {
    const events: string[] = []
    const stream = client.messages.stream(ask).on('streamEvent', ({ type }) => void events.push(type))
    const streamed = await stream.finalMessage()
    const whole = await client.messages.create({ ...ask, stream: false })

    expect([events[0], events.at(-1)]).toEqual(['message_start', 'message_stop'])
    expect(streamed.content.map(({ type }) => type)).toEqual(whole.content.map(({ type }) => type))
    expect(streamed.stop_reason).toBe(whole.stop_reason)
    expect(streamed.usage.output_tokens).toBe(whole.usage.output_tokens)
  }
})

test('a tool is called when it must be or the prompt asks for it, and not once it has answered', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const user = (content: string): { role: 'user'; content: string } => ({ role: 'user', content })
  const asked = { ...ASK, tools: [WEATHER], messages: [user('[[simulate:tool]]')] }

  const forced = await client.messages.create({
    ...ASK,
    tools: [{ ...WEATHER, name: 'other' }, WEATHER],
    tool_choice: { type: 'tool', name: 'weather' },
  })
  const wanted = await client.messages.create(asked)
  const answered = await client.messages.create({
    ...asked,
    messages: [
      user('[[simulate:tool]]'),
      { role: 'assistant', content: wanted.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' }] },
    ],
  })
  const none = await client.messages.create({ ...asked, tool_choice: { type: 'none' } })

  expect(forced).toMatchObject({
    stop_reason: 'tool_use',
    content: [{ type: 'tool_use', name: 'weather', input: { city: expect.any(String), days: 1 } }],
  })
  expect(wanted.stop_reason).toBe('tool_use')
  expect([answered.stop_reason, none.stop_reason]).toEqual(['end_turn', 'end_turn'])
})

test('an answer in a format satisfies its schema, asked for in either way', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const format = {
    type: 'json_schema' as const,
    schema: { type: 'object', properties: { fruit: { type: 'string' } }, required: ['fruit'] },
  }

  const answer = await client.messages.create({ ...ASK, output_config: { format } })
  const beta = await client.beta.messages.create({ ...ASK, output_format: format })

  for (const { content } of [answer, beta]) {
    const [block] = content
    expect(block?.type === 'text' && JSON.parse(block.text)).toEqual({ fruit: expect.stringContaining('a pear?') })
  }
})

test('images, documents and a system prompt are read, and count', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const { content, usage } = await client.messages.create({
    ...ASK,
    system: 'Be brief. '.repeat(10),
    messages: [
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } },
          { type: 'text', text: 'what is it?' },
        ],
      },
    ],
  })
  const { input_tokens: counted } = await client.messages.countTokens({ model: ASK.model, messages: ASK.messages })

  expect(content).toMatchObject([{ text: expect.stringContaining('what is it?') }])
  expect(usage.input_tokens).toBeGreaterThan(20)
  expect(counted).toBe(2)
})

test.each([
  ['no model', { model: undefined }, 400, 'invalid_request_error', 'model: Field required'],
  ['an unknown model', { model: 'gpt-5' }, 404, 'not_found_error', 'model: gpt-5'],
  ['no max_tokens', { max_tokens: undefined }, 400, 'invalid_request_error', 'max_tokens: Field required'],
  ['no messages', { messages: [] }, 400, 'invalid_request_error', 'messages: at least one message is required'],
  ['a role nobody has', { messages: [{ role: 'bot', content: 'a' }] }, 400, 'invalid_request_error', /role/],
  ['empty content', { messages: [{ role: 'user', content: '' }] }, 400, 'invalid_request_error', /non-empty/],
  ['a field of nobody', { messages_: 1 }, 400, 'invalid_request_error', 'messages_: Extra inputs are not permitted'],
  ['a beta field without a beta', { mcp_servers: [] }, 400, 'invalid_request_error', /Extra inputs/],
  ['a temperature above 1', { temperature: 1.5 }, 400, 'invalid_request_error', /temperature/],
  ['a tool choice without tools', { tool_choice: { type: 'any' } }, 400, 'invalid_request_error', /tools/],
  ['too little to think', { thinking: { type: 'enabled', budget_tokens: 10 } }, 400, 'invalid_request_error', /1024/],
  [
    'more thinking than answer',
    { thinking: { type: 'enabled', budget_tokens: 2048 } },
    400,
    'invalid_request_error',
    /greater/,
  ],
  ['what asks for a status', { system: '[[simulate:529]]' }, 529, 'overloaded_error', /529/],
  ['what asks to be invalid', { system: '[[simulate:invalid]]' }, 400, 'invalid_request_error', /invalid/],
])('%s is refused', async (_, change, status, type, message) => {
  await using simulator = await startTestSimulator()

  const reply = await raw(simulator, '/v1/messages', { method: 'POST', body: JSON.stringify(params('a', change)) })

  expect(reply.status).toBe(status)
  expect(reply.body).toMatchObject({ type: 'error', error: { type, message: expect.stringMatching(message) } })
  expect(simulator.ledger().executions.live).toBe(0)
})

test('sampling parameters went with version 2026-10-21', async () => {
  await using simulator = await startTestSimulator()
  const call = (version: string): Promise<{ readonly status: number }> =>
    raw(simulator, '/v1/messages', {
      method: 'POST',
      headers: { authorization: 'Bearer sk-test', 'anthropic-version': version },
      body: JSON.stringify(params('a', { temperature: 0.5, top_k: 3 })),
    })

  expect(await call('2023-06-01')).toMatchObject({ status: 200 })
  expect(await call('2026-10-21')).toMatchObject({
    status: 400,
    body: { error: { message: 'temperature: Extra inputs are not permitted' } },
  })
})

test('a key and a version are needed, and an error names its request twice', async () => {
  await using simulator = await startTestSimulator()
  const call = async (headers: Record<string, string>): Promise<[number, unknown, boolean]> => {
    const { status, body, headers: answered } = await raw(simulator, '/v1/models', { headers })
    return [status, body['error'] ?? body['data'], body['request_id'] === answered.get('request-id')]
  }
  const version = { 'anthropic-version': '2023-06-01' }

  expect(await call(version)).toMatchObject([401, { type: 'authentication_error' }, true])
  expect(await call({ ...version, 'x-api-key': 'sk-invalid-1' })).toMatchObject([
    401,
    { message: 'invalid x-api-key' },
    true,
  ])
  expect(await call({ ...version, authorization: 'Bearer sk-invalid' })).toMatchObject([401, {}, true])
  expect(await call({ 'x-api-key': 'sk-a' })).toMatchObject([
    400,
    { message: 'anthropic-version: header is required' },
    true,
  ])
  expect(await call({ 'x-api-key': 'sk-a', 'anthropic-version': '1999-01-01' })).toMatchObject([400, {}, true])
  expect(await call({ ...version, 'x-api-key': 'sk-a' })).toMatchObject([200, expect.any(Array), false])
})

test('one key is one account in both forms and every version; a workspace makes another', async () => {
  await using simulator = await startTestSimulator()
  const calls = [
    { 'x-api-key': 'sk-a', 'anthropic-version': '2023-06-01' },
    { authorization: 'Bearer sk-a', 'anthropic-version': '2026-10-21', 'anthropic-beta': 'x-2026-01-01' },
    { 'x-api-key': 'sk-a', 'anthropic-version': '2023-06-01', 'anthropic-workspace-id': 'wrkspc_1' },
  ]

  for (const headers of calls) {
    await raw(simulator, '/v1/messages', { method: 'POST', headers, body: JSON.stringify(ASK) })
  }

  expect(simulator.ledger().accounts.map(({ provider, live }) => [provider, live])).toEqual([
    ['anthropic', 2],
    ['anthropic', 1],
  ])
})

test('models are listed and found', async () => {
  await using simulator = await startTestSimulator({ models: ['my-own'] })
  const client = clientFor(simulator)

  const listed = await Array.fromAsync(client.models.list())

  expect(listed.map(({ id }) => id)).toContain('my-own')
  expect((await client.models.retrieve('my-own')).type).toBe('model')
  await expect(client.models.retrieve('gpt-5')).rejects.toMatchObject({ status: 404 })
})
