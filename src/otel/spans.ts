import {
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api'
import type { EventOf, OffpeakEvent } from '../core/events.ts'
import type { JobId } from '../core/job.ts'
import { type Destination, operationOf, providerAttributes, requestAttributes } from './semantics.ts'
import type { Watcher } from './watcher.ts'

type RequestStart = EventOf<'request-queued' | 'request-joined' | 'request-cached'>
type BatchEvent = Extract<OffpeakEvent, { readonly intent: string }>

/** A batch whose span has not ended. */
interface OpenBatch {
  readonly span: Span
  id: string | undefined
}

/**
 * A span for each request, from the moment it was asked until it was answered, and one for each batch. They overlap in every way, so they are
 * linked: a request's span names the batch that answered it. None of them holds anything of a prompt or an answer.
 */
export function watchSpans(tracer: Tracer, parent: Context): Watcher {
  const requests = new Map<JobId, Span>()
  const batches = new Map<string, OpenBatch>()
  /** Rows may be told of after their batch has ended. */
  const contexts = new Map<string, SpanContext>()

  function startRequest(event: RequestStart): Span {
    const attributes = { ...requestAttributes(event), 'offpeak.job': event.job }
    const name = nameOf(operationOf(event.endpoint), event)
    return tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime: new Date(event.at), attributes }, parent)
  }

  function asked(event: RequestStart): void {
    if (!requests.has(event.job)) requests.set(event.job, startRequest(event))
  }

  function cached(event: EventOf<'request-cached'>): void {
    const span = requests.get(event.job) ?? startRequest(event)
    requests.delete(event.job)
    span.setAttributes({ 'offpeak.cache': 'hit', 'http.response.status_code': event.status })
    span.end(new Date(event.at))
  }

  function settled(event: EventOf<'request-settled'>): void {
    const span = requests.get(event.job)
    if (!span) return
    requests.delete(event.job)
    span.setAttributes(outcomeAttributes(event))
    const batch = event.batch === undefined ? undefined : contexts.get(event.batch)
    if (batch) span.addLink({ context: batch })
    if (event.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR, message: errorTypeOf(event) })
    span.end(new Date(event.at))
  }

  function openBatch(event: BatchEvent): OpenBatch {
    let batch = batches.get(event.intent)
    if (!batch) {
      const { intent, jobs, submittedAt, at, metadata } = event
      const attributes: Attributes = {
        ...providerAttributes(event),
        'offpeak.batch.intent': intent,
        'offpeak.batch.jobs': jobs,
      }
      for (const [key, value] of Object.entries(metadata)) attributes[`offpeak.metadata.${key}`] = value
      const startTime = new Date(submittedAt ?? at)
      const span = tracer.startSpan(nameOf('batch', event), { kind: SpanKind.CLIENT, startTime, attributes }, parent)
      batch = { span, id: undefined }
      batches.set(intent, batch)
    }
    if (event.id !== undefined && event.id !== batch.id) {
      batch.id = event.id
      batch.span.setAttribute('offpeak.batch.id', event.id)
      contexts.set(event.id, batch.span.spanContext())
    }
    return batch
  }

  function endBatch(event: BatchEvent, status: string, attributes: Attributes = {}): void {
    const { span } = openBatch(event)
    batches.delete(event.intent)
    span.setAttributes({ ...attributes, 'offpeak.batch.status': status })
    span.end(new Date(event.at))
  }

  return {
    handle(event) {
      switch (event.type) {
        case 'request-queued':
        case 'request-joined':
          return asked(event)
        case 'request-cached':
          return cached(event)
        case 'request-settled':
          return settled(event)
        case 'request-requeued': {
          const { reason, possiblyBilled, at } = event
          requests
            .get(event.job)
            ?.addEvent('requeued', { reason, 'offpeak.possibly_billed': possiblyBilled }, new Date(at))
          return
        }
        case 'batch-submitting':
          openBatch(event)
          return
        case 'batch-submitted':
          openBatch(event).span.addEvent('submitted', new Date(event.at))
          return
        case 'batch-progress':
          openBatch(event).span.setAttribute('offpeak.batch.status', event.status)
          return
        case 'batch-recovered':
          if (event.how === 'never-created') return endBatch(event, 'never-created')
          openBatch(event).span.addEvent(event.how, new Date(event.at))
          return
        case 'rows-missing':
          openBatch(event).span.addEvent('rows-missing', { 'offpeak.rows': event.missing }, new Date(event.at))
          return
        case 'batch-completed':
          return endBatch(event, event.status, {
            'offpeak.batch.succeeded': event.succeeded,
            'offpeak.batch.failed': event.failed,
          })
        case 'batch-failed':
          openBatch(event).span.setStatus({ code: SpanStatusCode.ERROR, message: event.reason })
          return endBatch(event, 'failed', { 'error.type': event.reason })
        case 'batch-cancelled':
          // A twin: the intent's own batch goes on.
          if (batches.get(event.intent)?.id !== event.id) return
          return endBatch(event, 'cancelled')
        case 'request-passed-through':
        case 'provider-unreachable':
        case 'scope-closing':
        case 'scope-closed':
      }
    },
    end(at) {
      // What goes on without us: it has no outcome yet, and its span must not be lost.
      for (const span of [...requests.values(), ...Array.from(batches.values(), (batch) => batch.span)])
        span.end(new Date(at))
      requests.clear()
      batches.clear()
    },
  }
}

function nameOf(operation: string, { model }: Destination): string {
  return model === '' ? operation : `${operation} ${model}`
}

function outcomeAttributes(event: EventOf<'request-settled'>): Attributes {
  const { status, batch, usage, cost } = event
  return {
    'http.response.status_code': status,
    'offpeak.cache': 'miss',
    ...(batch === undefined ? {} : { 'offpeak.batch.id': batch }),
    ...(status >= 400 ? { 'error.type': errorTypeOf(event) } : {}),
    ...(usage && {
      'gen_ai.usage.input_tokens': usage.input,
      'gen_ai.usage.output_tokens': usage.output,
      ...(usage.cachedInput === undefined ? {} : { 'gen_ai.usage.cache_read.input_tokens': usage.cachedInput }),
      ...(usage.reasoning === undefined ? {} : { 'gen_ai.usage.reasoning.output_tokens': usage.reasoning }),
    }),
    ...(cost && { 'offpeak.cost_usd': cost.costUsd, 'offpeak.live_cost_usd': cost.liveCostUsd }),
  }
}

/** The provider's code; its HTTP status where it gives none. */
export function errorTypeOf({ reason, status }: Pick<EventOf<'request-settled'>, 'reason' | 'status'>): string {
  return reason ?? String(status)
}
