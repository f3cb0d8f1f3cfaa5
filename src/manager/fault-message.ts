import { OffpeakError } from '../core/errors.ts'

/** For messages of faults that are ours, not a provider's. */
export function faultMessage(error: unknown): { code: string; message: string } {
  const code = error instanceof OffpeakError ? error.code.replaceAll('-', '_') : 'internal_error'
  const message = error instanceof Error ? error.message : 'unknown failure'
  return { code, message: `offpeak: ${message}` }
}
