import type { ProviderAdapter } from './adapter.ts'
import type { HeaderPair, Target } from './request.ts'

/** Headers of a caller that our own calls must not repeat: about one connection, one body, one attempt or one trace. */
const NOT_CARRIED = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'age',
  'baggage',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'correlation-id',
  'date',
  'expect',
  'host',
  'idempotency-key',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'keep-alive',
  'origin',
  'pragma',
  'priority',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'referer',
  'request-id',
  'sec-fetch-mode',
  'sentry-trace',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'via',
  'x-correlation-id',
  'x-idempotency-key',
  'x-request-id',
  'x-requested-with',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-sampled',
  'b3',
])

const NOT_CARRIED_PREFIX = /^(x-stainless-|x-datadog-|sec-)/

/** Whether our own calls carry this header of the caller's (its name in lower case). */
export function isCarried(name: string): boolean {
  return !NOT_CARRIED.has(name) && !NOT_CARRIED_PREFIX.test(name)
}

/** The headers our own calls carry on the caller's behalf, as the provider's adapter spells them. */
export function carriedHeaders(
  headers: readonly HeaderPair[],
  adapter: Pick<ProviderAdapter, 'carry'>,
): readonly HeaderPair[] {
  return headers.flatMap(([name, value]): HeaderPair[] => {
    const carried = isCarried(name) ? (adapter.carry ? adapter.carry(name, value) : value) : undefined
    return carried === undefined ? [] : [[name, carried]]
  })
}

/** Separates parts that cannot contain it: header names, values and URLs have no NUL. */
const SEPARATOR = '\0'

/** Everything that tells one account from another, as one text. Holds secrets: hash it before it goes anywhere. */
export function accountText(
  target: Pick<Target, 'provider' | 'baseUrl' | 'query'>,
  carried: readonly HeaderPair[],
): string {
  const headers = carried.map(([name, value]) => `${name}:${value}`).sort()
  return [target.provider, target.baseUrl, target.query, ...headers].join(SEPARATOR)
}

/** Jobs with the same text may share a batch. */
export function queueText(
  account: string,
  endpoint: string,
  model: string,
  mixes: 'nothing' | 'models' | 'endpoints',
): string {
  const parts = { nothing: [endpoint, model], models: [endpoint], endpoints: [] }[mixes]
  return [account, ...parts].join(SEPARATOR)
}
