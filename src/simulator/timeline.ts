/** Everything that decides where a batch stands at a given time. */
export interface Timeline {
  readonly createdAt: number
  /** From create to completed, if nothing intervenes. */
  readonly batchMs: number
  /** When its completion window closes. */
  readonly deadline: number
  /** When validation had read the whole input; undefined: it takes no time of its own (virtual time). */
  readonly validatedAt: number | undefined
  readonly refused: boolean
  readonly rows: number
  /** The batch expires after this many rows instead of completing. */
  readonly expireAfterRows: number | undefined
  readonly cancelledAt: number | undefined
  /** What it takes to be cancelled; default a part of `batchMs`. */
  readonly cancelMs?: number | undefined
}

export type Phase =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled'

export interface Standing {
  readonly phase: Phase
  /** How many rows, in input order, have been executed. */
  readonly executed: number
  /** When it entered each phase it has entered. */
  readonly entered: Readonly<Partial<Record<Phase, number>>>
  /** When it will be over, or was; Infinity: nobody knows yet. */
  readonly endsAt: number
}

const VALIDATING = 0.1
const FINALIZING = 0.1
const CANCELLING = 0.1

/** Where a batch stands: a pure function of its history and the time. */
export function standingAt(timeline: Timeline, now: number): Standing {
  const { createdAt, batchMs, deadline, cancelledAt } = timeline
  const started = Math.max(createdAt + batchMs * VALIDATING, timeline.validatedAt ?? 0)
  const executedAll = started + batchMs * (1 - VALIDATING - FINALIZING)
  const ended = executedAll + batchMs * FINALIZING

  const executedBy = (time: number): number => {
    if (time < started) return 0
    const share = executedAll > started ? Math.min(1, (time - started) / (executedAll - started)) : 1
    return Math.min(Math.floor(timeline.rows * share), timeline.expireAfterRows ?? timeline.rows)
  }
  /** What it had entered by `time`, were it left alone. */
  const enteredBy = (time: number): Partial<Record<Phase, number>> => ({
    validating: createdAt,
    ...(time >= started ? { in_progress: started } : {}),
    ...(time >= executedAll ? { finalizing: executedAll } : {}),
  })

  if (cancelledAt !== undefined) {
    const done = cancelledAt + (timeline.cancelMs ?? batchMs * CANCELLING)
    const entered = { ...enteredBy(cancelledAt), cancelling: cancelledAt }
    const executed = executedBy(cancelledAt)
    if (now < done) return { phase: 'cancelling', executed, entered, endsAt: done }
    return { phase: 'cancelled', executed, entered: { ...entered, cancelled: done }, endsAt: done }
  }
  if (timeline.refused && now >= started) {
    return { phase: 'failed', executed: 0, entered: { validating: createdAt, failed: started }, endsAt: started }
  }
  if (deadline < ended && now >= deadline) {
    const entered = { ...enteredBy(deadline), expired: deadline }
    return { phase: 'expired', executed: executedBy(deadline), entered, endsAt: deadline }
  }
  const executed = executedBy(now)
  const entered = enteredBy(now)
  const endsAt = timeline.refused ? started : Math.min(ended, deadline)
  if (now < started) return { phase: 'validating', executed, entered, endsAt }
  if (now < executedAll) return { phase: 'in_progress', executed, entered, endsAt }
  if (now < ended) return { phase: 'finalizing', executed, entered, endsAt }
  const last = timeline.expireAfterRows === undefined ? 'completed' : 'expired'
  return { phase: last, executed, entered: { ...entered, [last]: ended }, endsAt: ended }
}

export function isFinal(phase: Phase): boolean {
  return phase === 'completed' || phase === 'failed' || phase === 'expired' || phase === 'cancelled'
}
