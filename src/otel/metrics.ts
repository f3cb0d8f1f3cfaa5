import type { Attributes, Meter } from '@opentelemetry/api'
import type { EventOf } from '../core/events.ts'
import type { JobId } from '../core/job.ts'
import { type Destination, providerAttributes, requestAttributes } from './semantics.ts'
import { errorTypeOf } from './spans.ts'
import type { WatchedScope, Watcher } from './watcher.ts'

/** Follows any number of scopes with one set of instruments. */
export interface Metrics {
  watch(scope: WatchedScope): Watcher
}

const known = new WeakMap<Meter, Metrics>()

/** A meter's own: two that observe one instrument would overwrite each other. */
export function metricsOf(meter: Meter): Metrics {
  let found = known.get(meter)
  if (!found) {
    found = createMetrics(meter)
    known.set(meter, found)
  }
  return found
}

/** Those the conventions ask for (doubling from 10 ms to 82 s), doubled on up to a batch's longest: eight days. */
const SECONDS: readonly number[] = Array.from({ length: 27 }, (_, power) => Math.round(2 ** power) / 100)
/** As the conventions ask for: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md */
const TOKENS: readonly number[] = Array.from({ length: 14 }, (_, power) => 4 ** power)

function createMetrics(meter: Meter): Metrics {
  const scopes = new Set<WatchedScope>()
  /** Kinds of batches that were ever open: a gauge keeps its last value until it is given another. */
  const kinds = new Map<string, Attributes>()
  const duration = meter.createHistogram('gen_ai.client.operation.duration', {
    unit: 's',
    description: 'From the moment a request was asked until it was answered.',
    advice: { explicitBucketBoundaries: [...SECONDS] },
  })
  const tokens = meter.createHistogram('gen_ai.client.token.usage', {
    unit: '{token}',
    description: 'Tokens of each answer.',
    advice: { explicitBucketBoundaries: [...TOKENS] },
  })
  const cost = meter.createCounter('offpeak.cost', {
    unit: '{USD}',
    description: 'What answers cost in their batches.',
  })
  const saved = meter.createUpDownCounter('offpeak.saved', {
    unit: '{USD}',
    description: 'What the same answers would have cost live, less what they cost.',
  })
  const unpriced = meter.createCounter('offpeak.requests.unpriced', {
    unit: '{request}',
    description: 'Answers that nobody could price: they are in neither sum.',
  })
  const cached = meter.createCounter('offpeak.requests.cached', {
    unit: '{request}',
    description: 'Requests answered from the store.',
  })
  const passedThrough = meter.createCounter('offpeak.requests.passed_through', {
    unit: '{request}',
    description: 'Requests that went through at full price.',
  })
  const queueDepth = meter.createObservableUpDownCounter('offpeak.queue.depth', {
    unit: '{request}',
    description: 'Requests that wait for a batch.',
  })
  const running = meter.createObservableUpDownCounter('offpeak.requests.running', {
    unit: '{request}',
    description: 'Requests in a batch that have no answer yet.',
  })
  const batchAge = meter.createObservableGauge('offpeak.batch.age', {
    unit: 's',
    description: 'Age of the oldest open batch of a provider and model; 0 when none is open.',
  })

  function observe(observer: Parameters<Parameters<Meter['addBatchObservableCallback']>[0]>[0]): void {
    const snapshots = Array.from(scopes, (scope) => scope.snapshot())
    const sum = (pick: (requests: (typeof snapshots)[number]['requests']) => number): number =>
      snapshots.reduce((total, { requests }) => total + pick(requests), 0)
    observer.observe(
      queueDepth,
      sum(({ queued }) => queued),
    )
    observer.observe(
      running,
      sum((requests) => requests.running),
    )
    const oldest = new Map<string, number>()
    for (const batch of snapshots.flatMap(({ batches }) => batches)) {
      if (batch.ended) continue
      const kind = `${batch.provider}\0${batch.model}`
      if (!kinds.has(kind)) kinds.set(kind, providerAttributes(batch))
      oldest.set(kind, Math.max(batch.ageMs, oldest.get(kind) ?? 0))
    }
    for (const [kind, attributes] of kinds) observer.observe(batchAge, (oldest.get(kind) ?? 0) / 1000, attributes)
  }
  meter.addBatchObservableCallback(observe, [queueDepth, running, batchAge])

  function settle(event: EventOf<'request-settled'>, askedAt: number | undefined): void {
    const attributes = requestAttributes(event)
    const { status, usage } = event
    if (askedAt !== undefined) {
      const error = status >= 400 ? { 'error.type': errorTypeOf(event) } : {}
      duration.record((event.at - askedAt) / 1000, { ...attributes, ...error })
    }
    if (usage) {
      tokens.record(usage.input, { ...attributes, 'gen_ai.token.type': 'input' })
      tokens.record(usage.output, { ...attributes, 'gen_ai.token.type': 'output' })
    }
    if (event.cost) {
      cost.add(event.cost.costUsd, attributes)
      saved.add(event.cost.liveCostUsd - event.cost.costUsd, attributes)
    } else if (status < 400) unpriced.add(1, attributes)
  }

  function count(counter: typeof cached, event: Destination, more: Attributes = {}): void {
    counter.add(1, { ...requestAttributes(event), ...more })
  }

  return {
    watch(scope) {
      const asked = new Map<JobId, number>()
      scopes.add(scope)
      return {
        handle(event) {
          if (event.type === 'request-queued' || event.type === 'request-joined') {
            if (!asked.has(event.job)) asked.set(event.job, event.at)
          } else if (event.type === 'request-cached') {
            asked.delete(event.job)
            count(cached, event)
          } else if (event.type === 'request-passed-through') {
            count(passedThrough, event, { 'offpeak.reason': event.reason })
          } else if (event.type === 'request-settled') {
            settle(event, asked.get(event.job))
            asked.delete(event.job)
          }
        },
        end: () => void scopes.delete(scope),
      }
    },
  }
}
