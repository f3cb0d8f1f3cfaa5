import './check-node.ts'
import { install } from './intercept/install.ts'

// Inert until a scope opens; installed now so that clients built from here on hold it.
install()

export { batchify } from './batchify.ts'
export type { BatchifyOptions } from './config.ts'
export type { BatchScope } from './create.ts'
export type { DryRunGroup, DryRunReport, DryRunSums, DryRunRange, WouldPassThrough } from './core/dry-run.ts'
export { CostLimitError, DeferredExit, OffpeakError, type ErrorCode, type RunningBatch } from './core/errors.ts'
export type { EventOf, EventType, OffpeakEvent } from './core/events.ts'
export type { Report } from './core/report.ts'
export type { Snapshot } from './core/snapshot.ts'
export type { Store } from './core/store.ts'
export { openMemoryStore } from './store/memory-store.ts'
