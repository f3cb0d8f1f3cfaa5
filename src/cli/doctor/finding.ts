import { aligned } from '../sizes.ts'

/** One thing that was looked at. */
export interface Finding {
  readonly status: 'ok' | 'warn' | 'bad'
  /** In a word or two. */
  readonly what: string
  readonly says: string
  /** What to do about it. */
  readonly next?: string | undefined
}

export function ok(what: string, says: string): Finding {
  return { status: 'ok', what, says }
}

export function warn(what: string, says: string, next?: string): Finding {
  return { status: 'warn', what, says, next }
}

export function bad(what: string, says: string, next: string): Finding {
  return { status: 'bad', what, says, next }
}

/** One line each: `warn  keys  none is set — …`. */
export function findingLines(findings: readonly Finding[]): readonly string[] {
  return aligned(
    findings.map(({ status, what, says, next }) => [status, what, next === undefined ? says : `${says} — ${next}`]),
  )
}
