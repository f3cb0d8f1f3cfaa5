import type { Call, ProviderAdapter, TaggedBatch } from '../../core/adapter.ts'
import type { HeaderPair } from '../../core/request.ts'
import { Caller, reasonOf } from '../../manager/caller.ts'
import { formatDuration } from '../../progress/format.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** A provider this environment has a key for. */
export interface Keyed {
  readonly adapter: ProviderAdapter
  readonly key: string
  readonly baseUrl: string
  readonly headers: readonly HeaderPair[]
}

/** Providers with a key in their usual environment variable. */
export function keyedProviders(adapters: readonly ProviderAdapter[], env: Environment): readonly Keyed[] {
  return adapters.flatMap((adapter) => {
    const key = env[adapter.credentials.env]?.trim()
    const headers = adapter.credentials.fromEnvironment?.(env)
    const baseUrl = baseUrlFrom(adapter, env)
    return key && headers && baseUrl !== undefined ? [{ adapter, key, baseUrl, headers }] : []
  })
}

/** Where an SDK would call, and we beside it. */
function baseUrlFrom({ baseUrlEnv, bases, prefixes = [] }: ProviderAdapter, env: Environment): string | undefined {
  const configured = baseUrlEnv === undefined ? undefined : env[baseUrlEnv]?.trim().replace(/\/+$/, '')
  return configured ? configured + (prefixes[0] ?? '') : bases[0]
}

/** The keys there are; nobody has one of every provider. */
export function keyFindings(adapters: readonly ProviderAdapter[], env: Environment): readonly Finding[] {
  const names = adapters.map(({ credentials }) => credentials.env)
  const set = names.flatMap((name) => {
    const key = env[name]?.trim()
    return key ? [ok('key', `${name} ${masked(key)}`)] : []
  })
  if (set.length > 0) return set
  return [warn('key', `none of ${names.join(', ')} is set`, 'fine if your program brings its key in another way')]
}

/** Enough to tell two keys apart, and too little to be of use to anybody else. */
export function masked(key: string): string {
  return key.length >= 20 ? `${key.slice(0, 3)}…${key.slice(-2)}` : 'set'
}

const REPLY_TIMEOUT_MS = 10_000
/** Leases and look-ups are by the clock; below this nothing notices. */
const SKEW_MS = 5000
/** A look-up for a batch goes back this far beyond its own time. */
const DANGEROUS_SKEW_MS = 10 * 60_000

/** Compares this machine's clock with a provider's, by one request that is free and changes nothing, and tells whether its key is taken. */
export async function clockFindings(keyed: Keyed, stopping: AbortSignal): Promise<readonly Finding[]> {
  const { adapter, baseUrl, headers } = keyed
  const asked = Date.now()
  let response: Response
  try {
    response = await fetch(`${baseUrl}/models`, {
      headers: headers.map(([name, value]): [string, string] => [name, value]),
      redirect: 'manual',
      signal: AbortSignal.any([stopping, AbortSignal.timeout(REPLY_TIMEOUT_MS)]),
    })
    await response.body?.cancel()
  } catch (error) {
    return [ok('clock', `not compared: ${adapter.name} cannot be reached at ${baseUrl} (${reasonOf(error)})`)]
  }
  const isRefused = response.status === 401 || response.status === 403
  const says = `${adapter.name} refuses the key (HTTP ${response.status})`
  const refused = isRefused ? [warn('key', says, `check ${adapter.credentials.env}`)] : []
  const theirs = Date.parse(response.headers.get('date') ?? '')
  // Its date has whole seconds, and was written somewhere between the question and the answer.
  return [...refused, skewFinding(Math.round((asked + Date.now()) / 2 - (theirs + 500)), adapter.name)]
}

function skewFinding(skewMs: number, provider: string): Finding {
  if (Number.isNaN(skewMs)) return ok('clock', `not compared: ${provider} does not say what time it is`)
  const says = `${formatDuration(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} ${provider}`
  if (Math.abs(skewMs) >= DANGEROUS_SKEW_MS) {
    return bad('clock', says, "set this machine's clock: batches are looked for by time")
  }
  if (Math.abs(skewMs) >= SKEW_MS) return warn('clock', says, "set this machine's clock")
  return ok('clock', `the same as that of ${provider}`)
}

export type Upstream =
  | { readonly kind: 'listed'; readonly unknown: readonly TaggedBatch[] }
  | { readonly kind: 'not-listed'; readonly reason: string }

/** Batches with our tag that a provider holds and a store does not know. */
export async function listUpstream(
  { adapter, baseUrl, headers }: Keyed,
  known: ReadonlySet<string>,
  stopping: AbortSignal,
): Promise<Upstream> {
  if (!adapter.list) return { kind: 'not-listed', reason: 'its batches carry no tag' }
  const caller = new Caller({ fetch: (url, init) => fetch(url, init), now: Date.now, stopping })
  const call: Call = caller.line({ baseUrl, query: '', headers })
  const unknown: TaggedBatch[] = []
  try {
    for await (const batch of adapter.list(call)) if (!known.has(batch.tag)) unknown.push(batch)
  } catch (error) {
    return { kind: 'not-listed', reason: reasonOf(error) }
  }
  return { kind: 'listed', unknown }
}
