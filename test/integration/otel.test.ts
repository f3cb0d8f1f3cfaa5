import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { type Histogram, type MetricData, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { EventOf, EventType, OffpeakEvent } from '../../src/core/events.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { batchify } from '../../src/index.ts'
import { instrument, type InstrumentedScope, type InstrumentOptions } from '../../src/otel.ts'
import { operationOf } from '../../src/otel/semantics.ts'
import { createProgress, reduce, toSnapshot } from '../../src/progress/snapshot.ts'
import { openScene, type Scene } from '../support/clients-scene.ts'
import { fact } from '../unit/progress/facts.ts'

class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

interface Point {
  readonly value: unknown
  readonly attributes: Attributes
}

interface Telemetry {
  readonly options: InstrumentOptions
  readonly spans: () => ReadableSpan[]
  /** Values of a metric, each with its attributes. */
  readonly points: (name: string) => Promise<readonly Point[]>
}

function telemetry(): Telemetry {
  const exporter = new InMemorySpanExporter()
  const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const reader = new Reader()
  const meters = new MeterProvider({ readers: [reader] })
  return {
    options: { tracer: tracers.getTracer('test'), meter: meters.getMeter('test') },
    spans: () => exporter.getFinishedSpans(),
    async points(name) {
      const { resourceMetrics, errors } = await reader.collect()
      expect(errors).toEqual([])
      const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
      return all.filter(({ descriptor }) => descriptor.name === name).flatMap(pointsOf)
    },
  }
}

/** One list of one type, whatever the metric. */
function pointsOf({ dataPoints }: MetricData): readonly Point[] {
  return dataPoints.map(({ value, attributes }) => ({ value, attributes }))
}

const sumOf = (points: readonly Point[]): number =>
  // A number or, of the metrics here, a histogram.
  points.reduce((sum, { value }) => sum + (typeof value === 'number' ? value : (value as Histogram).count), 0)

/** A scope that says what it is told to. */
interface StagedScope extends InstrumentedScope {
  say(...events: readonly OffpeakEvent[]): void
  readonly listeners: number
}

function stagedScope(now = 1_000_000): StagedScope {
  const progress = createProgress(1_000_000)
  const listeners = new Set<{ readonly type: EventType; readonly hear: (event: OffpeakEvent) => void }>()
  return {
    // Registered under its own type, it only ever hears events of that type.
    on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void) {
      const entry = { type, hear: (event: OffpeakEvent): void => listener(event as EventOf<T>) }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    snapshot: (): Snapshot => toSnapshot(progress, now),
    say(...events) {
      for (const event of events) {
        reduce(progress, event)
        for (const { type, hear } of Array.from(listeners)) if (type === event.type) hear(event)
      }
    },
    get listeners() {
      return listeners.size
    },
  }
}

const milliseconds = ([seconds, nanoseconds]: readonly [number, number]): number =>
  seconds * 1000 + Math.round(nanoseconds / 1e6)

const ANSWERED = fact('request-settled', {
  at: 1_060_000,
  usage: { input: 100, output: 20, cachedInput: 30, reasoning: 5 },
  cost: { costUsd: 0.01, liveCostUsd: 0.02 },
})
const COMPLETED = fact('batch-completed', { at: 1_061_000, succeeded: 1, failed: 0 })
const ONE_BATCH = [
  fact('request-queued'),
  fact('batch-submitting', { jobs: 1 }),
  fact('batch-submitted', { jobs: 1 }),
  ANSWERED,
  COMPLETED,
]

describe('spans', () => {
  test('of a request say what the conventions ask for, from when it was asked until it was answered', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(...ONE_BATCH)

    const span = spans().find(({ name }) => name === 'chat gpt-5-mini')
    expect(span?.kind).toBe(SpanKind.CLIENT)
    expect(span && [milliseconds(span.startTime), milliseconds(span.endTime)]).toEqual([1_000_000, 1_060_000])
    expect(span?.status.code).toBe(SpanStatusCode.UNSET)
    expect(span?.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-5-mini',
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.output_tokens': 20,
      'gen_ai.usage.cache_read.input_tokens': 30,
      'gen_ai.usage.reasoning.output_tokens': 5,
      'http.response.status_code': 200,
      'offpeak.job': 1,
      'offpeak.cache': 'miss',
      'offpeak.batch.id': 'batch_1',
      'offpeak.cost_usd': 0.01,
      'offpeak.live_cost_usd': 0.02,
    })
  })

  test('of a request are linked to that of the batch that answered it', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(...ONE_BATCH)

    const [request, batch] = spans()
    expect(batch?.name).toBe('batch gpt-5-mini')
    expect(request?.links.map(({ context: linked }) => linked.spanId)).toEqual([batch?.spanContext().spanId])
    expect(batch?.attributes).toMatchObject({
      'gen_ai.provider.name': 'openai',
      'offpeak.batch.intent': 'tag1',
      'offpeak.batch.id': 'batch_1',
      'offpeak.batch.jobs': 1,
      'offpeak.batch.status': 'completed',
      'offpeak.batch.succeeded': 1,
      'offpeak.batch.failed': 0,
    })
    // Only calls of a model have one: a batch must not count as one more.
    expect(batch?.attributes).not.toHaveProperty('gen_ai.operation.name')
  })

  test('of a failure are errors with the provider’s code, or its status', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    for (const job of [1, 2]) scope.say(fact('request-queued', { job }))
    scope.say(fact('request-settled', { job: 1, status: 400, reason: 'invalid_value', usage: undefined }))
    scope.say(fact('request-settled', { job: 2, status: 500, usage: undefined }))

    expect(spans().map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.ERROR])
    expect(spans().map(({ attributes }) => attributes['error.type'])).toEqual(['invalid_value', '500'])
  })

  test('of an answer from the store are there, too, and say where it is from', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(fact('request-joined', { job: 1 }), fact('request-cached', { job: 1, at: 1_005_000 }))
    scope.say(fact('request-cached', { job: 2 }))

    expect(spans().map(({ attributes }) => attributes['offpeak.cache'])).toEqual(['hit', 'hit'])
    expect(spans().map(({ startTime, endTime }) => milliseconds(endTime) - milliseconds(startTime))).toEqual([5000, 0])
  })

  test('of a batch of an earlier run begin when that submitted it', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(fact('batch-recovered', { submittedAt: 400_000 }), COMPLETED)

    expect(spans().map(({ startTime }) => milliseconds(startTime))).toEqual([400_000])
  })

  test('of a refused batch are errors, and the same intent sent again has a span of its own', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(fact('batch-submitting'), fact('batch-failed', { id: undefined, reason: 'too_many', willRetry: true }))
    scope.say(fact('batch-submitting'), fact('batch-submitted'))
    scope.say(fact('batch-cancelled', { id: 'batch_twin' }), fact('batch-cancelled'))

    expect(spans().map(({ status, attributes }) => [status.code, attributes['offpeak.batch.status']])).toEqual([
      [SpanStatusCode.ERROR, 'failed'],
      [SpanStatusCode.UNSET, 'cancelled'],
    ])
  })

  test('carry the user’s metadata, and of a request what happened on its way', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(fact('request-queued'), fact('batch-submitted', { metadata: { team: 'search' } }))
    scope.say(fact('request-requeued', { reason: 'expired', possiblyBilled: true }), ANSWERED, COMPLETED)

    const [request, batch] = spans()
    expect(request?.events.map(({ name, attributes }) => [name, attributes?.['reason']])).toEqual([
      ['requeued', 'expired'],
    ])
    expect(batch?.attributes['offpeak.metadata.team']).toBe('search')
  })

  test('are children of what is active when the scope opens', () => {
    const { options, spans } = telemetry()
    const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
    activate(trace.setSpanContext(ROOT_CONTEXT, parent))
    const scope = stagedScope()
    instrument(scope, options)
    context.disable()

    scope.say(...ONE_BATCH)

    expect(spans().map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([parent.spanId, parent.spanId])
  })

  test('that are open when the scope is over end with it, and nothing listens any more', () => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)
    expect(scope.listeners).toBeGreaterThan(0)

    scope.say(fact('request-queued'), fact('batch-submitting'), fact('batch-submitted'))
    scope.say(fact('scope-closed', { at: 1_009_000 }), ANSWERED)

    expect(spans().map(({ name, endTime }) => [name, milliseconds(endTime)])).toEqual([
      ['chat gpt-5-mini', 1_009_000],
      ['batch gpt-5-mini', 1_009_000],
    ])
    expect(scope.listeners).toBe(0)
  })

  test.each([
    ['/v1/chat/completions', 'chat'],
    ['/v1/responses', 'chat'],
    ['/v1/messages', 'chat'],
    ['models.generateContent', 'generate_content'],
    ['/v1/completions', 'text_completion'],
    ['/v1/fim/completions', 'text_completion'],
    ['/v1/embeddings', 'embeddings'],
    ['models.batchEmbedContents', 'embeddings'],
    ['/v1/images/generations', 'images_generations'],
    ['/v1/chat/moderations', 'chat_moderations'],
  ])('%s is the operation %s', (endpoint, operation) => {
    expect(operationOf(endpoint)).toBe(operation)
  })

  test.each([
    ['gemini', 'gcp.gemini'],
    ['mistral', 'mistral_ai'],
    ['xai', 'x_ai'],
    ['anthropic', 'anthropic'],
    ['doubleword', 'doubleword'],
  ])('%s is the provider %s', (provider, name) => {
    const { options, spans } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(fact('request-cached', { provider }))

    expect(spans()[0]?.attributes['gen_ai.provider.name']).toBe(name)
  })
})

