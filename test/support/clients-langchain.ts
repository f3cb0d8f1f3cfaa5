import type { AIMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { z } from 'zod'
import { type Connection, present, type Way } from './clients.ts'

const Word = z.object({ word: z.string() })
const weather = tool(({ place }: { place: string }) => `sunny in ${place}`, {
  name: 'weather',
  description: 'The weather at a place',
  schema: z.object({ place: z.string() }),
})

function settings({ baseUrl, apiKey, fetch, maxRetries, timeoutMs }: Connection) {
  return {
    apiKey,
    configuration: { baseURL: baseUrl, ...present({ fetch }) },
    ...present({ maxRetries, timeout: timeoutMs }),
  }
}

function build(connection: Connection, more: { useResponsesApi?: boolean } = {}): ChatOpenAI {
  return new ChatOpenAI({ model: 'gpt-4o-mini', ...settings(connection), ...more })
}

/** What of a message is the model's doing. */
function told({ content, tool_calls: toolCalls, usage_metadata: usage, id }: AIMessage): unknown {
  return { content, toolCalls, usage, id }
}

const limits = { abortable: true, limitable: true } as const

/** LangChain.js: it builds its inner client when it first needs it, and retries by itself around it. */
export const langchainWays: readonly Way[] = [
  {
    name: 'langchain: ChatOpenAI.invoke and batch',
    connect: (connection) => {
      const chat = build(connection)
      return async (prompt, { signal } = {}) => told(await chat.invoke(prompt, present({ signal })))
    },
    connectMany: (connection) => {
      const chat = build(connection)
      return async (prompts) => (await chat.batch([...prompts])).map(told)
    },
    connectStream: (connection) => async (prompt) => {
      const chunks = await Array.fromAsync(await build(connection).stream(prompt))
      return chunks.map(({ text }) => text).join('')
    },
    ...limits,
  },
  {
    name: 'langchain: ChatOpenAI.invoke (responses)',
    connect: (connection) => {
      const chat = build(connection, { useResponsesApi: true })
      return async (prompt, { signal } = {}) => told(await chat.invoke(prompt, present({ signal })))
    },
    ...limits,
  },
  {
    name: 'langchain: ChatOpenAI.withStructuredOutput',
    connect: (connection) => {
      const chat = build(connection).withStructuredOutput(Word)
      return (prompt, { signal } = {}) => chat.invoke(prompt, present({ signal }))
    },
    ...limits,
  },
  {
    name: 'langchain: ChatOpenAI.bindTools',
    connect: (connection) => {
      const chat = build(connection).bindTools([weather], { tool_choice: 'required' })
      return async (prompt, { signal } = {}) => told(await chat.invoke(prompt, present({ signal })))
    },
    ...limits,
  },
  {
    name: 'langchain: OpenAIEmbeddings',
    connect: (connection) => {
      const embeddings = buildEmbeddings(connection)
      return (text) => embeddings.embedQuery(text)
    },
    connectMany: (connection) => {
      const embeddings = buildEmbeddings(connection)
      return (texts) => embeddings.embedDocuments([...texts])
    },
    abortable: false,
    limitable: true,
  },
]

function buildEmbeddings(connection: Connection): OpenAIEmbeddings {
  return new OpenAIEmbeddings({ model: 'text-embedding-3-small', dimensions: 32, ...settings(connection) })
}
