import OpenAI from 'openai'
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { type Connection, present, type Way } from './clients.ts'

export type BuildOpenAI = (connection: Connection) => OpenAI

/** As a program builds it: whatever it captures, it captures now. */
export const buildOpenAI: BuildOpenAI = ({ baseUrl, apiKey, fetch, maxRetries, timeoutMs }) =>
  new OpenAI({ baseURL: baseUrl, apiKey, ...present({ fetch, maxRetries, timeout: timeoutMs }) })

const model = 'gpt-4o-mini'
const Word = z.object({ word: z.string(), length: z.number() })
const parameters = {
  type: 'object',
  properties: { place: { type: 'string' } },
  required: ['place'],
  additionalProperties: false,
}

type Options = { readonly signal?: AbortSignal }
type Call = (client: OpenAI, prompt: string, options: Options) => Promise<unknown>

/** The official SDK, by however it is built. */
export function openaiWays(build: BuildOpenAI): readonly Way[] {
  const way = (name: string, call: Call, more: Pick<Way, 'connectStream'> = {}): Way => ({
    name: `openai: ${name}`,
    connect(connection) {
      const client = build(connection)
      return (prompt, { signal } = {}) => call(client, prompt, present({ signal }))
    },
    abortable: true,
    limitable: true,
    ...more,
  })
  return [
    way(
      'chat.completions.create',
      (client, content, options) =>
        client.chat.completions.create({ model, messages: [{ role: 'user', content }] }, options),
      {
        connectStream: (connection) => async (content) => {
          const body = { model, messages: [{ role: 'user' as const, content }], stream: true as const }
          const chunks = await Array.fromAsync(await build(connection).chat.completions.create(body))
          return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
        },
      },
    ),
    way('chat.completions.create with tools', (client, content, options) =>
      client.chat.completions.create(
        {
          model,
          messages: [{ role: 'user', content }],
          tools: [{ type: 'function', function: { name: 'weather', parameters } }],
          tool_choice: 'required',
        },
        options,
      ),
    ),
    way('chat.completions.parse', (client, content, options) =>
      client.chat.completions.parse(
        { model, messages: [{ role: 'user', content }], response_format: zodResponseFormat(Word, 'word') },
        options,
      ),
    ),
    way('responses.create', (client, input, options) => client.responses.create({ model, input }, options), {
      connectStream: (connection) => async (input) => {
        const events = await Array.fromAsync(await build(connection).responses.create({ model, input, stream: true }))
        return events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')
      },
    }),
    way('responses.create with tools', (client, input, options) =>
      client.responses.create(
        {
          model,
          input,
          tools: [{ type: 'function', name: 'weather', parameters, strict: true }],
          tool_choice: 'required',
        },
        options,
      ),
    ),
    way('responses.parse', (client, input, options) =>
      client.responses.parse({ model, input, text: { format: zodTextFormat(Word, 'word') } }, options),
    ),
    // Asks for base64 and decodes it, unless told otherwise.
    way('embeddings.create', (client, input, options) =>
      client.embeddings.create({ model: 'text-embedding-3-small', input, dimensions: 32 }, options),
    ),
    way('embeddings.create as floats', (client, input, options) =>
      client.embeddings.create(
        { model: 'text-embedding-3-small', input: [input, `${input}, twice`], encoding_format: 'float', dimensions: 8 },
        options,
      ),
    ),
  ]
}