describe('metrics', () => {
  test('say how many wait, how many run, and how old the oldest batch of a model is', async () => {
    const { options, points } = telemetry()
    const scope = stagedScope(1_090_000)
    instrument(scope, options)

    scope.say(...[1, 2, 3, 4].map((job) => fact('request-queued', { job })))
    scope.say(fact('batch-submitting', { jobs: 1 }), fact('batch-submitting', { intent: 'b', at: 1_050_000 }))

    expect(sumOf(await points('offpeak.queue.depth'))).toBe(1)
    expect(sumOf(await points('offpeak.requests.running'))).toBe(3)
    expect((await points('offpeak.batch.age')).map(({ value, attributes }) => [value, attributes])).toEqual([
      [90, { 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-5-mini' }],
    ])
  })

  test('sum what was spent and saved, and count what nobody could price apart', async () => {
    const { options, points } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    for (const job of [1, 2, 3]) scope.say(fact('request-queued', { job }))
    scope.say(ANSWERED, fact('request-settled', { job: 2, cost: undefined }))
    scope.say(fact('request-settled', { job: 3, status: 400, reason: 'invalid_value', usage: undefined }))

    expect(sumOf(await points('offpeak.cost'))).toBeCloseTo(0.01)
    expect(sumOf(await points('offpeak.saved'))).toBeCloseTo(0.01)
    expect(sumOf(await points('offpeak.requests.unpriced'))).toBe(1)
  })

  test('have the conventions’ durations and tokens', async () => {
    const { options, points } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(...ONE_BATCH)

    const [duration] = await points('gen_ai.client.operation.duration')
    expect(duration?.value).toMatchObject({ count: 1, sum: 60 })
    const tokens = await points('gen_ai.client.token.usage')
    expect(tokens.map(({ attributes, value }) => [attributes['gen_ai.token.type'], value])).toMatchObject([
      ['input', { sum: 100 }],
      ['output', { sum: 20 }],
    ])
  })

  test('count what came from the store and what went through at full price', async () => {
    const { options, points } = telemetry()
    const scope = stagedScope()
    instrument(scope, options)

    scope.say(fact('request-cached'), fact('request-passed-through'), fact('request-passed-through'))

    expect(sumOf(await points('offpeak.requests.cached'))).toBe(1)
    expect((await points('offpeak.requests.passed_through')).map((point) => point.attributes)).toMatchObject([
      { 'offpeak.reason': 'streaming' },
    ])
  })

  test('forget a scope that is over', async () => {
    const { options, points } = telemetry()
    const scope = stagedScope()
    const undo = instrument(scope, options)
    scope.say(fact('request-queued'))
    expect(sumOf(await points('offpeak.queue.depth'))).toBe(1)

    undo()
    undo()

    expect(sumOf(await points('offpeak.queue.depth'))).toBe(0)
  })

  test('add up over scopes that are instrumented one by one', async () => {
    const { options, points } = telemetry()
    const scopes = [stagedScope(1_010_000), stagedScope(1_020_000)]
    for (const scope of scopes) instrument(scope, options)

    for (const scope of scopes) scope.say(fact('request-queued'), fact('batch-submitting', { jobs: 1 }))
    expect(sumOf(await points('offpeak.requests.running'))).toBe(2)
    expect(sumOf(await points('offpeak.batch.age'))).toBe(20)
    for (const scope of scopes) scope.say(fact('scope-closed'))

    expect(sumOf(await points('offpeak.requests.running'))).toBe(0)
    expect(sumOf(await points('offpeak.batch.age'))).toBe(0)
  })
})

describe('a scope of batchify', () => {
  test('opened after instrument() is followed to its end, and no prompt is in what is emitted', async () => {
    const { options, spans, points } = telemetry()
    onTestFinished(instrument(options))
    await using scene = await openScene(batchify)

    await batchify(scene.options, () => Promise.all([ask(scene, 'a secret'), ask(scene, 'another secret')]))

    const names = spans().map(({ name }) => name)
    expect(names.filter((name) => name === 'chat gpt-4o-mini')).toHaveLength(2)
    expect(names.filter((name) => name === 'batch gpt-4o-mini')).toHaveLength(1)
    expect(spans().filter(({ links }) => links.length === 1)).toHaveLength(2)
    expect(sumOf(await points('gen_ai.client.operation.duration'))).toBe(2)
    const emitted = spans().map(({ name, attributes, events, links }) => ({ name, attributes, events, links }))
    expect(JSON.stringify(emitted)).not.toContain('secret')
  })

  test('can be followed alone', async () => {
    const { options, spans } = telemetry()
    await using scene = await openScene(batchify)
    const [followed, other] = [await scene.open(), await scene.open()]
    instrument(followed, options)

    await Promise.all([followed.run(() => ask(scene, 'one')), other.run(() => ask(scene, 'two'))])
    await Promise.all([followed.close(), other.close()])

    expect(spans().map(({ name }) => name)).toEqual(['chat gpt-4o-mini', 'batch gpt-4o-mini'])
    expect(spans()[0]?.attributes).toMatchObject({
      'http.response.status_code': 200,
      'offpeak.cost_usd': expect.any(Number),
    })
  })

  test('is followed no more after the undo', async () => {
    const { options, spans } = telemetry()
    const undo = instrument(options)
    await using scene = await openScene(batchify)
    const batch = await scene.open()

    undo()
    await batch.run(() => ask(scene, 'unseen'))
    await batch.close()

    expect(spans()).toEqual([])
  })
})

async function ask({ connection }: Scene, prompt: string): Promise<void> {
  const response = await fetch(`${connection.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${connection.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }),
  })
  expect(response.status).toBe(200)
  await response.json()
}

/** Makes a context the active one, wherever it is asked for. */
function activate(active: Context): void {
  context.setGlobalContextManager({
    active: () => active,
    // A stage with one scene.
    with: (_, run, self, ...rest) => run.apply(self as ThisParameterType<typeof run>, rest),
    bind: (_, target) => target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  })
}
