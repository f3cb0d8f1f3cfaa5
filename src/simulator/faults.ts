import { z } from 'zod'
import { OPERATIONS, type Operation } from './operation.ts'

/**
 * Something to go wrong on request.
 *
 * Every fault applies to each call it matches until it is cleared, unless `times` (so often), `after` (not the first n) or
 * `every` (only each k-th) say otherwise.
 */
export type Fault = FaultTiming & (CallFault | BatchFault | RowFault)

export interface FaultTiming {
  readonly times?: number | undefined
  readonly after?: number | undefined
  readonly every?: number | undefined
}

export interface CallPattern {
  /** Default: any operation. */
  readonly operation?: Operation | readonly Operation[] | undefined
  readonly method?: string | undefined
  /** The path, with `*` for any run of characters: `/v1/files/*`. */
  readonly path?: string | undefined
}

/** Whether the call has its effect (a batch is created, a file stored) before it goes wrong. */
export type Moment = 'before' | 'after'

/** Goes wrong with one call. */
export type CallFault = CallPattern &
  (
    | {
        readonly kind: 'status'
        readonly status: number
        /** Default `before`. */
        readonly moment?: Moment | undefined
        /** Seconds, or a date. */
        readonly retryAfter?: number | string | undefined
        /** Default: the provider's own envelope for this status. */
        readonly body?: string | undefined
        readonly headers?: Readonly<Record<string, string>> | undefined
      }
    | { readonly kind: 'reset'; readonly moment: Moment }
    /** Half of the answer: `broken` promises all of it and hangs up, `clean` ends as if that were all. */
    | { readonly kind: 'cut'; readonly ending: 'broken' | 'clean' }
    /** Default `before`. */
    | { readonly kind: 'slow'; readonly ms: number; readonly moment?: Moment | undefined }
    /** 200 with something that is not JSON, after the effect. */
    | { readonly kind: 'invalid-json' }
    /** The provider is down: every connection is reset before anything happens, or answered with `status`. */
    | { readonly kind: 'down'; readonly status?: number | undefined }
  )

/** Goes wrong with one batch; decided when it is created, so `times` and alike count batches. */
export type BatchFault =
  | { readonly kind: 'expire'; readonly afterRows: number }
  /** Validation refuses line `line` (from 1), or names no line at all (`null`). */
  | {
      readonly kind: 'reject'
      readonly line: number | null
      readonly code?: string | undefined
      readonly message?: string | undefined
    }
  | { readonly kind: 'token-limit' }
  | { readonly kind: 'list-lag'; readonly ms: number }
  /** These lines (from 1) are answered with `status`. */
  | { readonly kind: 'row-status'; readonly lines: readonly number[]; readonly status: number }

/** Goes wrong with rows of one download of results. `rows` are positions in that file, from 1; default the first. */
export type RowFault =
  | { readonly kind: 'corrupt-row' | 'missing-row' | 'duplicate-row'; readonly rows?: readonly number[] | undefined }
  /** One more row, for a `custom_id` that nobody sent. */
  | { readonly kind: 'unknown-row'; readonly customId?: string | undefined }

const count = z.int().nonnegative().optional()
const timing = { times: count, after: count, every: z.int().positive().optional() }
const operation = z.enum(OPERATIONS)
const pattern = {
  operation: z.union([operation, z.array(operation)]).optional(),
  method: z.string().optional(),
  path: z.string().optional(),
}
const moment = z.enum(['before', 'after'])
const status = z.int().min(300).max(599)
const rows = z.array(z.int().positive())

