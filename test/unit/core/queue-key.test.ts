import { describe, expect, test } from 'vitest'
import { accountText, carriedHeaders, isCarried, queueText } from '../../../src/core/queue-key.ts'

describe('headers our own calls carry', () => {
  test.each([
    'authorization',
    'api-key',
    'x-api-key',
    'openai-organization',
    'openai-project',
    'openai-beta',
    'anthropic-version',
    'anthropic-beta',
    'x-tenant',
    'x-goog-user-project',
    'helicone-auth',
    'cookie',
  ])('%s', (name) => {
    expect(isCarried(name)).toBe(true)
  })

  test.each([
    'content-type',
    'content-length',
    'content-encoding',
    'accept',
    'accept-encoding',
    'connection',
    'host',
    'user-agent',
    'x-stainless-retry-count',
    'x-stainless-lang',
    'traceparent',
    'tracestate',
    'baggage',
    'sentry-trace',
    'x-datadog-trace-id',
    'x-request-id',
    'idempotency-key',
    'proxy-authorization',
    'sec-fetch-mode',
  ])('but not %s', (name) => {
    expect(isCarried(name)).toBe(false)
  })
})

test('a provider respells or drops headers of its own, and only those that are carried at all', () => {
  const carry = (name: string, value: string): string | undefined =>
    name === 'x-telemetry' ? undefined : value.toUpperCase()

  const carried = carriedHeaders(
    [
      ['authorization', 'key'],
      ['x-telemetry', '1'],
      ['user-agent', 'agent'],
    ],
    { carry },
  )

  expect(carried).toEqual([['authorization', 'KEY']])
})

describe('an account', () => {
  const target = { provider: 'p', baseUrl: 'https://a.test/v1', query: '', endpoint: '/v1/x' }
  const headers = [
    ['authorization', 'Bearer 1'],
    ['openai-project', 'x'],
  ] as const

  test('is the same whatever the order of its headers', () => {
    expect(accountText(target, headers)).toBe(accountText(target, headers.toReversed()))
  })

  test('is another with anything else about it', () => {
    const others = [
      accountText(target, headers),
      accountText({ ...target, provider: 'q' }, headers),
      accountText({ ...target, baseUrl: 'https://a.test/v2' }, headers),
      accountText({ ...target, query: '?a=1' }, headers),
      accountText(target, headers.slice(0, 1)),
      accountText(target, [['authorization', 'Bearer 2'], headers[1]]),
      accountText(target, [...headers, ['x-tenant', '']]),
      // What is one value in the first is two in the second.
      accountText(target, [['authorization', 'Bearer 1 openai-project:x']]),
    ]

    expect(new Set(others).size).toBe(others.length)
  })
})

test('what may share a batch is the provider’s to say', () => {
  const texts = (mixes: 'nothing' | 'models' | 'endpoints'): number =>
    new Set([
      queueText('a', '/x', 'm', mixes),
      queueText('a', '/x', 'n', mixes),
      queueText('a', '/y', 'm', mixes),
      queueText('b', '/x', 'm', mixes),
    ]).size

  expect([texts('nothing'), texts('models'), texts('endpoints')]).toEqual([4, 3, 2])
})
