import type { Column } from './columns.ts'

/** How a batched call went beside the same call made live. */
export type Outcome =
  /** The same, at the batch price. */
  | 'as live'
  /** The same, at full price: it went past the scope. */
  | 'went live'
  /** With the client's own timeout error, as it would have live. The answer is there for whoever asks again. */
  | 'ended at its limit'
  /** Its user's abort did not reach it: it answered all the same. */
  | 'outlived its abort'
  /** Neither abort nor limit ends its calls, live or in a scope. */
  | 'lasted, also live'
  /** The client has no such call, or is given none here. */
  | 'not offered'
  /** Anything else, with what was seen: no cell may be declared so. */
  | { readonly wrong: string }

/** What there is to say of a cell beyond `yes`. */
export type Exception =
  | { readonly says: 'no'; readonly outcome: Outcome & string; readonly because: string }
  | { readonly says: 'yes'; readonly outcome: 'as live'; readonly because: string }
  | { readonly says: 'n/a'; readonly outcome: 'not offered' | 'lasted, also live'; readonly because: string }

export type Exceptions = Readonly<Partial<Record<Column, Exception>>>

/** A cell that is declared not to work: what happens instead, and why. */
export function no(outcome: 'went live' | 'ended at its limit' | 'outlived its abort', because: string): Exception {
  return { says: 'no', outcome, because }
}

/** A cell that works, with something to know about it. */
export function yesBut(because: string): Exception {
  return { says: 'yes', outcome: 'as live', because }
}

/** A cell there is no such thing for. */
export function notApplicable(
  because: string,
  outcome: 'not offered' | 'lasted, also live' = 'not offered',
): Exception {
  return { says: 'n/a', outcome, because }
}

/** What is wrong with a cell; undefined: it is as declared. */
export function complaint(declared: Exception | undefined, seen: Outcome): string | undefined {
  const expected = declared?.outcome ?? 'as live'
  if (seen === expected) return undefined
  return `expected "${expected}", but ${typeof seen === 'string' ? `it was "${seen}"` : seen.wrong}`
}
