import { createOpenAI } from '@ai-sdk/openai'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { z } from 'zod'
import { type Connection, present } from '../../clients.ts'
import { type Calls, type Client, PIXEL_URL, WORD_SCHEMA } from '../client.ts'
import { notApplicable } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { poster } from './fetch.ts'
import { instructor } from './instructor.ts'
import { langchain, LIMITED_BY_SETTING } from './langchain.ts'
import { called, chatCompletions, parsed, responses, spoken, toolQuestion } from './openai-sdk.ts'

const models = { chat: 'gpt-4o-mini', embeddings: 'text-embedding-3-small' }

const Embedded = z.looseObject({ data: z.tuple([z.looseObject({ embedding: z.array(z.number()) })]) })

/** The chat completions, asked for by hand. */
function byHand(connection: Connection): Calls {
  const post = poster(connection, { authorization: `Bearer ${connection.apiKey}` })
  const complete = (body: object, signal?: AbortSignal): Promise<unknown> =>
    post('/chat/completions', { model: models.chat, ...body }, signal)
  const asked = (content: unknown): object => ({ messages: [{ role: 'user', content }] })
  return {
    plain: async (prompt, { signal } = {}) => spoken(await complete(asked(prompt), signal)),
    tools: async (prompt) => called(await complete(toolQuestion(models.chat, prompt))),
    async schema(prompt) {
      const json_schema = { name: 'word', strict: true, schema: WORD_SCHEMA }
      return parsed(await complete({ ...asked(prompt), response_format: { type: 'json_schema', json_schema } }))
    },
    async embeddings(input) {
      const whole = Embedded.parse(await post('/embeddings', { model: models.embeddings, input }))
      return { gist: whole.data[0].embedding, whole }
    },
    image: async (text) =>
      spoken(
        await complete(
          asked([
            { type: 'text', text },
            { type: 'image_url', image_url: { url: PIXEL_URL } },
          ]),
        ),
      ),
  }
}

export const openaiSdkClients: readonly Client[] = [
  { name: 'openai (chat)', provider: 'openai', connect: chatCompletions(models) },
  { name: 'openai (responses)', provider: 'openai', connect: responses(models) },
  {
    name: 'Instructor-style',
    provider: 'openai',
    connect: instructor(models.chat),
    but: {
      'system + tools': notApplicable('the one tool is how it gets its schema'),
      embeddings: notApplicable('is for structured output'),
      image: notApplicable('is for structured output'),
    },
  },
  { name: 'fetch', provider: 'openai', connect: byHand },
]

export const openaiFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/openai (responses)',
    provider: 'openai',
    connect: aiSdk((settings) => {
      const provider = createOpenAI(settings)
      return { model: provider(models.chat), embedding: provider.embedding(models.embeddings) }
    }),
  },
  {
    name: '@ai-sdk/openai (chat)',
    provider: 'openai',
    connect: aiSdk((settings) => {
      const provider = createOpenAI(settings)
      return { model: provider.chat(models.chat), embedding: provider.embedding(models.embeddings) }
    }),
  },
  {
    name: '@langchain/openai',
    provider: 'openai',
    connect: langchain(({ baseUrl, apiKey, maxRetries, timeoutMs }) => {
      const settings = { apiKey, configuration: { baseURL: baseUrl }, ...present({ maxRetries, timeout: timeoutMs }) }
      return {
        chat: new ChatOpenAI({ model: models.chat, ...settings }),
        embeddings: new OpenAIEmbeddings({ model: models.embeddings, dimensions: 32, ...settings }),
      }
    }),
    but: LIMITED_BY_SETTING,
  },
]
