import { fixtureJson } from '../../support/provider-call.ts'
import type { Subject } from './subject.ts'

const message = (content: string) => ({
  model: 'claude-haiku-4-5',
  max_tokens: 64,
  messages: [{ role: 'user', content }],
})

export const anthropic: Subject = {
  name: 'anthropic',
  path: '/messages',
  bodyFor: message,
  rejected: message('[[simulate:400]]'),
  requests: { '/messages': message('hello') },
  others: [
    ['GET', '/messages'],
    ['POST', '/messages/'],
    ['POST', '/messages/count_tokens'],
    ['POST', '/messages/batches'],
    ['GET', '/messages/batches'],
    ['GET', '/messages/batches/msgbatch_1'],
    ['DELETE', '/messages/batches/msgbatch_1'],
    ['POST', '/messages/batches/msgbatch_1/cancel'],
    ['GET', '/messages/batches/msgbatch_1/results'],
    ['POST', '/complete'],
    ['POST', '/files'],
    ['GET', '/models'],
    ['POST', '/MESSAGES'],
    ['POST', '/'],
    ['POST', ''],
  ],
  keyHeaders: (key) => [
    ['x-api-key', key],
    ['anthropic-version', '2023-06-01'],
  ],
  readLine(line) {
    const { custom_id: customId, params } = line as { custom_id: unknown; params: unknown } // our own line
    return { customId, body: params }
  },
  requestIds: false,
  invalid: { by: 'row', body: '{"model":"claude-haiku-4-5"}' },
  found: 'candidates',
  stateReply: (status) => ({ ...fixtureJson('anthropic', 'create-reply.json'), processing_status: status }),
}
