import type { Subject } from './subject.ts'

const chat = (content: string) => ({ model: 'llama-3.1-8b-instant', messages: [{ role: 'user', content }] })

export const groq: Subject = {
  name: 'groq',
  path: '/chat/completions',
  bodyFor: chat,
  rejected: chat('[[simulate:400]]'),
  // The others run; this one is named in the batch's complaints and nowhere else.
  invalid: { body: '{"stream":true}', by: 'row' },
  requests: {
    '/chat/completions': chat('hello'),
    '/audio/transcriptions': { model: 'whisper-large-v3', url: 'https://audio.test/a.mp3' },
    '/audio/translations': { model: 'whisper-large-v3', url: 'https://audio.test/a.mp3' },
  },
  others: [
    ['GET', '/chat/completions'],
    ['POST', '/chat/completions/'],
    ['POST', '/responses'],
    ['POST', '/embeddings'],
    ['POST', '/audio/speech'],
    ['POST', '/files'],
    ['GET', '/files/file_1/content'],
    ['POST', '/batches'],
    ['GET', '/batches'],
    ['POST', '/batches/batch_1/cancel'],
    ['GET', '/models'],
    ['POST', '/openai/v1/chat/completions'],
  ],
}
