import { createXai } from '@ai-sdk/xai'
import type { Connection } from '../../clients.ts'
import type { Ask, Calls, Client } from '../client.ts'
import { type Exceptions, notApplicable, yesBut } from '../outcome.ts'
import { aiSdk } from './ai-sdk.ts'
import { chatCompletions, responses } from './openai-sdk.ts'

const models = { chat: 'grok-4' }
const but: Exceptions = { embeddings: notApplicable('no embedding endpoint of xAI is known here') }

const UNECHOED = yesBut(
  'batches answer responses as chat completions: what a Response echoes of its request is not in it',
)
const butUnechoed: Exceptions = {
  ...but,
  'plain answer': UNECHOED,
  'system + tools': UNECHOED,
  'JSON schema': UNECHOED,
  image: UNECHOED,
  'SDK timeout': UNECHOED,
  'before import': UNECHOED,
  inside: UNECHOED,
}

/** Calls whose answers are less what they echo: of all of one, only these members. */
function only(
  members: readonly string[],
  connect: (connection: Connection) => Calls,
): (connection: Connection) => Calls {
  return (connection) => {
    const calls = connect(connection)
    const asks = Object.entries(calls).map(([name, ask]): [string, Ask<unknown>] => [
      name,
      async (prompt, options) => {
        const { gist, whole } = await ask(prompt, options)
        return {
          gist,
          whole: Object.fromEntries(members.map((member) => [member, Reflect.get(Object(whole), member)])),
        }
      },
    ])
    return { ...calls, ...Object.fromEntries(asks) }
  }
}

/** Its official client is OpenAI's. */
export const xaiSdkClients: readonly Client[] = [
  { name: 'openai (chat)', provider: 'xai', connect: chatCompletions(models), but },
  {
    name: 'openai (responses)',
    provider: 'xai',
    connect: only(['id', 'model', 'status', 'incomplete_details', 'error', 'usage', 'output_text'], responses(models)),
    but: butUnechoed,
  },
]

export const xaiFrameworkClients: readonly Client[] = [
  {
    name: '@ai-sdk/xai (responses)',
    provider: 'xai',
    connect: only(
      ['content', 'finishReason', 'usage', 'warnings', 'id', 'modelId', 'messages'],
      aiSdk((settings) => ({ model: createXai(settings)(models.chat) })),
    ),
    but: butUnechoed,
  },
]
