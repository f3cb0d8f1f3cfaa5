import type OpenAI from 'openai'
import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { chatBody, clientFor } from './openai-client.ts'

const parameters = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1 }, unit: { enum: ['c', 'f'] } },
  required: ['city', 'days', 'unit'],
  additionalProperties: false,
}
const chatTool = { type: 'function', function: { name: 'weather', parameters } } as const
const question = {
  model: 'gpt-x',
  messages: [{ role: 'user', content: 'rain?' }],
} satisfies OpenAI.ChatCompletionCreateParams

test('a chat answer quotes its request and echoes the last user message', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const body = {
    model: 'gpt-x',
    messages: [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'yes?' },
      { role: 'user', content: [{ type: 'text', text: 'second' }] },
    ],
    n: 2,
  } satisfies OpenAI.ChatCompletionCreateParams

  const { data, request_id: requestId } = await client.chat.completions.create(body).withResponse()

  const content = `Answer ${answerDigest('/v1/chat/completions', body)}: second`
  expect(data.choices.map(({ message, finish_reason: reason }) => [message.content, reason])).toEqual([
    [content, 'stop'],
    [content, 'stop'],
  ])
  expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0))
  expect(requestId).toMatch(/^req_/)
})

test('a chat that must call a tool calls it with arguments its schema accepts', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const named = { type: 'function', function: { name: 'weather' } } as const

  const required = await client.chat.completions.create({ ...question, tools: [chatTool], tool_choice: 'required' })
  const forced = await client.chat.completions.create({ ...question, tools: [chatTool], tool_choice: named })
  const free = await client.chat.completions.create({ ...question, tools: [chatTool] })

  for (const { choices } of [required, forced]) {
    const call = choices[0]?.message.tool_calls?.[0]
    expect(choices[0]?.finish_reason).toBe('tool_calls')
    expect(call).toMatchObject({ type: 'function', function: { name: 'weather' } })
    const given = call?.type === 'function' ? call.function.arguments : ''
    expect(JSON.parse(given)).toEqual({ city: expect.any(String), days: 1, unit: 'c' })
  }
  expect(free.choices[0]?.message.content).toContain('rain?')
})

test('a prompt can ask for a tool call, and gets a text once the tool has answered', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const asked = { role: 'user', content: 'rain? [[simulate:tool]]' } as const

  const first = await client.chat.completions.create({ model: 'gpt-x', messages: [asked], tools: [chatTool] })
  const call = first.choices[0]?.message
  const second = await client.chat.completions.create({
    model: 'gpt-x',
    messages: [
      asked,
      ...(call ? [call] : []),
      { role: 'tool', tool_call_id: call?.tool_calls?.[0]?.id ?? '', content: 'yes' },
    ],
    tools: [chatTool],
  })

  expect(call?.tool_calls).toHaveLength(1)
  expect(second.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant' } })
  expect(second.choices[0]?.message.tool_calls).toBeUndefined()
})

test('structured output is an instance of its schema, in chat and in responses', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const chat = await client.chat.completions.create({
    ...question,
    response_format: { type: 'json_schema', json_schema: { name: 'forecast', schema: parameters } },
  })
  const response = await client.responses.create({
    model: 'gpt-x',
    input: 'rain?',
    text: { format: { type: 'json_schema', name: 'forecast', schema: parameters } },
  })

  for (const text of [chat.choices[0]?.message.content ?? '', response.output_text]) {
    expect(JSON.parse(text)).toEqual({ city: expect.stringContaining('rain?'), days: 1, unit: 'c' })
  }
})

test('a response answers strings and items, and calls tools', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const tool = { type: 'function', name: 'weather', parameters, strict: true } as const

  const text = await client.responses.create({ model: 'gpt-x', input: 'rain?' })
  const items = await client.responses.create({
    model: 'gpt-x',
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'snow?' }] }],
  })
  const call = await client.responses.create({ model: 'gpt-x', input: 'rain?', tools: [tool], tool_choice: 'required' })

  expect(text.output_text).toBe(`Answer ${answerDigest('/v1/responses', { model: 'gpt-x', input: 'rain?' })}: rain?`)
  expect(text).toMatchObject({ status: 'completed', object: 'response', model: 'gpt-x', error: null })
  expect(text.usage?.total_tokens).toBe((text.usage?.input_tokens ?? 0) + (text.usage?.output_tokens ?? 0))
  expect(items.output_text).toContain('snow?')
  expect(call.output).toMatchObject([{ type: 'function_call', name: 'weather', status: 'completed' }])
  expect(simulator.ledger()).toMatchObject({ executions: { live: 3, distinct: 3 }, errors: { live: 0 } })
})

test('a streamed chat adds up to the answer that is not streamed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const stream = await client.chat.completions.create({
    ...question,
    stream: true,
    stream_options: { include_usage: true },
  })
  const chunks = await Array.fromAsync(stream)

  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
  expect(text).toMatch(/^Answer [0-9a-f]{16}: rain\?$/)
  expect(chunks.findLast(({ choices }) => choices.length > 0)?.choices[0]?.finish_reason).toBe('stop')
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: expect.any(Number) } })
})

test("the SDK's own stream helpers understand a streamed chat with tools and a streamed response", async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const chat = client.chat.completions.stream({ ...question, tools: [chatTool], tool_choice: 'required' })
  const final = await chat.finalChatCompletion()
  const response = client.responses.stream({ model: 'gpt-x', input: 'rain?' })
  const deltas: string[] = []
  response.on('response.output_text.delta', ({ delta }) => deltas.push(delta))
  const ended = await response.finalResponse()

  expect(final.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'weather' } })
  expect(ended.output_text).toMatch(/: rain\?$/)
  expect(deltas.join('')).toBe(ended.output_text)
  expect(deltas.length).toBeGreaterThan(1)
})

