import { createAnthropic } from '@ai-sdk/anthropic'
import Anthropic from '@anthropic-ai/sdk'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import { ChatAnthropic } from '@langchain/anthropic'
import { z } from 'zod'
import { type Connection, present } from '../../clients.ts'
import {
  type Answer,
  type Calls,
  type Client,
  INSTRUCTIONS,
  PIXEL,
  PLACE_SCHEMA,
  type ToolCall,
  WEATHER,
  WEATHER_DESCRIPTION,
  Word,
  WORD_SCHEMA,
} from '../client.ts'
import { notApplicable } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { poster } from './fetch.ts'
import { langchain, LIMITED_BY_SETTING } from './langchain.ts'

const model = 'claude-haiku-4-5'
const base = { model, max_tokens: 256 }
const but = { embeddings: notApplicable('Anthropic has no embeddings') }

const asked = (content: string) => ({ ...base, messages: [{ role: 'user' as const, content }] })
const toolQuestion = (content: string) => ({
  ...asked(content),
  system: INSTRUCTIONS,
  tools: [{ name: WEATHER, description: WEATHER_DESCRIPTION, input_schema: { ...PLACE_SCHEMA, required: ['place'] } }],
  tool_choice: { type: 'any' as const },
})
const imageQuestion = (text: string) => ({
  ...base,
  messages: [
    {
      role: 'user' as const,
      content: [
        { type: 'image' as const, source: { type: 'base64' as const, media_type: 'image/png' as const, data: PIXEL } },
        { type: 'text' as const, text },
      ],
    },
  ],
})

function official({ baseUrl, apiKey, maxRetries, timeoutMs }: Connection): Calls {
  const client = new Anthropic({ baseURL: baseUrl, apiKey, ...present({ maxRetries, timeout: timeoutMs }) })
  return {
    plain: async (prompt, options = {}) => spoken(await client.messages.create(asked(prompt), present({ ...options }))),
    tools: async (prompt) => called(await client.messages.create(toolQuestion(prompt))),
    async schema(prompt) {
      const format = zodOutputFormat(Word)
      const whole = await client.messages.parse({ ...asked(prompt), output_config: { format } })
      return { gist: whole.parsed_output, whole }
    },
    image: async (text) => spoken(await client.messages.create(imageQuestion(text))),
  }
}

/** The messages, asked for by hand. */
function byHand(connection: Connection): Calls {
  const post = poster(connection, { 'x-api-key': connection.apiKey, 'anthropic-version': '2023-06-01' })
  const create = (body: object, signal?: AbortSignal): Promise<unknown> => post('/v1/messages', body, signal)
  return {
    plain: async (prompt, { signal } = {}) => spoken(await create(asked(prompt), signal)),
    tools: async (prompt) => called(await create(toolQuestion(prompt))),
    async schema(prompt) {
      const format = { type: 'json_schema', schema: WORD_SCHEMA }
      const { gist, whole } = spoken(await create({ ...asked(prompt), output_config: { format } }))
      return { gist: JSON.parse(gist), whole }
    },
    image: async (text) => spoken(await create(imageQuestion(text))),
  }
}

const Message = z.looseObject({
  content: z.array(
    z.union([
      z.looseObject({ type: z.literal('text'), text: z.string() }),
      z.looseObject({ type: z.literal('tool_use'), name: z.string(), input: z.unknown() }),
    ]),
  ),
})

function spoken(whole: unknown): Answer<string> {
  const { content } = Message.parse(whole)
  return { gist: content.map((part) => (part.type === 'text' ? part.text : '')).join(''), whole }
}

function called(whole: unknown): Answer<ToolCall> {
  const call = Message.parse(whole).content.find((part) => part.type === 'tool_use')
  return { gist: { name: call?.name ?? '', input: call?.input }, whole }
}

export const anthropicSdkClients: readonly Client[] = [
  { name: '@anthropic-ai/sdk', provider: 'anthropic', connect: official, but },
  { name: 'fetch', provider: 'anthropic', connect: byHand, but },
]

export const anthropicFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/anthropic',
    provider: 'anthropic',
    path: '/v1',
    connect: aiSdk((settings) => ({ model: createAnthropic(settings)(model) })),
    but,
  },
  {
    name: '@langchain/anthropic',
    provider: 'anthropic',
    connect: langchain(({ baseUrl, apiKey, maxRetries, timeoutMs }) => ({
      chat: new ChatAnthropic({
        model,
        maxTokens: 256,
        apiKey,
        anthropicApiUrl: baseUrl,
        clientOptions: present({ timeout: timeoutMs }),
        ...present({ maxRetries }),
      }),
    })),
    but: { ...but, ...LIMITED_BY_SETTING },
  },
]
