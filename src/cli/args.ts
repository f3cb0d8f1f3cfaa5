import { parseArgs } from 'node:util'
import { OffpeakError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { DURATION_FORM, parseDuration } from './duration.ts'

/** What a flag takes. */
export type FlagKind = 'switch' | 'text' | 'port' | 'milliseconds' | 'duration'

export interface Flag {
  readonly kind: FlagKind
  /** One letter. */
  readonly short?: string
}

export type Flags = Readonly<Record<string, Flag>>

type FlagValue<K extends FlagKind> = K extends 'switch'
  ? boolean
  : K extends 'text'
    ? string | undefined
    : number | undefined

export type FlagValues<F extends Flags> = { readonly [N in keyof F]: FlagValue<F[N]['kind']> }

export interface ParsedArguments<F extends Flags> {
  readonly flags: FlagValues<F>
  readonly words: readonly string[]
}

export function usageError(message: string): OffpeakError {
  return new OffpeakError('usage', message)
}

/** `, did you mean …?` when there is something to mean. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : `, did you mean ${meant}?`
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  return port <= 65_535 ? port : undefined
}

function readValue(name: string, kind: Exclude<FlagKind, 'switch'>, text: string): string | number {
  if (kind === 'text') return text
  if (kind === 'port') {
    const port = parsePort(text)
    if (port === undefined) throw usageError(`--${name} must be a port between 0 and 65535, not "${text}"`)
    return port
  }
  if (kind === 'duration') {
    const ms = parseDuration(text)
    if (ms === undefined) throw usageError(`--${name} must be a duration such as ${DURATION_FORM}, not "${text}"`)
    return ms
  }
  if (!/^[1-9]\d{0,9}$/.test(text)) {
    throw usageError(`--${name} must be a whole number of milliseconds above 0, not "${text}"`)
  }
  return Number(text)
}

/** Reads flags and words. Anything wrong is a usage error that names it, and what was probably meant. */
export function parseArguments<const F extends Flags>(args: readonly string[], flags: F): ParsedArguments<F> {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(flags).map(([name, { kind, short }]) => [
        name,
        {
          type: kind === 'switch' ? ('boolean' as const) : ('string' as const),
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
    allowPositionals: true,
    // Its own errors name neither the flag nor the nearest one.
    strict: false,
    tokens: true,
  })
  const values: Record<string, string | number | boolean | undefined> = {}
  for (const [name, { kind }] of Object.entries(flags)) values[name] = kind === 'switch' ? false : undefined
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined
    if (!flag) throw unknownFlag(token.rawName, token.name, Object.keys(flags))
    if (flag.kind === 'switch') {
      if (token.value !== undefined) throw usageError(`--${token.name} takes no value`)
      values[token.name] = true
    } else {
      const isMissing = token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))
      if (isMissing) throw usageError(`--${token.name} needs a value`)
      values[token.name] = readValue(token.name, flag.kind, token.value ?? '')
    }
  }
  // Filled name by name from `flags`, each with the kind of value its flag stands for.
  return { flags: values as FlagValues<F>, words }
}

function unknownFlag(raw: string, name: string, known: readonly string[]): OffpeakError {
  const meant = nearest(name, known)
  return usageError(`unknown option ${raw}${meant === undefined ? '' : `, did you mean --${meant}?`}`)
}
