/**
 * How much a proof does. By default little enough for every change; with `OFFPEAK_PROOF=all` everything, as before a release:
 * `OFFPEAK_PROOF=all npx vitest run test/proof`.
 */
export const DOES_ALL: boolean = process.env['OFFPEAK_PROOF'] === 'all'

/** `OFFPEAK_SEED` repeats one run of a test that draws lots; otherwise the first `few` seeds, or `many` with `OFFPEAK_PROOF=all`. */
export function seeds(few: number, many: number): readonly number[] {
  const given = process.env['OFFPEAK_SEED']
  if (given !== undefined) return [Number(given)]
  return Array.from({ length: DOES_ALL ? many : few }, (_, index) => index + 1)
}

/** For a test that takes seconds by itself, on a machine that does much else or with `OFFPEAK_PROOF=all`. */
export const LONGEST_MS = 180_000
