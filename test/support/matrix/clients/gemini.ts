import { createGoogle } from '@ai-sdk/google'
import { FunctionCallingConfigMode, GoogleGenAI } from '@google/genai'
import { ChatGoogle } from '@langchain/google'
import { ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings } from '@langchain/google-genai'
import { z } from 'zod'
import { type Connection, present } from '../../clients.ts'
import {
  type Answer,
  type Calls,
  type Client,
  INSTRUCTIONS,
  PIXEL,
  PLACE_SCHEMA,
  WEATHER,
  WEATHER_DESCRIPTION,
  WORD_SCHEMA,
} from '../client.ts'
import { no, notApplicable, yesBut } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { poster } from './fetch.ts'
import { langchain } from './langchain.ts'

const model = 'gemini-2.5-flash'
const embeddingModel = 'gemini-embedding-001'

const declaration = { name: WEATHER, description: WEATHER_DESCRIPTION, parametersJsonSchema: PLACE_SCHEMA }
const picture = { inlineData: { mimeType: 'image/png', data: PIXEL } }

function official({ baseUrl, apiKey, timeoutMs }: Connection): Calls {
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl, ...present({ timeout: timeoutMs }) } })
  type Generated = Awaited<ReturnType<typeof client.models.generateContent>>
  const spoken = (whole: Generated): Answer<string> => ({ gist: whole.text ?? '', whole })
  return {
    plain: async (contents, { signal: abortSignal } = {}) =>
      spoken(await client.models.generateContent({ model, contents, config: present({ abortSignal }) })),
    async tools(contents) {
      const whole = await client.models.generateContent({
        model,
        contents,
        config: {
          systemInstruction: INSTRUCTIONS,
          tools: [{ functionDeclarations: [declaration] }],
          toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
        },
      })
      const call = whole.functionCalls?.[0]
      return { gist: { name: call?.name ?? '', input: call?.args }, whole }
    },
    async schema(contents) {
      const config = { responseMimeType: 'application/json', responseJsonSchema: WORD_SCHEMA }
      const { gist, whole } = spoken(await client.models.generateContent({ model, contents, config }))
      return { gist: JSON.parse(gist), whole }
    },
    async embeddings(contents) {
      const whole = await client.models.embedContent({ model: embeddingModel, contents })
      return { gist: whole.embeddings?.[0]?.values ?? [], whole }
    },
    image: async (text) => spoken(await client.models.generateContent({ model, contents: [picture, { text }] })),
  }
}

/** The REST API, asked by hand. */
function byHand(connection: Connection): Calls {
  const post = poster(connection, { 'x-goog-api-key': connection.apiKey })
  const generate = (parts: readonly object[], more: object = {}, signal?: AbortSignal): Promise<unknown> =>
    post(`/v1beta/models/${model}:generateContent`, { contents: [{ role: 'user', parts }], ...more }, signal)
  return {
    plain: async (text, { signal } = {}) => spokenByHand(await generate([{ text }], {}, signal)),
    async tools(text) {
      const whole = await generate([{ text }], {
        systemInstruction: { parts: [{ text: INSTRUCTIONS }] },
        tools: [{ functionDeclarations: [declaration] }],
        toolConfig: { functionCallingConfig: { mode: 'ANY' } },
      })
      const call = partsOf(whole).find((part) => part.functionCall)?.functionCall
      return { gist: { name: call?.name ?? '', input: call?.args }, whole }
    },
    async schema(text) {
      const responseSchema = { type: 'OBJECT', properties: { word: { type: 'STRING' } }, required: ['word'] }
      const generationConfig = { responseMimeType: 'application/json', responseSchema }
      const { gist, whole } = spokenByHand(await generate([{ text }], { generationConfig }))
      return { gist: JSON.parse(gist), whole }
    },
    async embeddings(text) {
      const whole = await post(`/v1beta/models/${embeddingModel}:embedContent`, { content: { parts: [{ text }] } })
      return { gist: Embedded.parse(whole).embedding.values, whole }
    },
    image: async (text) => spokenByHand(await generate([picture, { text }])),
  }
}

const Part = z.looseObject({
  text: z.string().optional(),
  functionCall: z.looseObject({ name: z.string(), args: z.unknown() }).optional(),
})
const Generated = z.looseObject({
  candidates: z.tuple([z.looseObject({ content: z.looseObject({ parts: z.array(Part) }) })]),
})
const Embedded = z.looseObject({ embedding: z.looseObject({ values: z.array(z.number()) }) })

function partsOf(whole: unknown): readonly z.infer<typeof Part>[] {
  return Generated.parse(whole).candidates[0].content.parts
}

function spokenByHand(whole: unknown): Answer<string> {
  return {
    gist: partsOf(whole)
      .map(({ text = '' }) => text)
      .join(''),
    whole,
  }
}

const reworded = ['JSON schema'] as const
const REWORDED = {
  'JSON schema': yesBut(
    'a `responseJsonSchema` goes to the batch as `responseSchema`; one that cannot goes through live',
  ),
}

export const geminiSdkClients: readonly Client[] = [
  { name: '@google/genai', provider: 'gemini', connect: official, reworded, but: REWORDED },
  { name: 'fetch', provider: 'gemini', connect: byHand },
]

const UNENDED = notApplicable(
  'neither signal nor `timeout` ends a call of this package, live or batched',
  'lasted, also live',
)

export const geminiFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/google',
    provider: 'gemini',
    path: '/v1beta',
    connect: aiSdk((settings) => {
      const provider = createGoogle({ ...settings, generateId: () => 'call' })
      return { model: provider(model), embedding: provider.embedding(embeddingModel) }
    }),
    reworded,
    but: REWORDED,
  },
  {
    name: '@langchain/google-genai',
    provider: 'gemini',
    connect: langchain(({ baseUrl, apiKey, maxRetries, timeoutMs: timeout }) => ({
      chat: new ChatGoogleGenerativeAI({ model, apiKey, baseUrl, ...present({ maxRetries }) }),
      embeddings: new GoogleGenerativeAIEmbeddings({
        model: embeddingModel,
        apiKey,
        baseUrl,
        ...present({ maxRetries }),
      }),
      limit: { timeout },
    })),
    but: { 'user abort': UNENDED, 'SDK timeout': UNENDED },
  },
  {
    name: '@langchain/google',
    provider: 'gemini',
    connect: langchain(({ baseUrl, apiKey, maxRetries, timeoutMs: timeout }) => ({
      chat: new ChatGoogle({ model, apiKey, endpoint: baseUrl, ...present({ maxRetries }) }),
      limit: { timeout },
    })),
    but: {
      embeddings: notApplicable('the package has none'),
      'SDK timeout': no(
        'ended at its limit',
        'LangChain itself stops waiting at the `timeout` of a call; the next run finds the answer',
      ),
    },
  },
]
