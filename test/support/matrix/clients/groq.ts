import { createGroq } from '@ai-sdk/groq'
import Groq from 'groq-sdk'
import { type Connection, present } from '../../clients.ts'
import { type Calls, type Client, PIXEL_URL, WORD_SCHEMA } from '../client.ts'
import { no, notApplicable } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { called, parsed, spoken, toolQuestion } from './openai-sdk.ts'

const model = 'openai/gpt-oss-20b'
const embeddingModel = 'nomic-embed-text-v1_5'

function official({ baseUrl, apiKey, maxRetries, timeoutMs }: Connection): Calls {
  const client = new Groq({ baseURL: baseUrl, apiKey, ...present({ maxRetries, timeout: timeoutMs }) })
  const { completions } = client.chat
  return {
    plain: async (content, options = {}) =>
      spoken(await completions.create({ model, messages: [{ role: 'user', content }] }, present({ ...options }))),
    tools: async (content) => called(await completions.create(toolQuestion(model, content))),
    schema: async (content) =>
      parsed(
        await completions.create({
          model,
          messages: [{ role: 'user', content }],
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'word', strict: true, schema: { ...WORD_SCHEMA } },
          },
        }),
      ),
    async embeddings(input) {
      const whole = await client.embeddings.create({ model: embeddingModel, input })
      const vector = whole.data[0]?.embedding
      return { gist: Array.isArray(vector) ? vector : [], whole }
    },
    image: async (text) =>
      spoken(
        await completions.create({
          model,
          messages: [
            {
              role: 'user',
              content: [
                { type: 'text', text },
                { type: 'image_url', image_url: { url: PIXEL_URL } },
              ],
            },
          ],
        }),
      ),
  }
}

export const groqSdkClients: readonly Client[] = [
  {
    name: 'groq-sdk',
    provider: 'groq',
    connect: official,
    but: { embeddings: no('went live', 'batches of this provider take no embeddings') },
  },
]

export const groqFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/groq',
    provider: 'groq',
    path: '/openai/v1',
    connect: aiSdk((settings) => ({ model: createGroq(settings)(model) })),
    but: { embeddings: notApplicable('the package has none') },
  },
]
