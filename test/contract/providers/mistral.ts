import type { Subject } from './subject.ts'

const chat = (content: string) => ({ model: 'mistral-small-latest', messages: [{ role: 'user', content }] })
const moderation = { model: 'mistral-moderation-latest' }

export const mistral: Subject = {
  name: 'mistral',
  path: '/chat/completions',
  bodyFor: chat,
  rejected: chat('[[simulate:400]]'),
  requests: {
    '/chat/completions': chat('hello'),
    '/embeddings': { model: 'mistral-embed', input: ['hello', 'world'] },
    '/fim/completions': { model: 'codestral-latest', prompt: 'def hello():', suffix: 'return 1' },
    '/moderations': { ...moderation, input: 'hello' },
    '/chat/moderations': { ...moderation, input: [{ role: 'user', content: 'hello' }] },
    '/ocr': { model: 'mistral-ocr-latest', document: { type: 'document_url', document_url: 'https://a.test/a.pdf' } },
    '/classifications': { ...moderation, input: 'hello' },
    '/chat/classifications': { ...moderation, input: { messages: [{ role: 'user', content: 'hello' }] } },
    '/audio/transcriptions': { model: 'voxtral-mini-latest', file_url: 'https://a.test/a.mp3' },
  },
  others: [
    ['GET', '/chat/completions'],
    ['POST', '/chat/completions/'],
    ['POST', '/chat'],
    ['POST', '/agents/completions'],
    ['GET', '/conversations'],
    ['POST', '/conversations/conv_1'],
    ['POST', '/batch/jobs'],
    ['GET', '/batch/jobs'],
    ['GET', '/batch/jobs/1'],
    ['POST', '/batch/jobs/1/cancel'],
    ['POST', '/files'],
    ['GET', '/files/1/content'],
    ['POST', '/audio/speech'],
    ['GET', '/models'],
    ['POST', '/EMBEDDINGS'],
    ['POST', '/'],
    ['POST', ''],
  ],
  requestIds: false,
  invalid: { by: 'row', body: '{"stream":true}' },
  expired: { outcome: 'expired', rest: 'missing' },
  cancelled: { outcome: 'cancelled', rest: 'missing' },
}
