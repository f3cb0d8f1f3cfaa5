import { expect, test } from 'vitest'
import type { CapturedRequest, HeaderPair } from '../../../src/core/request.ts'
import { Accounts, fingerprint } from '../../../src/manager/accounts.ts'
import { Caller } from '../../../src/manager/caller.ts'
import type { JobQueue } from '../../../src/manager/queue.ts'
import { openai } from '../../../src/providers/openai.ts'
import { SETTINGS } from '../../support/engine.ts'

function accounts(): Accounts {
  const caller = new Caller({ fetch, now: Date.now, stopping: new AbortController().signal })
  return new Accounts(new Uint8Array(32), caller, SETTINGS)
}

interface Who {
  readonly key: number
  readonly org: number
  readonly project: number
  readonly tenant: number
  readonly query: number
  readonly base: number
  readonly model: number
  readonly endpoint: number
}

/** Two of everything that must keep requests apart, and noise that must not. */
function requestOf(caller: Who, noise: number): CapturedRequest {
  const model = ['gpt-4o-mini', 'gpt-4.1-mini'][caller.model]
  const json = { model: model ?? '', input: 'x' }
  const carried: HeaderPair[] = [
    ['authorization', `Bearer sk-${caller.key}`],
    ...(caller.org ? ([['openai-organization', 'org']] as const) : []),
    ...(caller.project ? ([['openai-project', 'org']] as const) : []),
    ...(caller.tenant ? ([['x-tenant', 'org']] as const) : []),
  ]
  const others: HeaderPair[] = [
    ['x-stainless-retry-count', String(noise % 3)],
    ['traceparent', `00-${noise}`],
    ['user-agent', `agent/${noise}`],
    ['x-request-id', String(noise)],
  ]
  const headers = noise % 2 === 0 ? [...carried, ...others] : [...others, ...carried].toReversed()
  const baseUrl = ['https://api.openai.com/v1', 'https://eu.api.openai.com/v1'][caller.base] ?? ''
  return {
    method: 'POST',
    url: baseUrl,
    target: {
      provider: 'openai',
      baseUrl,
      query: ['', '?tenant=org'][caller.query] ?? '',
      endpoint: ['/v1/responses', '/v1/embeddings'][caller.endpoint] ?? '',
    },
    headers,
    body: JSON.stringify(json),
    json,
  }
}

test('ten thousand requests in any order: those of different accounts, endpoints or models never share a queue, all others always do', () => {
  const known = accounts()
  const byCaller = new Map<string, JobQueue>()
  const byQueue = new Map<JobQueue, string>()
  let seed = 11
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below

  for (let round = 0; round < 10_000; round += 1) {
    const bits = random(256)
    const bit = (place: number): number => (bits >> place) & 1
    const caller = {
      key: bit(0),
      org: bit(1),
      project: bit(2),
      tenant: bit(3),
      query: bit(4),
      base: bit(5),
      model: bit(6),
      endpoint: bit(7),
    }
    const queue = known.queueFor(requestOf(caller, random(1000)), openai)
    const name = JSON.stringify(caller)
    if ((byCaller.get(name) ?? queue) !== queue) throw new Error(`${name} has two queues`)
    if ((byQueue.get(queue) ?? name) !== name) throw new Error(`${name} shares a queue with ${byQueue.get(queue)}`)
    byCaller.set(name, queue)
    byQueue.set(queue, name)
  }

  expect(byCaller.size).toBe(256)
  expect(new Set([...byQueue.keys()].map(({ target }) => target.queueKey)).size).toBe(256)
  expect(new Set([...byQueue.keys()].map(({ target }) => target.account)).size).toBe(64)
})

test('an account is known by a keyed hash: no part of a key is in it, and another store’s salt gives another', () => {
  const caller = { key: 1, org: 1, project: 0, tenant: 0, query: 0, base: 0, model: 0, endpoint: 0 }
  const one = accounts().queueFor(requestOf(caller, 1), openai)
  const salted = new Accounts(
    new Uint8Array(32).fill(1),
    new Caller({ fetch, now: Date.now, stopping: new AbortController().signal }),
    SETTINGS,
  ).queueFor(requestOf(caller, 1), openai)

  expect(JSON.stringify(one.target)).not.toContain('sk-')
  expect(one.target.account).toMatch(/^[0-9a-f]{32}$/)
  expect(salted.target.account).not.toBe(one.target.account)
})

test('a fingerprint is another for every byte and account', () => {
  const known = accounts()
  const caller = { key: 0, org: 0, project: 0, tenant: 0, query: 0, base: 0, model: 0, endpoint: 0 }
  const printOf = (change: Partial<Who>, body?: string): string => {
    const request = requestOf({ ...caller, ...change }, 1)
    const { account } = known.queueFor(request, openai)
    return fingerprint(body === undefined ? request : { ...request, body }, account)
  }
  const plain = printOf({})
  const others = [
    printOf({ key: 1 }),
    printOf({ org: 1 }),
    printOf({ query: 1 }),
    printOf({ base: 1 }),
    printOf({ endpoint: 1 }),
    printOf({}, '{"model":"gpt-4o-mini","input":"x" }'),
  ]

  expect(printOf({})).toBe(plain)
  expect(new Set([plain, ...others]).size).toBe(others.length + 1)
})
