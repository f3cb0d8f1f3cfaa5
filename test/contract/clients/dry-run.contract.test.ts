import { channel } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { batchify, type DryRunReport } from '../../../src/index.ts'
import { adapters } from '../../../src/providers/registry.ts'
import { type Calls, type Client, Place, WEATHER, Word } from '../../support/matrix/client.ts'
import { frameworkClients, sdkClients } from '../../support/matrix/clients.ts'
import type { Column } from '../../support/matrix/columns.ts'
import { titleOf } from '../../support/matrix/render.ts'

const CALLS: Readonly<Record<keyof Calls, Column>> = {
  plain: 'plain answer',
  tools: 'system + tools',
  schema: 'JSON schema',
  embeddings: 'embeddings',
  image: 'image',
}

/** A host that no look-up finds: whatever is sent there fails. */
const baseUrls = Object.fromEntries(adapters.map(({ name }) => [name, `http://${name}.invalid/v1`]))
/** These have the version in the base URL their SDKs are given. */
const VERSIONED = new Set(['openai', 'together', 'doubleword', 'xai'])

type Asked = readonly [client: Client, call: keyof Calls, ask: (calls: Calls) => Promise<{ readonly gist: unknown }>]

const asked: readonly Asked[] = [...sdkClients, ...frameworkClients].flatMap((client) =>
  (['plain', 'tools', 'schema', 'embeddings', 'image'] as const)
    .filter((call) => client.but?.[CALLS[call]]?.says !== 'no' && client.but?.[CALLS[call]]?.says !== 'n/a')
    .map((call): Asked => [client, call, async (calls) => (await calls[call]?.('What is it?')) ?? { gist: undefined }]),
)

const answers = new Map<Asked, PromiseSettledResult<{ readonly gist: unknown }>>()
let sent = 0
let report: DryRunReport | undefined
const onSent = (): void => void (sent += 1)

beforeAll(async () => {
  channel('undici:request:create').subscribe(onSent)
  const scope = openDryRun()
  await scope.run(async () => {
    const settled = await Promise.allSettled(asked.map(([client, , ask]) => ask(connected(client))))
    for (const [index, each] of asked.entries()) answers.set(each, settled[index] ?? { status: 'rejected', reason: '' })
  })
  await scope.close()
  report = scope.report().dryRun
}, 60_000)
afterAll(() => channel('undici:request:create').unsubscribe(onSent))

function openDryRun() {
  const urls = Object.fromEntries(Object.entries(baseUrls).map(([name, url]) => [name, [url, new URL(url).origin]]))
  return batchify({ dryRun: true, display: 'off', store: '/nowhere/store.db', baseUrls: urls })
}

function connected(client: Client): Calls {
  const url = baseUrls[client.provider] ?? ''
  const baseUrl = (VERSIONED.has(client.provider) ? url : new URL(url).origin) + (client.path ?? '')
  return client.connect({ baseUrl, apiKey: 'key', maxRetries: 0 })
}

describe('a stub satisfies', () => {
  test.for(asked.map((each) => [`${titleOf(each[0])}: ${each[1]}`, each] as const))('%s', ([, each]) => {
    const [, call] = each
    const answer = answers.get(each)

    expect(answer).toMatchObject({ status: 'fulfilled' })
    const gist = answer?.status === 'fulfilled' ? answer.value.gist : undefined
    if (call === 'tools') {
      expect(gist).toMatchObject({ name: WEATHER })
      expect(Place.parse(Reflect.get(Object(gist), 'input')).place).toBe('dry run')
    } else if (call === 'schema') {
      expect(Word.parse(gist)).toEqual({ word: 'dry run' })
    } else if (call === 'embeddings') {
      expect(Math.hypot(...(Array.isArray(gist) ? gist.map(Number) : []))).toBe(1)
    } else {
      expect(gist).toBe('dry run')
    }
  })
})

test('every call was counted, and none was sent', () => {
  expect(report?.totals.requests).toBe(asked.length)
  expect(report?.wouldPassThrough).toEqual([])
  expect(new Set(report?.groups.map(({ provider }) => provider))).toEqual(new Set(adapters.map(({ name }) => name)))
  expect(sent).toBe(0)
})
