import type { ProviderAdapter } from '../core/adapter.ts'
import type { RequestHead, Target } from '../core/request.ts'
import { anthropic } from './anthropic.ts'
import { doubleword } from './doubleword.ts'
import { gemini } from './gemini.ts'
import { groq } from './groq.ts'
import { mistral } from './mistral.ts'
import { openai } from './openai.ts'
import { together } from './together.ts'
import { xai } from './xai.ts'

/** Every provider offpeak knows. Adding one: its file, and its name here. */
export const adapters: readonly ProviderAdapter[] = [
  openai,
  anthropic,
  gemini,
  groq,
  mistral,
  together,
  doubleword,
  xai,
]

/** Further base URLs per provider, e.g. `{ openai: ['http://127.0.0.1:9911/v1'] }`. */
export type BaseUrls = Readonly<Record<string, readonly string[]>>

export type Match = (head: RequestHead) => Target | undefined

/** What an adapter says of a path below one of its base URLs. */
export type MatchPath = (
  adapter: ProviderAdapter,
  head: RequestHead,
  path: string,
) => Pick<Target, 'endpoint' | 'model'> | undefined

/** A call that a batch may be able to carry. */
const batchable: MatchPath = (adapter, head, path) => adapter.match(head, path)

/** Any call that may do or cost something, whatever it is. Looking things up and counting tokens does neither. */
export const anyWork: MatchPath = (_adapter, { method }, path) =>
  method === 'GET' || method === 'HEAD' || /count_?tokens/i.test(path) ? undefined : { endpoint: path }

interface Base {
  readonly adapter: ProviderAdapter
  /** `https://api.openai.com` */
  readonly origin: string
  /** `/v1`, without a slash at its end. */
  readonly prefix: string
}

/** How many distinct URLs are remembered; programs call a handful. */
const MEMORY = 500

/** Tells which requests are a provider's, by host and then path, from base URLs known or configured. A look-alike host is no provider. */
export function createMatch(
  known: readonly ProviderAdapter[],
  baseUrls: BaseUrls,
  matchPath: MatchPath = batchable,
): Match {
  const bases = known
    .flatMap((adapter) => [
      ...(baseUrls[adapter.name] ?? []).flatMap((url) => withPrefixes(toBase(adapter, url))),
      ...adapter.bases.map((url) => toBase(adapter, url)),
    ])
    // The most particular prefix first: one gateway may serve several providers.
    .sort((a, b) => b.prefix.length - a.prefix.length)
  const remembered = new Map<string, Target | undefined>()

  return (head) => {
    const key = `${head.method} ${head.url}`
    if (remembered.has(key)) return remembered.get(key)
    const target = findTarget(bases, head, matchPath)
    if (remembered.size >= MEMORY) remembered.clear()
    remembered.set(key, target)
    return target
  }
}

function toBase(adapter: ProviderAdapter, text: string): Base {
  const url = new URL(text)
  return { adapter, origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') }
}

/** A base URL is configured as its SDK takes it, or as our own calls need it. */
function withPrefixes(base: Base): readonly Base[] {
  const { adapter, origin } = base
  return [base, ...(adapter.prefixes ?? []).map((prefix) => ({ adapter, origin, prefix: base.prefix + prefix }))]
}

function findTarget(bases: readonly Base[], head: RequestHead, matchPath: MatchPath): Target | undefined {
  const url = URL.parse(head.url)
  if (!url || url.username || url.password) return undefined
  for (const { adapter, origin, prefix } of bases) {
    if (url.origin !== origin || !url.pathname.startsWith(`${prefix}/`)) continue
    const matched = matchPath(adapter, head, url.pathname.slice(prefix.length))
    if (matched) return { provider: adapter.name, baseUrl: origin + prefix, query: url.search, ...matched }
  }
  return undefined
}
