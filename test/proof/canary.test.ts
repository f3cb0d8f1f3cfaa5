/** A key that could be recognised anywhere is used in every way a key can be used, and is found nowhere. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Fault } from '../../src/simulator/index.ts'
import { reasonOf } from '../../src/manager/caller.ts'
import { readReply } from '../../src/providers/toolkit/replies.ts'
import { isAnswerTo, startWorld } from '../support/engine.ts'
import { runProgram } from '../support/programs.ts'
import { lookAtFiles, tracesOf, watchFiles } from '../support/proof-single/traces.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

const LENGTH = 48

/** 48 characters that are nowhere by chance. */
function canary(beginning: string): string {
  const random = randomBytes(LENGTH).toString('base64').replaceAll(/\W/g, 'x')
  return (beginning + random).slice(0, LENGTH)
}

test('a program leaves no key in its store, the log of it, files on the way, stdout, stderr, events or errors', async () => {
  await using simulator = await startTestSimulator()
  using folder = tempFolder()
  for (const name of ['store', 'tmp', 'home']) mkdirSync(join(folder.path, name))
  writeFileSync(join(folder.path, 'not-a-store.db'), 'notes of somebody else')
  const [key, unknownKey, mark] = [canary('sk-'), canary('sk-invalid-'), canary('mark-')]
  const traces = tracesOf([key, unknownKey, mark])
  const watching = new AbortController()
  const watched = watchFiles(folder.path, traces, watching.signal)

  const program = runProgram('../proof-single/programs/canary-flows', {
    PROVIDER: simulator.baseUrl('openai'),
    CONTROLS: simulator.url,
    KEY: key,
    UNKNOWN_KEY: unknownKey,
    FOLDER: folder.path,
    MARK: mark,
    TMPDIR: join(folder.path, 'tmp'),
    HOME: join(folder.path, 'home'),
    OFFPEAK_HOME: join(folder.path, 'home'),
  })
  const { code, stderr } = await program.ended
  watching.abort()
  await watched
  traces.look('stdout', program.lines.join('\n'))
  traces.look('stderr', stderr)

  expect(traces.places(key)).toEqual([])
  expect(traces.places(unknownKey)).toEqual([])
  // All of it happened, and the same eyes find the prompts wherever those are.
  expect(code).toBe(130)
  expect(stderr).toContain('Run the same program again')
  expect(program.lines.filter((line) => line.startsWith('flow: '))).toHaveLength(12)
  expect(program.lines.filter((line) => line.startsWith('event ')).length).toBeGreaterThan(100)
  expect(program.lines.some((line) => line.includes('[redacted]'))).toBe(true)
  expect(traces.places(mark)).toEqual(
    expect.arrayContaining([
      '/store/store.db',
      '/store/store.db-wal',
      expect.stringMatching(/^\/store\/spool\/.*\.jsonl$/),
    ]),
  )
})

/** Where a caller's secret may travel. */
const WAYS: Readonly<
  Record<string, (key: string) => { key: string; headers?: Record<string, string>; query?: string }>
> = {
  'as the key': (key) => ({ key }),
  'in a header of a gateway': (key) => ({ key: 'sk-none', headers: { 'x-gateway-key': key } }),
  'in the query': (key) => ({ key: 'sk-none', query: `?tenant=${key}` }),
}

describe.each(Object.entries(WAYS))('a secret sent %s', (_, sent) => {
  test('is not left anywhere by an engine whose every call is refused, fails and breaks off with the key in the reply', async () => {
    const [key, mark] = [canary('sk-'), canary('mark-')]
    const traces = tracesOf([key, mark])
    const replies = [
      JSON.stringify({ error: { message: `Incorrect API key provided: ${key}.`, type: 'auth', code: `no_${key}` } }),
      JSON.stringify({ error: `Bearer ${key}` }),
      `<h1>Forbidden</h1>authorization: Bearer ${key}`,
    ]
    await using world = await startWorld()
    const folder = dirname(world.path)
    // The log is appended to and not begun anew in so short a time: a look at its end sees all of it.
    const onCall = (): void => lookAtFiles(folder, traces, (path) => path.includes('spool'))
    const engine = world.engine({ onCall, settings: { settleMs: 1000 } })
    const ask = (faults: readonly Fault[]): Promise<string> => {
      world.simulator.clearFaults()
      for (const fault of faults) world.simulator.fault(fault)
      const prompt = `${mark} ${(asked += 1)}`
      return world.until(engine.ask(prompt, sent(key))).then((reply) => (isAnswerTo(prompt, reply) ? '' : reply.body))
    }
    let asked = 0
    const told: string[] = []

    for (const operation of ['upload', 'create', 'poll', 'results', 'list', 'delete'] as const) {
      const failure = (status: number, index: number): Fault => ({
        kind: 'status',
        status,
        operation,
        body: replies[index % replies.length],
        times: 1,
      })
      // What is looked up is a create whose outcome nobody knows.
      const before: readonly Fault[] =
        operation === 'list' ? [{ kind: 'reset', moment: 'after', operation: 'create', times: 1 }] : []
      told.push(await ask([...before, ...[429, 500, 503, 404].map(failure)]))
      if (operation !== 'upload' && operation !== 'create') continue
      for (const [index, status] of [400, 413, 422].entries()) told.push(await ask([failure(status, index)]))
    }
    told.push(await ask([{ kind: 'reject', line: 1, message: 'No.', times: 1 }]))
    // From here on the account is refused.
    told.push(await ask([{ kind: 'status', status: 401, operation: 'create', body: replies[0], times: 1 }]))
    await world.until(engine.manager.abort())
    lookAtFiles(folder, traces)
    for (const body of told) traces.look('reply', body)
    for (const event of engine.events) traces.look('event', inspect(event, { depth: 10 }))
    for (const fault of engine.faults) traces.look('fault', inspect(fault, { depth: 10, showHidden: true }))

    expect(traces.places(key)).toEqual([])
    expect(told.some((body) => body.includes('[redacted]'))).toBe(true)
    expect(engine.eventsOf('provider-unreachable').some(({ reason }) => reason.includes('[redacted]'))).toBe(true)
    expect(traces.places(mark)).toEqual(
      expect.arrayContaining(['/store.db-wal', expect.stringMatching(/^\/spool\/.*\.jsonl$/)]),
    )
  })
})

test('a secret in a reply that is not JSON is not in what is said about that reply', async () => {
  const key = canary('sk-')
  const response = new Response(key)

  const error = await readReply(response, z.object({})).catch((caught: unknown) => caught)
  const traces = tracesOf([key])
  traces.look('reason', reasonOf(error))

  expect(inspect(error)).toContain(key.slice(0, 8))
  expect(reasonOf(error)).toContain('not whole JSON')
  expect(traces.places(key)).toEqual([])
})
