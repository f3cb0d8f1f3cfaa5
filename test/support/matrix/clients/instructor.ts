import { z } from 'zod'
import { buildOpenAI } from '../../clients-openai.ts'
import { type Connection, present } from '../../clients.ts'
import { type Answer, type Calls, Word } from '../client.ts'

const MAX_TRIES = 2

/**
 * Structured output as Instructor does it: the model is made to call one tool whose parameters are the schema, what it calls it with is
 * parsed and validated, and a model that got it wrong is told so and asked again.
 */
export function instructor(model: string) {
  return (connection: Connection): Calls => {
    const client = buildOpenAI(connection)

    async function ask<T>(prompt: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<Answer<T>> {
      const messages: { role: 'user'; content: string }[] = [{ role: 'user', content: prompt }]
      for (let tries = 1; ; tries++) {
        const whole = await client.chat.completions.create(
          {
            model,
            messages,
            tools: [
              { type: 'function', function: { name: 'answer', parameters: z.toJSONSchema(schema), strict: true } },
            ],
            tool_choice: { type: 'function', function: { name: 'answer' } },
          },
          present({ signal }),
        )
        const call = whole.choices[0]?.message.tool_calls?.[0]
        const given: unknown = call?.type === 'function' ? JSON.parse(call.function.arguments) : undefined
        const read = schema.safeParse(given)
        if (read.success) return { gist: read.data, whole }
        if (tries === MAX_TRIES) throw read.error
        messages.push({ role: 'user', content: `Please correct this: ${z.prettifyError(read.error)}` })
      }
    }

    return {
      async plain(prompt, { signal } = {}) {
        const { gist, whole } = await ask(prompt, Said, signal)
        return { gist: gist.said, whole }
      },
      schema: (prompt) => ask(prompt, Word),
    }
  }
}

const Said = z.object({ said: z.string() })
