import { parseArgs } from 'node:util'
import { OffpeakError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { DURATION_FORM, parseDuration } from './duration.ts'

/** What a flag takes. `texts`: a text each time it is given. */
export type FlagKind = 'switch' | 'text' | 'texts' | 'port' | 'milliseconds' | 'duration' | 'count' | 'amount'

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
    : K extends 'texts'
      ? readonly string[]
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

function readValue(name: string, kind: Exclude<FlagKind, 'switch' | 'texts'>, text: string): string | number {
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
  if (kind === 'amount') {
    if (!/^\d{1,9}(\.\d{1,9})?$/.test(text) || Number(text) === 0) {
      throw usageError(`--${name} must be an amount above 0 such as 5 or 0.25, not "${text}"`)
    }
    return Number(text)
  }
  if (!/^[1-9]\d{0,9}$/.test(text)) {
    const unit = kind === 'milliseconds' ? ' of milliseconds' : ''
    throw usageError(`--${name} must be a whole number${unit} above 0, not "${text}"`)
  }
  return Number(text)
}

/** As `parseArgs` writes them. */
type Token =
  | { readonly kind: 'positional'; readonly index: number; readonly value: string }
  | {
      readonly kind: 'option'
      readonly index: number
      readonly name: string
      readonly rawName: string
      readonly value?: string | undefined
      readonly inlineValue?: boolean | undefined
    }
  | { readonly kind: 'option-terminator'; readonly index: number }

function tokensOf(args: readonly string[], flags: Flags): readonly Token[] {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { kind, short }]) => [
      name,
      {
        type: kind === 'switch' ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  )
  // Its own errors name neither the flag nor the nearest one.
  return parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true }).tokens
}

/** A command's own flags, and everything from its first word on, which is not for it to read. */
export function splitAtWord(
  args: readonly string[],
  flags: Flags,
): readonly [own: readonly string[], rest: readonly string[]] {
  const word = tokensOf(args, flags).find(({ kind }) => kind === 'positional')
  return word ? [args.slice(0, word.index), args.slice(word.index)] : [args, []]
}

/** Reads flags and words. Anything wrong is a usage error that names it, and what was probably meant. */
export function parseArguments<const F extends Flags>(args: readonly string[], flags: F): ParsedArguments<F> {
  const tokens = tokensOf(args, flags)
  const values: Record<string, string | number | boolean | readonly string[] | undefined> = {}
  for (const [name, { kind }] of Object.entries(flags)) {
    values[name] = kind === 'switch' ? false : kind === 'texts' ? [] : undefined
  }
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
      const text = token.value ?? ''
      values[token.name] =
        flag.kind === 'texts' ? [...textsIn(values[token.name]), text] : readValue(token.name, flag.kind, text)
    }
  }
  // Filled name by name from `flags`, each with the kind of value its flag stands for.
  return { flags: values as FlagValues<F>, words }
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value : []
}

function unknownFlag(raw: string, name: string, known: readonly string[]): OffpeakError {
  const meant = nearest(name, known)
  return usageError(`unknown option ${raw}${meant === undefined ? '' : `, did you mean --${meant}?`}`)
}
