import { createOpenAI, type OpenAIProvider } from '@ai-sdk/openai'
import { embed, embedMany, generateObject, generateText, isStepCount, Output, streamText, tool } from 'ai'
import { z } from 'zod'
import { type Ask, type Connection, eitherSignal, present, type Way } from './clients.ts'

interface Settings {
  readonly maxRetries?: number
  readonly abortSignal?: AbortSignal
}
type Call = (provider: OpenAIProvider, prompt: string, settings: Settings & { timeout?: number }) => Promise<unknown>

const model = 'gpt-4o-mini'
const Word = z.object({ word: z.string() })

const weather = tool({
  description: 'The weather at a place',
  inputSchema: z.object({ place: z.string() }),
  execute: ({ place }) => `sunny in ${place}`,
})

function build({ baseUrl, apiKey, fetch }: Connection): OpenAIProvider {
  return createOpenAI({ baseURL: baseUrl, apiKey, ...present({ fetch }) })
}

function connect(call: Call): (connection: Connection) => Ask {
  return (connection) => {
    const provider = build(connection)
    const { maxRetries, timeoutMs: timeout } = connection
    return (prompt, { signal } = {}) => call(provider, prompt, present({ maxRetries, timeout, abortSignal: signal }))
  }
}

type Generated = Pick<
  Awaited<ReturnType<typeof generateText>>,
  'text' | 'finishReason' | 'usage' | 'steps' | 'warnings'
>

/** The part of a result that is the model's doing, over all steps. */
function told({ text, finishReason, usage, steps, warnings }: Generated): unknown {
  const each = steps.map(({ content, response, usage }) => ({
    content,
    messages: response.messages,
    id: response.id,
    usage,
  }))
  return { text, finishReason, usage, steps: each, warnings }
}

const limits = { abortable: true, limitable: true } as const
/** Between the steps of a loop the AI SDK looks at its limit itself, where nobody else can. */
const loopLimits = { abortable: true, limitable: false } as const

/** The AI SDK: it looks the global fetch up with each call, and retries whatever `x-should-retry` says. */
export const aiSdkWays: readonly Way[] = [
  {
    name: 'ai: generateText (responses)',
    connect: connect(async (provider, prompt, settings) =>
      told(await generateText({ model: provider(model), prompt, ...settings })),
    ),
    connectStream: (connection) => async (prompt) => streamText({ model: build(connection)(model), prompt }).text,
    ...limits,
  },
  {
    name: 'ai: generateText (chat)',
    connect: connect(async (provider, prompt, settings) =>
      told(await generateText({ model: provider.chat(model), prompt, ...settings })),
    ),
    connectStream: (connection) => async (prompt) => streamText({ model: build(connection).chat(model), prompt }).text,
    ...limits,
  },
  {
    name: 'ai: generateText with output',
    connect: connect(async (provider, prompt, settings) => {
      const result = await generateText({
        model: provider(model),
        output: Output.object({ schema: Word }),
        prompt,
        ...settings,
      })
      return { output: result.output, usage: result.usage }
    }),
    ...limits,
  },
  {
    name: 'ai: generateObject',
    connect: connect(async (provider, prompt, { timeout, abortSignal, ...settings }) => {
      const signal = eitherSignal(abortSignal, timeout)
      const result = await generateObject({
        model: provider.chat(model),
        schema: Word,
        prompt,
        ...settings,
        ...present({ abortSignal: signal }),
      })
      return { object: result.object, usage: result.usage }
    }),
    ...limits,
  },
  {
    name: 'ai: generateText with a tool call',
    connect: connect(async (provider, prompt, settings) =>
      told(
        await generateText({
          model: provider.chat(model),
          tools: { weather },
          toolChoice: 'required',
          prompt,
          ...settings,
        }),
      ),
    ),
    ...limits,
  },
  {
    name: 'ai: generateText with a loop of tools (chat)',
    connect: connect(async (provider, prompt, settings) => told(await loop(provider.chat(model), prompt, settings))),
    ...loopLimits,
  },
  {
    name: 'ai: generateText with a loop of tools (responses)',
    connect: connect(async (provider, prompt, settings) => told(await loop(provider(model), prompt, settings))),
    ...loopLimits,
  },
  {
    name: 'ai: embed and embedMany',
    connect: connect(async (provider, value, { timeout, abortSignal, ...settings }) => {
      const signal = eitherSignal(abortSignal, timeout)
      const { embedding, usage } = await embed({
        model: embedder(provider),
        value,
        ...settings,
        ...present({ abortSignal: signal }),
      })
      return { embedding, usage }
    }),
    connectMany: (connection) => {
      const provider = build(connection)
      return async (values) => (await embedMany({ model: embedder(provider), values: [...values] })).embeddings
    },
    ...limits,
  },
]

function embedder(provider: OpenAIProvider) {
  return provider.embedding('text-embedding-3-small')
}

/** Asks for the tool, runs it, and answers with what it said. */
async function loop(
  model: Parameters<typeof generateText>[0]['model'],
  prompt: string,
  settings: Settings & { timeout?: number },
): Promise<Generated> {
  const result = await generateText({
    model,
    tools: { weather },
    stopWhen: isStepCount(4),
    prompt: `${prompt} [[simulate:tool]]`,
    ...settings,
  })
  if (result.steps.length !== 2 || result.text === '') throw new Error(`not a loop: ${result.steps.length} steps`)
  return result
}
