import type { HeaderPair } from '../core/request.ts'

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// oxlint-disable-next-line no-control-regex -- the very characters a header value must not hold
const BAD_VALUE = /[\0\r\n]|[^\0-\xff]/

/**
 * Reads headers as callers write them, without the cost of a `Headers`: lower-case names, trimmed values.
 * undefined: there is one that only the native call can refuse in the words the caller expects.
 */
export function headerPairs(source: unknown): readonly HeaderPair[] | undefined {
  try {
    return readPairs(source)
  } catch {
    // Nothing is lost: what we cannot even read, the native call refuses.
    return undefined
  }
}

function readPairs(source: unknown): readonly HeaderPair[] | undefined {
  if (source === undefined || source === null) return []
  if (typeof source !== 'object') return undefined
  // A Headers has checked and lower-cased its content already.
  if (source instanceof Headers) return recognised([...source])
  if (Array.isArray(source) && typeof source[0] === 'string') return flatPairs(source)
  if (isIterable(source)) return listedPairs(source)
  return recordPairs(source)
}

/** The headers that say how to read the body, in lower case. */
export function bodyHeaders(pairs: readonly HeaderPair[]): BodyHeaders {
  if (pairs !== judged.pairs) judged = { pairs, ...readBodyHeaders(pairs) }
  return judged
}

interface BodyHeaders {
  readonly type: string | undefined
  readonly encoding: string | undefined
}

/** The list asked about last, which is mostly the next one. */
let judged: BodyHeaders & { readonly pairs: readonly HeaderPair[] } = {
  pairs: [],
  type: undefined,
  encoding: undefined,
}

function readBodyHeaders(pairs: readonly HeaderPair[]): BodyHeaders {
  let type: string | undefined
  let encoding: string | undefined
  for (const [name, value] of pairs) {
    if (name === 'content-type') type = value.toLowerCase()
    else if (name === 'content-encoding') encoding = value.toLowerCase()
  }
  return { type, encoding }
}

/** The headers of a body that is no longer compressed. */
export function decoded(pairs: readonly HeaderPair[]): readonly HeaderPair[] {
  const isEncoding = ([name]: HeaderPair): boolean => name === 'content-encoding'
  return pairs.some(isEncoding) ? pairs.filter((pair) => !isEncoding(pair)) : pairs
}

/**
 * The headers read last. Programs send the same ones with every call: they are not read again, and whoever gets them knows the list
 * itself again.
 */
let latest: readonly HeaderPair[] = []
/** The record they were read from, as it was then: names and values in turn. */
let latestRecord: readonly unknown[] = []

function recordPairs(record: object): readonly HeaderPair[] | undefined {
  const entries = Object.entries(record)
  if (entries.length > 0 && isLatest(entries)) return latest
  const pairs: HeaderPair[] = []
  for (const [name, value] of entries) {
    if (!add(pairs, name, value)) return undefined
  }
  latest = recognised(pairs)
  latestRecord = entries.every(([, value]) => typeof value === 'string') ? entries.flat() : []
  return latest
}

function isLatest(entries: readonly (readonly [string, unknown])[]): boolean {
  if (entries.length * 2 !== latestRecord.length) return false
  let at = 0
  for (const [name, value] of entries) {
    if (latestRecord[at] !== name || latestRecord[at + 1] !== value) return false
    at += 2
  }
  return true
}

/** The latest list, if this one says the same. */
function recognised(pairs: readonly HeaderPair[]): readonly HeaderPair[] {
  if (pairs.length === latest.length && pairs.every((pair, index) => isSame(pair, latest[index]))) return latest
  latest = pairs
  latestRecord = []
  return pairs
}

function isSame([name, value]: HeaderPair, other: HeaderPair | undefined): boolean {
  return other !== undefined && name === other[0] && value === other[1]
}

function listedPairs(list: Iterable<unknown>): HeaderPair[] | undefined {
  const pairs: HeaderPair[] = []
  for (const pair of list) {
    if (!Array.isArray(pair) || pair.length !== 2 || !add(pairs, pair[0], pair[1])) return undefined
  }
  return pairs
}

/** undici also takes names and values in turn. */
function flatPairs(list: readonly unknown[]): HeaderPair[] | undefined {
  const pairs: HeaderPair[] = []
  for (let index = 0; index < list.length; index += 2) {
    if (!add(pairs, list[index], list[index + 1])) return undefined
  }
  return pairs
}

function add(pairs: HeaderPair[], name: unknown, value: unknown): boolean {
  if (Array.isArray(value)) return value.every((one) => add(pairs, name, one))
  if (typeof name !== 'string' || typeof value === 'symbol') return false
  const text = (typeof value === 'string' ? value : String(value)).trim()
  if (!TOKEN.test(name) || BAD_VALUE.test(text)) return false
  pairs.push([name.toLowerCase(), text])
  return true
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value
}
