import type { Client } from '../client.ts'
import { chatCompletions, responses } from './openai-sdk.ts'

const models = { chat: 'Qwen/Qwen3-30B-A3B', embeddings: 'Qwen/Qwen3-Embedding-8B' }

/** Its official client is OpenAI's. */
export const doublewordSdkClients: readonly Client[] = [
  { name: 'openai (chat)', provider: 'doubleword', connect: chatCompletions(models) },
  { name: 'openai (responses)', provider: 'doubleword', connect: responses(models) },
]
