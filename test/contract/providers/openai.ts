import type { Subject } from './subject.ts'

const chat = (content: string) => ({ model: 'gpt-4o-mini', messages: [{ role: 'user', content }] })

export const openai: Subject = {
  name: 'openai',
  path: '/chat/completions',
  bodyFor: chat,
  rejected: chat('[[simulate:400]]'),
  requests: {
    '/chat/completions': chat('hello'),
    '/responses': { model: 'gpt-5-mini', input: 'hello' },
    '/embeddings': { model: 'text-embedding-3-small', input: ['hello', 'world'], dimensions: 4 },
    '/completions': { model: 'gpt-3.5-turbo-instruct', prompt: 'hello' },
    '/moderations': { model: 'omni-moderation-latest', input: 'hello' },
    '/images/generations': { model: 'gpt-image-1', prompt: 'a cat' },
    '/images/edits': { model: 'gpt-image-1', prompt: 'a dog', images: [{ file_id: 'file-1' }] },
  },
  others: [
    ['GET', '/chat/completions'],
    ['DELETE', '/chat/completions'],
    ['GET', '/responses'],
    ['GET', '/responses/resp_1'],
    ['POST', '/responses/resp_1/cancel'],
    ['POST', '/responses/input_tokens'],
    ['POST', '/chat/completions/'],
    ['POST', '/chat/completions/x'],
    ['POST', '/chat'],
    ['POST', '/'],
    ['POST', ''],
    ['POST', '/files'],
    ['GET', '/files'],
    ['GET', '/files/file-1/content'],
    ['POST', '/batches'],
    ['GET', '/batches'],
    ['POST', '/batches/batch_1/cancel'],
    ['GET', '/models'],
    ['POST', '/audio/speech'],
    ['POST', '/images/variations'],
    ['POST', '/videos'],
    ['POST', '/fine_tuning/jobs'],
    ['POST', '/EMBEDDINGS'],
  ],
}
