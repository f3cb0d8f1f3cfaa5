import type { Subject } from './subject.ts'

const model = 'grok-4.3'
const chat = (content: string) => ({ model, messages: [{ role: 'user', content }] })
const image = { model: 'grok-imagine-image', response_format: 'b64_json' }

export const xai: Subject = {
  name: 'xai',
  path: '/chat/completions',
  bodyFor: chat,
  rejected: chat('[[simulate:400]]'),
  requests: {
    '/chat/completions': chat('hello'),
    '/responses': { model, input: 'hello' },
    '/images/generations': { ...image, prompt: 'a cat' },
    '/images/edits': { ...image, prompt: 'a dog', image: { url: 'https://images.test/dog.png', type: 'image_url' } },
  },
  others: [
    ['GET', '/chat/completions'],
    ['POST', '/chat/completions/'],
    ['GET', '/chat/deferred-completion/1'],
    ['GET', '/responses/resp_1'],
    ['DELETE', '/responses/resp_1'],
    ['POST', '/completions'],
    ['POST', '/embeddings'],
    ['POST', '/videos/generations'],
    ['POST', '/tts'],
    ['POST', '/files'],
    ['POST', '/batches'],
    ['GET', '/batches'],
    ['POST', '/batches/batch_1:cancel'],
    ['POST', '/batches/batch_1/requests'],
    ['GET', '/batches/batch_1/results'],
    ['GET', '/models'],
  ],
  requestIds: false,
  expired: 'never',
  stateReply: undefined,
}
