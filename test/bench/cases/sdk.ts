import type OpenAI from 'openai'
import { measure } from '../measure.ts'
import type { Order } from '../order.ts'
import type { Measurement } from '../results.ts'
import { chatBody, checkAnswers, promptAt } from '../workload.ts'
import { scopeOptions } from './scope-options.ts'

const API_KEY = 'sk-bench'

/** The official SDK, as anybody uses it, inside `batchify`. */
export async function sdkBatched(order: Order): Promise<Measurement> {
  const { batchify } = await import('../../../src/index.ts')
  const { default: Client } = await import('openai')
  const client = new Client({ apiKey: API_KEY, baseURL: order.baseUrl })
  return await askAll(order.requests, client, (ask) => batchify(scopeOptions(order), ask))
}

/** The same calls without a network and without offpeak: what the SDK costs by itself. */
export async function sdkInstant({ requests }: Order): Promise<Measurement> {
  const { default: Client } = await import('openai')
  let answered = 0
  const instant = async (): Promise<Response> => {
    answered += 1
    return new Response(completion(answered), { headers: { 'content-type': 'application/json' } })
  }
  const client = new Client({ apiKey: API_KEY, fetch: instant })
  return await askAll(requests, client, (ask) => ask())
}

async function askAll(
  requests: number,
  client: OpenAI,
  run: (ask: () => Promise<void>) => Promise<void>,
): Promise<Measurement> {
  let answers: (string | null | undefined)[] = []
  const measured = await measure(requests, () =>
    run(async () => {
      const ask = async (n: number): Promise<string | null | undefined> => {
        const completion = await client.chat.completions.create(chatBody(promptAt(n)))
        return completion.choices[0]?.message.content
      }
      answers = await Promise.all(Array.from({ length: requests }, (_, n) => ask(n)))
    }),
  )
  checkAnswers(answers.map(String), requests)
  return measured
}

/** An answer of the shape and size that the simulator gives. */
function completion(n: number): string {
  const tokens = { prompt_tokens: 150, completion_tokens: 20, total_tokens: 170 }
  const content = `Answer ${n} of the instant fetch, about as long as the simulator's own answers are, to a prompt of some length.`
  return JSON.stringify({
    id: `chatcmpl-${n}`,
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'gpt-5-mini',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: {
      ...tokens,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    },
    service_tier: 'default',
    system_fingerprint: 'fp_simulator',
  })
}