/** For faults that arrive as JSON. */
export const faultSchema: z.ZodType<Fault> = z.discriminatedUnion('kind', [
  z.strictObject({
    ...timing,
    ...pattern,
    kind: z.literal('status'),
    status,
    moment: moment.optional(),
    retryAfter: z.union([z.number(), z.string()]).optional(),
    body: z.string().optional(),
    headers: z.record(z.string(), z.string()).optional(),
  }),
  z.strictObject({ ...timing, ...pattern, kind: z.literal('reset'), moment }),
  z.strictObject({ ...timing, ...pattern, kind: z.literal('cut'), ending: z.enum(['broken', 'clean']) }),
  z.strictObject({
    ...timing,
    ...pattern,
    kind: z.literal('slow'),
    ms: z.number().nonnegative(),
    moment: moment.optional(),
  }),
  z.strictObject({ ...timing, ...pattern, kind: z.literal('invalid-json') }),
  z.strictObject({ ...timing, ...pattern, kind: z.literal('down'), status: status.optional() }),
  z.strictObject({ ...timing, kind: z.literal('expire'), afterRows: z.int().nonnegative() }),
  z.strictObject({
    ...timing,
    kind: z.literal('reject'),
    line: z.int().positive().nullable(),
    code: z.string().optional(),
    message: z.string().optional(),
  }),
  z.strictObject({ ...timing, kind: z.literal('token-limit') }),
  z.strictObject({ ...timing, kind: z.literal('list-lag'), ms: z.number().nonnegative() }),
  z.strictObject({ ...timing, kind: z.literal('row-status'), lines: rows, status }),
  z.strictObject({
    ...timing,
    kind: z.enum(['corrupt-row', 'missing-row', 'duplicate-row']),
    rows: rows.optional(),
  }),
  z.strictObject({ ...timing, kind: z.literal('unknown-row'), customId: z.string().optional() }),
])

/** A call as faults see it. */
export interface FaultyCall {
  readonly operation: Operation
  readonly method: string
  readonly path: string
}

/** The faults in force, each with its own counting. */
export interface FaultBook {
  add(fault: Fault): void
  clear(): void
  list(): readonly Fault[]
  /** Those that hit this call: any delays, and at most one that decides the answer. */
  takeForCall(call: FaultyCall): readonly (CallFault & FaultTiming)[]
  takeForBatch(): readonly BatchFault[]
  takeForResults(): readonly RowFault[]
}

interface Entry<F> {
  readonly fault: F & FaultTiming
  seen: number
  fired: number
}

export function createFaultBook(initial: readonly Fault[]): FaultBook {
  let entries: Entry<Fault>[] = []
  const book: FaultBook = {
    add(fault) {
      entries.push({ fault: faultSchema.parse(fault), seen: 0, fired: 0 })
    },
    clear() {
      entries = []
    },
    list: () => entries.map(({ fault }) => fault),
    takeForCall(call) {
      const taken: CallFault[] = []
      for (const entry of entries) {
        if (!isCallFault(entry.fault) || !matches(entry.fault, call)) continue
        const decided = taken.some(({ kind }) => kind !== 'slow')
        if (decided && entry.fault.kind !== 'slow') continue
        if (fires(entry)) taken.push(entry.fault)
      }
      return taken
    },
    takeForBatch: () => entries.flatMap((entry) => (isBatchFault(entry.fault) && fires(entry) ? [entry.fault] : [])),
    takeForResults: () => entries.flatMap((entry) => (isRowFault(entry.fault) && fires(entry) ? [entry.fault] : [])),
  }
  for (const fault of initial) book.add(fault)
  return book
}

function fires(entry: Entry<Fault>): boolean {
  const { times = Infinity, after = 0, every = 1 } = entry.fault
  entry.seen++
  const turn = entry.seen - after
  if (turn <= 0 || turn % every !== 0 || entry.fired >= times) return false
  entry.fired++
  return true
}

function matches(fault: CallFault, call: FaultyCall): boolean {
  const operations = fault.operation === undefined ? undefined : [fault.operation].flat()
  if (operations && !operations.includes(call.operation)) return false
  if (fault.method !== undefined && fault.method.toUpperCase() !== call.method) return false
  return fault.path === undefined || pathPattern(fault.path).test(call.path)
}

function pathPattern(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}

const CALL_KINDS: ReadonlySet<Fault['kind']> = new Set(['status', 'reset', 'cut', 'slow', 'invalid-json', 'down'])
const BATCH_KINDS: ReadonlySet<Fault['kind']> = new Set(['expire', 'reject', 'token-limit', 'list-lag', 'row-status'])

function isCallFault(fault: Fault): fault is CallFault & FaultTiming {
  return CALL_KINDS.has(fault.kind)
}

function isBatchFault(fault: Fault): fault is BatchFault & FaultTiming {
  return BATCH_KINDS.has(fault.kind)
}

function isRowFault(fault: Fault): fault is RowFault & FaultTiming {
  return !isCallFault(fault) && !isBatchFault(fault)
}
