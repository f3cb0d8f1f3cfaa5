import { fixtureJson } from '../../support/provider-call.ts'
import type { Subject } from './subject.ts'

const model = 'Qwen/Qwen3.5-9B'
const chat = (content: string) => ({ model, messages: [{ role: 'user', content }] })

export const doubleword: Subject = {
  name: 'doubleword',
  path: '/chat/completions',
  bodyFor: chat,
  rejected: chat('[[simulate:400]]'),
  invalid: { body: '{"messages":[]}', by: 'upload', line: 2 },
  requests: {
    '/chat/completions': chat('hello'),
    '/completions': { model, prompt: 'hello' },
    '/embeddings': { model: 'Qwen/Qwen3-Embedding-8B', input: 'hello' },
    '/responses': { model, input: 'hello' },
    '/messages': { model, max_tokens: 64, messages: [{ role: 'user', content: 'hello' }] },
  },
  others: [
    ['GET', '/chat/completions'],
    ['POST', '/chat/completions/'],
    ['GET', '/responses/resp_1'],
    ['POST', '/messages/count_tokens'],
    ['POST', '/moderations'],
    ['POST', '/images/generations'],
    ['POST', '/files'],
    ['GET', '/files/1/content'],
    ['POST', '/batches'],
    ['GET', '/batches'],
    ['POST', '/batches/1/cancel'],
    ['POST', '/batches/1/retry'],
    ['GET', '/batches/1/results'],
    ['GET', '/models'],
  ],
  expired: 'never',
  cancelled: { outcome: 'cancelled', rest: 'missing' },
  unknownBatch: (n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  stateReply: (status) => ({ ...fixtureJson('doubleword', 'create-reply.json'), status }),
}
