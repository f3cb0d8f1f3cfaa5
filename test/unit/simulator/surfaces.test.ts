import { expect, test } from 'vitest'
import { spawnSimulator, startSimulator } from '../../../src/simulator/index.ts'
import { startServer } from '../../../src/simulator/server.ts'
import { prefixOf, SURFACES } from '../../../src/simulator/surfaces.ts'
import { createFaultBook } from '../../../src/simulator/faults.ts'
import { createLedgerBook } from '../../../src/simulator/ledger.ts'
import { realClock } from '../../../src/simulator/clock.ts'
import { openFileStore } from '../../../src/simulator/file-store.ts'
import { jsonReply, type ProviderSurface } from '../../../src/simulator/provider.ts'

const PATHS = {
  openai: '/v1',
  anthropic: '/anthropic',
  gemini: '/gemini',
  groq: '/groq',
  mistral: '/mistral',
  together: '/together/v1',
  doubleword: '/doubleword/v1',
  xai: '/xai/v1',
} as const

test('every provider has a path of its own, which is what its SDK takes as base URL', async () => {
  await using simulator = await startSimulator()

  const baseUrls = Object.fromEntries(simulator.providers.map(({ name, baseUrl }) => [name, baseUrl]))

  expect(baseUrls).toEqual(
    Object.fromEntries(Object.entries(PATHS).map(([name, path]) => [name, simulator.url + path])),
  )
  for (const { name, baseUrl } of simulator.providers) expect(simulator.baseUrl(name)).toBe(baseUrl)
  const variables = simulator.providers.flatMap(({ env }) => [env.baseUrl, env.key])
  expect(new Set(variables).size).toBe(variables.length)
})

test('a provider that nobody plays is an error that names those who are', () => {
  expect(() => prefixOf('nobody')).toThrow(/does not play "nobody"; it plays openai, /)
})

test('a stranger to one provider is a stranger in its own words, and counted as nobody', async () => {
  await using simulator = await startSimulator()

  for (const { name, baseUrl } of simulator.providers) {
    const { status } = await fetch(`${baseUrl}/nothing`)
    expect([name, status]).toEqual([name, expect.toBeOneOf([401, 403])])
  }

  expect(simulator.ledger().accounts).toEqual([])
  expect(simulator.ledger().calls.other).toBe(SURFACES.length)
})

test('a spawned simulator has the same paths', async () => {
  await using simulator = await spawnSimulator({ time: 'virtual' })

  expect(simulator.baseUrl('groq')).toBe(`${simulator.url}/groq`)
  expect((await fetch(`${simulator.baseUrl('xai')}/models`, { headers: { authorization: 'Bearer k' } })).status).toBe(
    200,
  )
})

test('where one path is the beginning of another, the longer one is meant', async () => {
  const clock = realClock()
  const files = await openFileStore(undefined, clock)
  const world = {
    clock,
    files,
    ledger: createLedgerBook(),
    faults: createFaultBook([]),
    limits: {},
    models: [],
    batchMs: 0,
  }
  const surface = (name: string): ProviderSurface => ({
    route: (_, path, query) => ({
      operation: 'other',
      handle: async () => jsonReply(200, [name, path, query.get('q')]),
    }),
    identify: () => ({ provider: name, hash: name, organization: name }),
    headers: () => ({}),
    refuse: (status) => jsonReply(status, {}),
    settle: () => {},
    close: async () => {},
  })
  const mounted = [
    { prefix: '/v1', surface: surface('short') },
    { prefix: '/v1/other', surface: surface('long') },
  ]
  const server = await startServer(world, mounted, () => undefined, {
    port: 0,
    host: '127.0.0.1',
    liveMs: 0,
    perPollMs: 0,
  })
  const ask = async (path: string): Promise<unknown> => (await fetch(server.url + path)).json()

  const answers = [await ask('/v1/other/x?q=1'), await ask('/v1/others'), await ask('/v1/x')]
  await server.close()
  await files.close()

  expect(answers).toEqual([
    ['long', '/x', '1'],
    ['short', '/others', null],
    ['short', '/x', null],
  ])
})
