import { createTogetherAI } from '@ai-sdk/togetherai'
import Together from 'together-ai'
import { type Connection, present } from '../../clients.ts'
import { type Calls, type Client, PIXEL_URL, WORD_SCHEMA } from '../client.ts'
import { no, notApplicable, yesBut } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { called, parsed, spoken, toolQuestion } from './openai-sdk.ts'

const model = 'meta-llama/Llama-3.3-70B-Instruct-Turbo'
const embeddingModel = 'intfloat/multilingual-e5-large-instruct'
const SAME_STATUS = yesBut('the same class and status; of the rest of the error a batch tells less')
const but = {
  embeddings: no('went live', 'batches of this provider take no embeddings'),
  'row 400': SAME_STATUS,
  'row 429': SAME_STATUS,
}

function official({ baseUrl, apiKey, maxRetries, timeoutMs }: Connection): Calls {
  const client = new Together({ baseURL: baseUrl, apiKey, ...present({ maxRetries, timeout: timeoutMs }) })
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
          response_format: { type: 'json_schema', json_schema: { name: 'word', schema: { ...WORD_SCHEMA } } },
        }),
      ),
    async embeddings(input) {
      const whole = await client.embeddings.create({ model: embeddingModel, input })
      return { gist: whole.data[0]?.embedding ?? [], whole }
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

/** A failed row of a batch has a message and a code, and nothing else of the error a live call gets. */
const rowErrors = 'class and status'

export const togetherSdkClients: readonly Client[] = [
  { name: 'together-ai', provider: 'together', connect: official, rowErrors, but },
]

export const togetherFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/togetherai',
    provider: 'together',
    connect: aiSdk((settings) => {
      const provider = createTogetherAI(settings)
      return { model: provider(model), embedding: provider.embeddingModel(embeddingModel), schemas: false }
    }),
    rowErrors,
    but: { ...but, 'JSON schema': notApplicable('the package sends no schema, only that the answer be JSON') },
  },
]
