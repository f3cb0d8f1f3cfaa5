import { fixtureJson } from '../../support/provider-call.ts'
import type { Subject } from './subject.ts'

const chat = (content: string) => ({
  model: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
  messages: [{ role: 'user', content }],
})
const audio = { model: 'openai/whisper-large-v3', file: 'https://audio.test/a.wav' }

export const together: Subject = {
  name: 'together',
  path: '/chat/completions',
  bodyFor: chat,
  rejected: chat('[[simulate:400]]'),
  requests: {
    '/chat/completions': chat('hello'),
    '/audio/transcriptions': audio,
    '/audio/translations': audio,
  },
  others: [
    ['GET', '/chat/completions'],
    ['POST', '/chat/completions/'],
    ['POST', '/completions'],
    ['POST', '/embeddings'],
    ['POST', '/images/generations'],
    ['POST', '/rerank'],
    ['POST', '/audio/speech'],
    ['POST', '/files'],
    ['POST', '/files/upload'],
    ['GET', '/files/file-1/content'],
    ['POST', '/batches'],
    ['GET', '/batches'],
    ['POST', '/batches/b-1/cancel'],
    ['GET', '/models'],
  ],
  requestIds: false,
  counts: false,
  expired: { outcome: 'expired', rest: 'missing' },
  cancelled: { outcome: 'cancelled', rest: 'missing' },
  stateReply: (status) => ({ ...fixtureJson('together', 'retrieve-completed.json'), status }),
}
