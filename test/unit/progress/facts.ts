import type { EventOf, EventType, OffpeakEvent } from '../../../src/core/events.ts'

const ABOUT = { at: 1_000_000, provider: 'openai', endpoint: '/v1/responses', model: 'gpt-5-mini' }
const BATCH = { intent: 'tag1', id: 'batch_1', submittedAt: undefined, jobs: 2, counts: undefined, metadata: {} }

const EXAMPLES: { readonly [T in EventType]: EventOf<T> } = {
  'request-queued': { ...ABOUT, type: 'request-queued', job: 1 },
  'request-joined': { ...ABOUT, type: 'request-joined', job: 1 },
  'request-cached': { ...ABOUT, type: 'request-cached', job: 1, status: 200 },
  'request-passed-through': { ...ABOUT, type: 'request-passed-through', reason: 'streaming', detail: '' },
  'request-requeued': { ...ABOUT, type: 'request-requeued', job: 1, reason: 'expired', possiblyBilled: false },
  'request-settled': {
    ...ABOUT,
    type: 'request-settled',
    job: 1,
    status: 200,
    batch: 'batch_1',
    usage: { input: 10, output: 5 },
    cost: undefined,
    reason: undefined,
  },
  'batch-submitting': { ...ABOUT, ...BATCH, type: 'batch-submitting', id: undefined, reason: 'window' },
  'batch-submitted': { ...ABOUT, ...BATCH, type: 'batch-submitted' },
  'batch-progress': { ...ABOUT, ...BATCH, type: 'batch-progress', status: 'in_progress' },
  'batch-completed': { ...ABOUT, ...BATCH, type: 'batch-completed', status: 'completed', succeeded: 2, failed: 0 },
  'batch-failed': { ...ABOUT, ...BATCH, type: 'batch-failed', reason: 'invalid_json', willRetry: false },
  'batch-cancelled': { ...ABOUT, ...BATCH, type: 'batch-cancelled', reason: 'cancelled' },
  'batch-recovered': { ...ABOUT, ...BATCH, type: 'batch-recovered', how: 'resumed' },
  'rows-missing': { ...ABOUT, ...BATCH, type: 'rows-missing', missing: 1 },
  'provider-unreachable': {
    ...ABOUT,
    type: 'provider-unreachable',
    doing: 'poll',
    since: 1_000_000,
    reason: 'ECONNREFUSED',
    retryInMs: 10_000,
  },
  'scope-closing': { type: 'scope-closing', at: 1_000_000, pending: 0 },
  'scope-closed': { type: 'scope-closed', at: 1_000_000 },
}

/** An event of this type, ordinary in everything that is not said. */
export function fact<T extends EventType>(type: T, parts: Partial<EventOf<T>> = {}): OffpeakEvent {
  return { ...EXAMPLES[type], ...parts }
}
