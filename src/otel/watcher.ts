import type { OffpeakEvent } from '../core/events.ts'
import type { Snapshot } from '../core/snapshot.ts'

/** As much of a scope as telemetry looks at. */
export interface WatchedScope {
  snapshot(): Snapshot
}

/** Follows one scope. */
export interface Watcher {
  handle(event: OffpeakEvent): void
  /** The scope is over, or nobody wants to know any more. */
  end(at: number): void
}
