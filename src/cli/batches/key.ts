import type { Call, ProviderAdapter } from '../../core/adapter.ts'
import type { Intent } from '../../core/batch.ts'
import { carriedHeaders } from '../../core/queue-key.ts'
import type { HeaderPair } from '../../core/request.ts'
import { accountId } from '../../manager/accounts.ts'
import { Caller } from '../../manager/caller.ts'
import { adapters } from '../../providers/registry.ts'
import { usageError } from '../args.ts'

/** As whom commands ask. */
export interface Keys {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Instead of those the environment gives, or beside them; without a value: none of that name. */
  readonly headers: readonly HeaderPair[]
  /** The store's. */
  readonly salt: Uint8Array
}

/** Whether the environment holds the key a batch was sent with. Another key might see another batch, or none: it is not tried. */
export type KeyFor =
  | { readonly kind: 'same'; readonly adapter: ProviderAdapter; readonly headers: readonly HeaderPair[] }
  | { readonly kind: 'another'; readonly reason: string }

export function keyFor(intent: Pick<Intent, 'provider' | 'baseUrl' | 'account'>, keys: Keys): KeyFor {
  const adapter = adapters.find(({ name }) => name === intent.provider)
  if (!adapter) return { kind: 'another', reason: `this offpeak knows no provider "${intent.provider}"` }
  const { env } = adapter.credentials
  const given = adapter.credentials.fromEnvironment?.(keys.env)
  if (!given && keys.headers.length === 0) {
    return { kind: 'another', reason: `set ${env} to the key it was sent with` }
  }
  const headers = withHeaders(given ?? [], keys.headers)
  const target = { provider: intent.provider, baseUrl: intent.baseUrl, query: '' }
  if (accountId(keys.salt, target, carriedHeaders(headers, adapter)) !== intent.account) {
    return {
      kind: 'another',
      reason: `it was sent to ${intent.baseUrl} with another key, organisation, project or further headers than ${env} and its like give: set those of its program, and name what else it sends with --header`,
    }
  }
  return { kind: 'same', adapter, headers }
}

/** Calls its provider as whoever sent it. */
export function callFor(
  { baseUrl }: Pick<Intent, 'baseUrl'>,
  headers: readonly HeaderPair[],
  adapter: ProviderAdapter,
  stopping: AbortSignal,
): Call {
  const caller = new Caller({ fetch: (url, init) => fetch(url, init), now: Date.now, stopping })
  return caller.line({ baseUrl, query: '', headers: carriedHeaders(headers, adapter) })
}

function withHeaders(given: readonly HeaderPair[], further: readonly HeaderPair[]): readonly HeaderPair[] {
  const named = new Set(further.map(([name]) => name))
  return [...given.filter(([name]) => !named.has(name)), ...further.filter(([, value]) => value !== '')]
}

/** `--header name:value`. */
export function parseHeaders(texts: readonly string[]): readonly HeaderPair[] {
  return texts.map((text) => {
    const [, name, value = ''] = /^([\w!#$%&'*+.^`|~-]+)\s*:(.*)$/.exec(text) ?? []
    // What is wrong with it may be a key on its own.
    if (name === undefined) throw usageError('--header must be written name:value')
    return [name.toLowerCase(), value.trim()]
  })
}
