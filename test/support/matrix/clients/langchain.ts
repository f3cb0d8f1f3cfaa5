import type { Embeddings } from '@langchain/core/embeddings'
import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { type AIMessageChunk, HumanMessage, SystemMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { type Connection, present } from '../../clients.ts'
import {
  type Answer,
  type Calls,
  INSTRUCTIONS,
  PIXEL_URL,
  Place,
  WEATHER,
  WEATHER_DESCRIPTION,
  Word,
} from '../client.ts'
import { type Exceptions, yesBut } from '../outcome.ts'

interface Models {
  readonly chat: BaseChatModel
  readonly embeddings?: Embeddings
  /** In which call options this model takes a limit, where it has no such setting of its own. */
  readonly limit?: { readonly timeout?: number | undefined }
}

const weather = tool(({ place }: { place: string }) => `sunny in ${place}`, {
  name: WEATHER,
  description: WEATHER_DESCRIPTION,
  schema: Place,
})

/** For models with a limit of their own, which is what is looked at. */
export const LIMITED_BY_SETTING: Exceptions = {
  'SDK timeout': yesBut('with `timeout` as a setting of the model; given with a call, LangChain itself stops waiting'),
}

/** LangChain.js over one of its model packages. */
export function langchain(build: (connection: Connection) => Models) {
  return (connection: Connection): Calls => {
    const { chat, embeddings, limit = {} } = build(connection)
    return {
      plain: async (prompt, options = {}) => told(await chat.invoke(prompt, present({ ...limit, ...options }))),
      async tools(prompt) {
        if (!chat.bindTools) throw new Error('this model takes no tools')
        const bound = chat.bindTools([weather], { tool_choice: 'any' })
        const message = await bound.invoke([new SystemMessage(INSTRUCTIONS), new HumanMessage(prompt)])
        const call = message.tool_calls?.[0]
        return { gist: { name: call?.name ?? '', input: call?.args }, whole: told(message).whole }
      },
      async schema(prompt) {
        const { parsed, raw } = await chat.withStructuredOutput(Word, { includeRaw: true }).invoke(prompt)
        return { gist: parsed, whole: raw }
      },
      ...(embeddings && {
        async embeddings(text: string) {
          const gist = await embeddings.embedQuery(text)
          return { gist, whole: gist }
        },
      }),
      async image(text) {
        const picture = { type: 'image_url', image_url: { url: PIXEL_URL } }
        return told(await chat.invoke([new HumanMessage({ content: [{ type: 'text', text }, picture] })]))
      },
    }
  }
}

/** What of a message is the model's doing. */
function told(message: AIMessageChunk): Answer<string> {
  const { content, tool_calls: toolCalls, usage_metadata: usage, id, response_metadata: metadata } = message
  return { gist: message.text, whole: { content, toolCalls, usage, id, metadata } }
}
