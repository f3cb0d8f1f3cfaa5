import { context, type Meter, metrics, trace, type Tracer } from '@opentelemetry/api'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { version } from './cli/version.ts'
import type { EventOf, EventType, OffpeakEvent } from './core/events.ts'
import { EVENT_TYPES, SCOPE_CHANNEL } from './diagnostics.ts'
import { type Metrics, metricsOf } from './otel/metrics.ts'
import { watchSpans } from './otel/spans.ts'
import type { WatchedScope } from './otel/watcher.ts'

/** A scope, as `batchify()` returns it. */
export interface InstrumentedScope extends WatchedScope {
  on<T extends EventType>(event: T, listener: (event: EventOf<T>) => void): () => void
}

export interface InstrumentOptions {
  /** Default: `offpeak` of the global tracer provider. */
  readonly tracer?: Tracer | undefined
  /** Default: `offpeak` of the global meter provider, which has to be there by now. */
  readonly meter?: Meter | undefined
}

/**
 * Emits a span per request with the names of the GenAI semantic conventions, linked to a span per batch, and metrics: queue depth, batch age,
 * money spent and saved, tokens, durations. Spans are children of the one that is active when the scope opens. Nothing of a prompt or an answer
 * is in them. Answers come by the thousand: a `BatchSpanProcessor` drops what exceeds its `maxQueueSize`, so raise that or sample.
 *
 * With a scope it follows that one, without every scope that opens from now on. Returns the undo.
 */
export function instrument(options?: InstrumentOptions): () => void
export function instrument(scope: InstrumentedScope, options?: InstrumentOptions): () => void
export function instrument(
  first: InstrumentedScope | InstrumentOptions = {},
  second: InstrumentOptions = {},
): () => void {
  return isScope(first) ? instrumentOne(first, second) : instrumentAll(first)
}

function isScope(value: InstrumentedScope | InstrumentOptions): value is InstrumentedScope {
  return 'on' in value
}

interface Telemetry {
  readonly tracer: Tracer
  readonly metrics: Metrics
}

function telemetryOf({ tracer, meter }: InstrumentOptions): Telemetry {
  const own = version()
  return {
    tracer: tracer ?? trace.getTracer('offpeak', own),
    metrics: metricsOf(meter ?? metrics.getMeter('offpeak', own)),
  }
}

function instrumentOne(scope: InstrumentedScope, options: InstrumentOptions): () => void {
  const undo = follow(scope, telemetryOf(options), () => undefined)
  return () => undo()
}

function instrumentAll(options: InstrumentOptions): () => void {
  const telemetry = telemetryOf(options)
  const following = new Set<() => void>()
  const onScope = (scope: unknown): void => {
    // Nobody but offpeak publishes on its channel.
    const undo = follow(scope as InstrumentedScope, telemetry, () => following.delete(undo))
    following.add(undo)
  }
  subscribe(SCOPE_CHANNEL, onScope)
  return () => {
    unsubscribe(SCOPE_CHANNEL, onScope)
    for (const undo of following) undo()
  }
}

/** Until the scope is over, or the undo is called. */
function follow(scope: InstrumentedScope, { tracer, metrics }: Telemetry, onEnd: () => void): () => void {
  const watchers = [watchSpans(tracer, context.active()), metrics.watch(scope)]
  const undo = EVENT_TYPES.map((type) => scope.on(type, handle))

  function handle(event: OffpeakEvent): void {
    for (const watcher of watchers) watcher.handle(event)
    if (event.type === 'scope-closed') end(event.at)
  }
  function end(at: number = Date.now()): void {
    for (const stop of undo.splice(0)) stop()
    for (const watcher of watchers.splice(0)) watcher.end(at)
    onEnd()
  }
  return end
}