test('an embedding is the same unit vector for the same text, as numbers and as base64', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const model = 'text-embedding-3-small'

  const decoded = await client.embeddings.create({ model, input: ['a', 'b', 'a'] })
  const numbers = await client.embeddings.create({ model, input: 'a', encoding_format: 'float' })
  const short = await client.embeddings.create({ model, input: [1, 2, 3], dimensions: 8 })

  const [first, second, third] = decoded.data.map(({ embedding }) => embedding)
  expect(decoded.data.map(({ index }) => index)).toEqual([0, 1, 2])
  expect(first).toHaveLength(1536)
  expect(Math.hypot(...(first ?? []))).toBeCloseTo(1, 5)
  expect(third).toEqual(first)
  expect(second).not.toEqual(first)
  expect(numbers.data[0]?.embedding.map(Math.fround)).toEqual(first)
  expect(short.data.map(({ embedding }) => embedding.length)).toEqual([8])
  expect(short.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 })
})

test('completions, moderations and images answer in the SDK’s shapes', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const completion = await client.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: ['a', 'b'] })
  const streamed = await Array.fromAsync(
    await client.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'a', stream: true }),
  )
  const moderation = await client.moderations.create({ input: ['a', 'b'] })
  const image = await client.images.generate({ model: 'gpt-image-1', prompt: 'a cat', n: 2 })
  const edit = await client.post<OpenAI.ImagesResponse>('/images/edits', {
    body: { model: 'gpt-image-1', prompt: 'a dog', images: [{ file_id: 'file-1' }] },
  })

  expect(completion.choices.map(({ text }) => text.slice(-3))).toEqual([': a', ': b'])
  expect(streamed.map(({ choices }) => choices[0]?.text ?? '').join('')).toMatch(/^Answer [0-9a-f]{16}: a$/)
  expect(moderation).toMatchObject({
    model: 'omni-moderation-latest',
    results: [{ flagged: false }, { flagged: false }],
  })
  expect(moderation.results[0]?.category_scores).not.toEqual(moderation.results[1]?.category_scores)
  expect(image.data).toHaveLength(2)
  expect(
    Buffer.from(image.data?.[0]?.b64_json ?? '', 'base64')
      .subarray(1, 4)
      .toString(),
  ).toBe('PNG')
  expect(edit.data?.[0]?.revised_prompt).toMatch(/: a dog$/)
})

test.each([400, 401, 404, 409, 422, 429, 500, 503])('a prompt can ask for a %i', async (status) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const answering = client.responses.create({ model: 'gpt-x', input: `[[simulate:${status}]]` })

  await expect(answering).rejects.toMatchObject({ status, requestID: expect.stringMatching(/^req_/) })
  expect(simulator.ledger()).toMatchObject({ executions: { live: 0 }, errors: { live: 1 } })
})

test.each([
  ['chat without messages', '/chat/completions', { model: 'gpt-x' }, 400, 'messages'],
  ['chat with no messages', '/chat/completions', { model: 'gpt-x', messages: [] }, 400, 'messages'],
  ['a message without a role', '/chat/completions', { model: 'gpt-x', messages: [{}] }, 400, 'messages[0].role'],
  ['a temperature of 3', '/chat/completions', chatBody('x', { temperature: 3 }), 400, 'temperature'],
  ['chat without a model', '/chat/completions', { messages: [] }, 400, null],
  ['an unknown model', '/chat/completions', chatBody('x', { model: 'claude' }), 404, null],
  ['a response to nothing', '/responses', { model: 'gpt-x' }, 400, 'input'],
  ['embeddings of nothing', '/embeddings', { model: 'text-embedding-3-small', input: [] }, 400, 'input'],
  ['embeddings of an empty text', '/embeddings', { model: 'text-embedding-3-small', input: '' }, 400, 'input'],
  ['no dimensions', '/embeddings', { model: 'text-embedding-3-small', input: 'a', dimensions: 0 }, 400, 'dimensions'],
  ['a streamed embedding', '/embeddings', { model: 'text-embedding-3-small', input: 'a', stream: true }, 400, 'stream'],
  ['a moderation of nothing', '/moderations', {}, 400, 'input'],
  ['an image of nothing', '/images/generations', {}, 400, 'prompt'],
  ['an edit of no image', '/images/edits', { prompt: 'x' }, 400, 'images'],
  ['a completion of nothing', '/completions', { model: 'davinci-002' }, 400, 'prompt'],
])('%s is refused', async (_, path, body, status, param) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  await expect(client.post(path, { body })).rejects.toMatchObject({ status, param, type: 'invalid_request_error' })
})

test('a body that is not JSON is refused', async () => {
  await using simulator = await startTestSimulator()

  const response = await fetch(`${simulator.baseUrl('openai')}/responses`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test' },
    body: '{"model":',
  })

  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
})

test('models are listed and found, further ones too', async () => {
  await using simulator = await startTestSimulator({ models: ['house-model'] })
  const client = clientFor(simulator)

  const models = (await client.models.list()).data.map(({ id }) => id)

  expect(models).toEqual(expect.arrayContaining(['gpt-4o-mini', 'house-model']))
  expect((await client.models.retrieve('house-model')).id).toBe('house-model')
  await expect(client.models.retrieve('other-model')).rejects.toMatchObject({ status: 404 })
  expect((await client.responses.create({ model: 'house-model', input: 'x' })).model).toBe('house-model')
})
