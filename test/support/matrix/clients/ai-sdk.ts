import { embed, generateText, type LanguageModel, type EmbeddingModel, Output, tool } from 'ai'
import { type Connection, present } from '../../clients.ts'
import { type Answer, type Calls, INSTRUCTIONS, PIXEL, Place, WEATHER, WEATHER_DESCRIPTION, Word } from '../client.ts'

interface Models {
  readonly model: LanguageModel
  /** Absent where the provider package has none. */
  readonly embedding?: EmbeddingModel
  /** Whether the package sends schemas. Default true. */
  readonly schemas?: boolean
}

const image = { type: 'file' as const, mediaType: 'image/png', data: { type: 'data' as const, data: PIXEL } }

/** The AI SDK over one of its provider packages. */
export function aiSdk(build: (settings: { baseURL: string; apiKey: string }) => Models) {
  return ({ baseUrl, apiKey, maxRetries, timeoutMs: timeout }: Connection): Calls => {
    const { model, embedding, schemas = true } = build({ baseURL: baseUrl, apiKey })
    const settings = present({ maxRetries, timeout })
    return {
      plain: async (prompt, { signal: abortSignal } = {}) =>
        told(await generateText({ model, prompt, ...settings, ...present({ abortSignal }) })),
      async tools(prompt) {
        const result = await generateText({
          model,
          instructions: INSTRUCTIONS,
          prompt,
          tools: { [WEATHER]: tool({ description: WEATHER_DESCRIPTION, inputSchema: Place }) },
          toolChoice: 'required',
        })
        const call = result.toolCalls[0]
        return { gist: { name: call?.toolName ?? '', input: call?.input }, whole: told(result).whole }
      },
      ...(schemas && {
        async schema(prompt: string) {
          const result = await generateText({ model, prompt, output: Output.object({ schema: Word }) })
          return { gist: result.output, whole: told(result).whole }
        },
      }),
      ...(embedding && {
        async embeddings(value: string) {
          const { embedding: gist, usage, warnings } = await embed({ model: embedding, value })
          return { gist, whole: { gist, usage, warnings } }
        },
      }),
      image: async (text) =>
        told(await generateText({ model, messages: [{ role: 'user', content: [{ type: 'text', text }, image] }] })),
    }
  }
}

type Generated = Pick<
  Awaited<ReturnType<typeof generateText>>,
  'text' | 'content' | 'finishReason' | 'usage' | 'warnings' | 'response' | 'providerMetadata'
>

/** What of a result is the model's doing. */
function told({ text, content, finishReason, usage, warnings, response, providerMetadata }: Generated): Answer<string> {
  const { id, modelId, messages } = response
  return { gist: text, whole: { content, finishReason, usage, warnings, id, modelId, messages, providerMetadata } }
}
