import { type Channel, channel } from 'node:diagnostics_channel'
import type { EventType, OffpeakEvent } from './core/events.ts'

/**
 * Every event, whatever scope it is of, on `node:diagnostics_channel`: `offpeak:<type>`, the event itself as the message. For tools that watch a
 * process without a hand on its scopes.
 */
const CHANNELS: { readonly [T in EventType]: Channel } = {
  'request-queued': channel('offpeak:request-queued'),
  'request-joined': channel('offpeak:request-joined'),
  'request-cached': channel('offpeak:request-cached'),
  'request-passed-through': channel('offpeak:request-passed-through'),
  'request-requeued': channel('offpeak:request-requeued'),
  'request-settled': channel('offpeak:request-settled'),
  'batch-submitting': channel('offpeak:batch-submitting'),
  'batch-submitted': channel('offpeak:batch-submitted'),
  'batch-progress': channel('offpeak:batch-progress'),
  'batch-completed': channel('offpeak:batch-completed'),
  'batch-failed': channel('offpeak:batch-failed'),
  'batch-cancelled': channel('offpeak:batch-cancelled'),
  'batch-recovered': channel('offpeak:batch-recovered'),
  'rows-missing': channel('offpeak:rows-missing'),
  'provider-unreachable': channel('offpeak:provider-unreachable'),
  'scope-closing': channel('offpeak:scope-closing'),
  'scope-closed': channel('offpeak:scope-closed'),
}

/** Each scope as it opens: the message is what `batchify()` returns. */
export const SCOPE_CHANNEL = 'offpeak:scope'
const scopes = channel(SCOPE_CHANNEL)

/** Every type of event there is. */
// The keys of a record that has no others.
export const EVENT_TYPES: readonly EventType[] = Object.keys(CHANNELS) as EventType[]

/** Whether anybody would see it: nothing is made for nobody. */
export function isWatched(type: EventType): boolean {
  return CHANNELS[type].hasSubscribers
}

export function publish(event: OffpeakEvent): void {
  CHANNELS[event.type].publish(event)
}

export function announceScope(scope: object): void {
  scopes.publish(scope)
}
