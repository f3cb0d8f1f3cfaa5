import { createMistral } from '@ai-sdk/mistral'
import { ChatMistralAI, MistralAIEmbeddings } from '@langchain/mistralai'
import { Mistral } from '@mistralai/mistralai'
import { type Connection, present } from '../../clients.ts'
import { type Calls, type Client, INSTRUCTIONS, PIXEL_URL, PLACE_SCHEMA, WEATHER, Word } from '../client.ts'
import { no, notApplicable } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { langchain } from './langchain.ts'

const model = 'mistral-small-latest'
const embeddingModel = 'mistral-embed'

function official({ baseUrl, apiKey, timeoutMs }: Connection): Calls {
  const client = new Mistral({ serverURL: baseUrl, apiKey, ...present({ timeoutMs }) })
  type Completion = Awaited<ReturnType<typeof client.chat.complete>>
  const spoken = (whole: Completion) => {
    const content = whole.choices?.[0]?.message?.content
    return { gist: typeof content === 'string' ? content : '', whole }
  }
  return {
    plain: async (content, options = {}) =>
      spoken(await client.chat.complete({ model, messages: [{ role: 'user', content }] }, present({ ...options }))),
    async tools(content) {
      const whole = await client.chat.complete({
        model,
        messages: [
          { role: 'system', content: INSTRUCTIONS },
          { role: 'user', content },
        ],
        tools: [{ type: 'function', function: { name: WEATHER, parameters: { ...PLACE_SCHEMA } } }],
        toolChoice: 'any',
      })
      const call = whole.choices?.[0]?.message?.toolCalls?.[0]?.function
      const input: unknown = typeof call?.arguments === 'string' ? JSON.parse(call.arguments) : call?.arguments
      return { gist: { name: call?.name ?? '', input }, whole }
    },
    async schema(content) {
      const whole = await client.chat.parse({ model, messages: [{ role: 'user', content }], responseFormat: Word })
      return { gist: whole.choices?.[0]?.message?.parsed, whole }
    },
    async embeddings(inputs) {
      const whole = await client.embeddings.create({ model: embeddingModel, inputs })
      return { gist: whole.data[0]?.embedding ?? [], whole }
    },
    image: async (text) =>
      spoken(
        await client.chat.complete({
          model,
          messages: [
            {
              role: 'user',
              content: [
                { type: 'text', text },
                { type: 'image_url', imageUrl: PIXEL_URL },
              ],
            },
          ],
        }),
      ),
  }
}

const LOSES =
  'the SDK passes on a clone of its request, and Node loses the abort of that with its garbage, live or batched'

export const mistralSdkClients: readonly Client[] = [
  {
    name: '@mistralai/mistralai',
    provider: 'mistral',
    connect: official,
    losesAborts: true,
    but: { 'user abort': notApplicable(LOSES, 'lasted, also live') },
  },
]

const STREAMS = 'ChatMistralAI streams whenever it is given a signal or a limit'

export const mistralFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/mistral',
    provider: 'mistral',
    path: '/v1',
    connect: aiSdk((settings) => {
      const provider = createMistral(settings)
      return { model: provider(model), embedding: provider.embedding(embeddingModel) }
    }),
  },
  {
    name: '@langchain/mistralai',
    provider: 'mistral',
    connect: langchain(({ baseUrl: serverURL, apiKey, maxRetries, timeoutMs: timeout }) => ({
      chat: new ChatMistralAI({ model, apiKey, serverURL, ...present({ maxRetries }) }),
      embeddings: new MistralAIEmbeddings({ model: embeddingModel, apiKey, serverURL, ...present({ maxRetries }) }),
      limit: { timeout },
    })),
    but: { 'user abort': no('went live', STREAMS), 'SDK timeout': no('went live', STREAMS) },
  },
]
