import type { EventOf, EventType, OffpeakEvent } from './core/events.ts'
import { isWatched, publish } from './diagnostics.ts'

type Listener = (event: OffpeakEvent) => void

export interface Emitter {
  emit(event: OffpeakEvent): void
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): () => void
}

/**
 * Hands events to listeners once the code that stated them is through: a listener never sees, or enters, a half-made change.
 * What a listener throws is reported as an uncaught error of its own, and disturbs nothing here. Subscribers of `node:diagnostics_channel`
 * are told in the same moment.
 */
export function createEmitter(): Emitter {
  const listeners = new Map<EventType, Set<Listener>>()
  let waiting: OffpeakEvent[] = []

  function deliver(): void {
    const events = waiting
    waiting = []
    for (const event of events) {
      publish(event)
      for (const listener of listeners.get(event.type) ?? []) {
        try {
          listener(event)
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
    }
  }

  return {
    emit(event) {
      if (!listeners.get(event.type)?.size && !isWatched(event.type)) return
      if (waiting.length === 0) queueMicrotask(deliver)
      waiting.push(event)
    },
    on(type, listener) {
      const ofType = listeners.get(type) ?? new Set()
      listeners.set(type, ofType)
      // Registered under its own type, it is only ever called with events of that type.
      const registered = (event: OffpeakEvent): void => listener(event as EventOf<typeof type>)
      ofType.add(registered)
      return () => void ofType.delete(registered)
    },
  }
}
