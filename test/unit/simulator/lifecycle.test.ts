import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { spawnSimulator, startSimulator, type SimulatorOptions } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { chatRows, clientFor, createBatch, rowsOf, untilEnded } from './openai-client.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'offpeak-test-'))
})
afterAll(() => rm(folder, { recursive: true }))

const HEADERS = { authorization: 'Bearer sk-test' }

test('a closed simulator leaves no file and answers nobody, and may be closed twice', async () => {
  const simulator = await startTestSimulator({ folder })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a'))
  const { output_file_id: output } = await untilEnded(client, id)
  await rowsOf(client, output)
  const during = await readdir(folder)

  await simulator.close()
  await simulator.close()

  expect(during).toHaveLength(1)
  expect(await readdir(folder)).toEqual([])
  await expect(fetch(simulator.url)).rejects.toThrow('fetch failed')
})

test('closing does not wait for a slow answer or an open connection', async () => {
  const simulator = await startTestSimulator({ folder, faults: [{ kind: 'slow', ms: 600_000 }] })
  const waiting = fetch(`${simulator.baseUrl('openai')}/models`, { headers: HEADERS })
  const failure = waiting.catch((error: unknown) => error)
  while (simulator.ledger().calls.models === 0) await new Promise(setImmediate)

  await simulator.close()

  expect(await failure).toMatchObject({ message: 'fetch failed' })
  expect(await readdir(folder)).toEqual([])
})

test('in real time a batch gets done by itself', async () => {
  await using simulator = await startSimulator({ batchMs: 30 })
  const client = clientFor(simulator)

  const { id } = await createBatch(client, chatRows('a', 'b'))
  let batch = await client.batches.retrieve(id)
  while (batch.status !== 'completed') {
    await new Promise(setImmediate)
    batch = await client.batches.retrieve(id)
  }

  expect(await rowsOf(client, batch.output_file_id)).toHaveLength(2)
  expect(() => simulator.advance(1)).toThrow(/real time/)
})

test('a port that is taken is an error, and leaves nothing behind', async () => {
  await using first = await startTestSimulator()

  await expect(startSimulator({ port: Number(new URL(first.url).port), folder })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  })

  expect(await readdir(folder)).toEqual([])
})

test('an option that does not exist is refused', async () => {
  const options: SimulatorOptions = JSON.parse('{"prot":8080}')

  await expect(startSimulator(options)).rejects.toThrow(/prot/)
})

test('every reply carries a request id of its own', async () => {
  await using simulator = await startTestSimulator()

  const ids = new Set<string | null>()
  for (const path of ['/models', '/batches', '/files', '/nothing', '/batches/none']) {
    ids.add((await fetch(simulator.baseUrl('openai') + path, { headers: HEADERS })).headers.get('x-request-id'))
  }

  expect(ids.size).toBe(5)
  expect([...ids].every((id) => id?.startsWith('req_'))).toBe(true)
})

test('a ledger never shows a whole key', async () => {
  await using simulator = await startTestSimulator()
  const secrets = [
    clientFor(simulator, { apiKey: 'sk-very-secret' }),
    clientFor(simulator, { organization: 'org-secret' }),
  ]

  for (const client of secrets) await client.responses.create({ model: 'gpt-x', input: 'a' })

  const ledger = simulator.ledger()
  expect(JSON.stringify(ledger)).not.toContain('secret')
  expect(ledger.accounts.map(({ live }) => live)).toEqual([1, 1])
  expect(ledger.requests).toHaveLength(2)
})

test('the controls work over HTTP', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a'))
  const control = async (method: string, path: string, body?: unknown): Promise<[number, unknown]> => {
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    const response = await fetch(`${simulator.url}/_simulator/${path}`, init)
    return [response.status, await response.json()]
  }
  const down = { kind: 'down', status: 503 }

  expect(await control('POST', 'advance', { ms: 3000 })).toEqual([200, {}])
  expect((await client.batches.retrieve(id)).status).toBe('completed')
  expect(await control('POST', 'faults', down)).toEqual([200, [down]])
  await expect(client.batches.retrieve(id)).rejects.toMatchObject({ status: 503 })
  expect(await control('GET', 'faults')).toEqual([200, [down]])
  expect(await control('DELETE', 'faults')).toEqual([200, []])
  expect((await client.batches.retrieve(id)).status).toBe('completed')
  expect(await control('GET', 'ledger')).toEqual([200, JSON.parse(JSON.stringify(simulator.ledger()))])
  for (const [method, path, body] of [
    ['POST', 'faults', { kind: 'nonsense' }],
    ['POST', 'advance', { ms: -1 }],
  ] as const) {
    expect(await control(method, path, body)).toMatchObject([400, { error: { message: expect.any(String) } }])
  }
  expect((await control('GET', 'nothing'))[0]).toBe(404)
})

test('a spawned simulator is used like one at home, and ends with its owner', async () => {
  const simulator = await spawnSimulator({ time: 'virtual', folder })
  const response = await fetch(`${simulator.baseUrl('openai')}/responses`, {
    method: 'POST',
    headers: HEADERS,
    body: JSON.stringify({ model: 'gpt-x', input: 'a' }),
  })
  await simulator.fault({ kind: 'down', status: 502 })
  const refused = await fetch(`${simulator.baseUrl('openai')}/models`, { headers: HEADERS })
  await simulator.clearFaults()
  await simulator.advance(1000)
  const ledger = await simulator.ledger()

  await simulator.close()

  expect(response.status).toBe(200)
  expect(refused.status).toBe(502)
  expect(ledger.executions.live).toBe(1)
  expect(() => process.kill(simulator.pid, 0)).toThrow('ESRCH')
  expect(await readdir(folder)).toEqual([])
})

test('a simulator of its own ends when its parent is killed', async () => {
  const child = fileURLToPath(new URL('../../../src/simulator/child.ts', import.meta.url))
  const options = JSON.stringify({ folder })
  // A parent that does nothing but own the simulator's stdin, and then dies without a word.
  const program = `
    import { spawn } from 'node:child_process'
    const owned = spawn(process.execPath, [${JSON.stringify(child)}, ${JSON.stringify(options)}], { stdio: ['pipe', 'inherit', 'inherit'] })
    console.log(JSON.stringify({ pid: owned.pid }))
    setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  parent.stdout.on('data', (piece: Buffer) => (output += piece.toString()))
  while (!output.includes('"url"')) await once(parent.stdout, 'data')

  parent.kill('SIGKILL')
  // The simulator holds the other end of this pipe: it closes when the simulator is gone.
  await once(parent.stdout, 'close')

  expect(await readdir(folder)).toEqual([])
})

test('a simulator of its own that cannot start says so', async () => {
  await expect(spawnSimulator({ port: 70_000 })).rejects.toThrow(/ended before/)
})
