import type OpenAI from 'openai'
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { buildOpenAI } from '../../clients-openai.ts'
import { present, type Connection } from '../../clients.ts'
import {
  type Answer,
  type Calls,
  INSTRUCTIONS,
  PIXEL_URL,
  PLACE_SCHEMA,
  type ToolCall,
  WEATHER,
  WEATHER_DESCRIPTION,
  Word,
} from '../client.ts'

export interface Models {
  readonly chat: string
  /** Absent where the provider has none. */
  readonly embeddings?: string
}

/** The official SDK's chat completions, which several providers answer. */
export function chatCompletions(models: Models, build: (connection: Connection) => OpenAI = buildOpenAI) {
  return (connection: Connection): Calls => {
    const client = build(connection)
    const model = models.chat
    return {
      plain: async (content, options = {}) =>
        spoken(
          await client.chat.completions.create(
            { model, messages: [{ role: 'user', content }] },
            present({ ...options }),
          ),
        ),
      tools: async (content) => called(await client.chat.completions.create(toolQuestion(model, content))),
      async schema(content) {
        const whole = await client.chat.completions.parse({
          model,
          messages: [{ role: 'user', content }],
          response_format: zodResponseFormat(Word, 'word'),
        })
        return { gist: whole.choices[0]?.message.parsed, whole }
      },
      ...embeddingsOf(client, models),
      image: async (text) =>
        spoken(
          await client.chat.completions.create({
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
}

/** The official SDK's responses. */
export function responses(models: Models) {
  return (connection: Connection): Calls => {
    const client = buildOpenAI(connection)
    const model = models.chat
    return {
      plain: async (input, options = {}) =>
        written(await client.responses.create({ model, input }, present({ ...options }))),
      async tools(input) {
        const whole = await client.responses.create({
          model,
          instructions: INSTRUCTIONS,
          input,
          tools: [{ type: 'function', name: WEATHER, parameters: PLACE_SCHEMA, strict: true }],
          tool_choice: 'required',
        })
        const call = whole.output.find((item) => item.type === 'function_call')
        return { gist: toolCall(call?.name, call?.arguments), whole }
      },
      async schema(input) {
        const whole = await client.responses.parse({ model, input, text: { format: zodTextFormat(Word, 'word') } })
        return { gist: whole.output_parsed, whole }
      },
      ...embeddingsOf(client, models),
      image: async (text) =>
        written(
          await client.responses.create({
            model,
            input: [
              {
                role: 'user',
                content: [
                  { type: 'input_text', text },
                  { type: 'input_image', image_url: PIXEL_URL, detail: 'auto' },
                ],
              },
            ],
          }),
        ),
    }
  }
}

function embeddingsOf(client: OpenAI, { embeddings: model }: Models): Pick<Calls, 'embeddings'> {
  if (model === undefined) return {}
  return {
    async embeddings(input) {
      const whole = await client.embeddings.create({ model, input, dimensions: 32 })
      return { gist: whole.data[0]?.embedding ?? [], whole }
    },
  }
}

/** A question that has to be answered with a call of the tool. */
export function toolQuestion(model: string, content: string) {
  return {
    model,
    messages: [
      { role: 'system' as const, content: INSTRUCTIONS },
      { role: 'user' as const, content },
    ],
    tools: [
      {
        type: 'function' as const,
        function: { name: WEATHER, description: WEATHER_DESCRIPTION, parameters: { ...PLACE_SCHEMA } },
      },
    ],
    tool_choice: 'required' as const,
  }
}

const Call = z.looseObject({ function: z.object({ name: z.string(), arguments: z.string() }) })
const Message = z.looseObject({ content: z.string().nullish(), tool_calls: z.array(Call).nullish() })

/** A chat completion, by whatever it was read. */
const Completion = z.looseObject({ choices: z.array(z.looseObject({ message: Message })).min(1) })

/** The text of a chat completion. */
export function spoken(whole: unknown): Answer<string> {
  return { gist: messageOf(whole)?.content ?? '', whole }
}

/** The tool a chat completion calls. */
export function called(whole: unknown): Answer<ToolCall> {
  const call = messageOf(whole)?.tool_calls?.[0]?.function
  return { gist: toolCall(call?.name, call?.arguments), whole }
}

/** What a chat completion says, read as JSON. */
export function parsed(whole: unknown): Answer<unknown> {
  return { gist: JSON.parse(spoken(whole).gist), whole }
}

function messageOf(whole: unknown) {
  return Completion.parse(whole).choices[0]?.message
}

function toolCall(name = '', input = '{}'): ToolCall {
  return { name, input: JSON.parse(input) }
}

function written(whole: OpenAI.Responses.Response): Answer<string> {
  return { gist: whole.output_text, whole }
}
