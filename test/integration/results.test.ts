import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import type { NewJob } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import { cli, type CliOutcome } from '../support/cli.ts'
import { type CommandScene, commandScene } from '../support/command-scene.ts'
import { tempStore } from '../support/store.ts'

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

let scene: CommandScene | undefined
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]()
  scene = undefined
})

async function open(...options: Parameters<typeof commandScene>): Promise<CommandScene> {
  scene = await commandScene(...options)
  return scene
}

function rowsOf(jsonl: string): readonly Record<string, unknown>[] {
  return jsonl
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

function onStore(path: string): (...args: readonly string[]) => Promise<CliOutcome> {
  return (...args) => cli([...args, '--store', path])
}

/** A run of one batch whose answers are as long as `text`. */
function fill(path: string, count: number, body: string, answer: string): void {
  using store = openSqliteStore({ path })
  const now = Date.now()
  const owner = store.enter({ pid: 1, leaseUntil: now + 1000 }, now)
  const target: NewJob['target'] = {
    provider: 'openai',
    baseUrl: 'http://p/v1',
    endpoint: '/v1/responses',
    model: 'm',
    account: 'a',
    queueKey: 'q',
  }
  const jobs = Array.from({ length: count }, (_, n) => ({ target, fingerprint: `${n}`, occurrence: 1, body }))
  const ids = store.enqueue(owner, jobs, now).map(({ job }) => job)
  const intent = store.claim(owner, { tag: 'abcdefghijkl', target, window: '24h', metadata: {} }, ids, now)
  if (!intent) throw new Error('nothing was claimed')
  store.advance(intent, { state: 'created', handle: { id: 'batch_many' }, submittedAt: now })
  const settled = ids.map((job) => ({ job, status: 200, requestId: undefined, body: answer }))
  store.settle(intent, settled, now)
  store.advance(intent, { state: 'ended', endedAt: now })
  store.leave(owner, now, 'finished')
}

describe('offpeak results', () => {
  test('prints each request with its own answer, of a batch or of a whole run', async () => {
    const { ask, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [2], status: 400, times: 1 })
    await ask(['a', 'b', 'c'])
    const answers = await ask(['d'], { model: 'gpt-4o' })

    const last = await offpeak('results', 'last')
    const first = await offpeak('results', '1')
    const failed = await offpeak('results', '1', '--failed')
    const [row] = rowsOf(last.stdout)
    const byBatch = await offpeak('results', String(row?.['batch']).slice(0, 12))

    expect({ code: last.code, stderr: last.stderr }).toEqual({ code: 0, stderr: '' })
    expect(row).toEqual({
      job: 4,
      batch: expect.stringMatching(/^batch_/),
      provider: 'openai',
      endpoint: '/v1/chat/completions',
      model: 'gpt-4o',
      status: 200,
      request: { model: 'gpt-4o', messages: [{ role: 'user', content: 'd' }] },
      response: JSON.parse(answers[0]?.text ?? ''),
      usage: { input: expect.any(Number), output: expect.any(Number), cached: 0, reasoning: 0 },
      costUsd: expect.any(Number),
      liveCostUsd: expect.any(Number),
    })
    expect(Number(row?.['liveCostUsd'])).toBeCloseTo(2 * Number(row?.['costUsd']), 12)
    expect(byBatch.stdout).toBe(last.stdout)
    expect(rowsOf(first.stdout).map(({ job, status, response, error }) => [job, status, !response, !error])).toEqual([
      [1, 200, false, true],
      [2, 400, true, false],
      [3, 200, false, true],
    ])
    expect(rowsOf(failed.stdout)).toEqual([expect.objectContaining({ job: 2, error: expect.any(Object) })])
  })

  test('says how many have no answer yet', async () => {
    const { submit, offpeak } = await open()
    await submit(['a', 'b'])

    expect(await offpeak('results', 'last')).toEqual({ code: 0, stdout: '', stderr: '2 without an answer yet\n' })
  })

  test('a request that was written over several lines is on one, its strings as they were', async () => {
    using store = tempStore()
    const { path } = store
    const offpeak = onStore(path)
    fill(path, 1, '{\n  "input": "a\\nb  c",\r\n  "model": "m"\n}', '{"ok":\n[1,\n2]}')

    const { stdout } = await offpeak('results', 'batch_many')

    expect(stdout.match(/\n/g)).toHaveLength(1)
    expect(rowsOf(stdout)[0]).toMatchObject({ request: { input: 'a\nb  c', model: 'm' }, response: { ok: [1, 2] } })
  })

  test('-o writes a file that is there when it is whole, for its owner alone', async () => {
    using store = tempStore()
    const { path, folder } = store
    const offpeak = onStore(path)
    fill(path, 300, '{"model":"m"}', '{"ok":true}')
    const file = join(folder, 'answers.jsonl')

    const { code, stdout, stderr } = await offpeak('results', '1', '-o', file)

    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: `300 requests written to ${file}\n` })
    expect(rowsOf(readFileSync(file, 'utf8')).map(({ job }) => job)).toEqual(
      Array.from({ length: 300 }, (_, n) => n + 1),
    )
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).filter((name) => name.startsWith('answers'))).toEqual(['answers.jsonl'])
  })

  test('a file that cannot be written is an error, and nothing is left of it', async () => {
    using store = tempStore()
    const { path, folder } = store
    const offpeak = onStore(path)
    fill(path, 1, '{"model":"m"}', '{"ok":true}')

    const { code, stderr } = await offpeak('results', '1', '-o', join(folder, 'no-such-folder', 'x.jsonl'))

    expect(code).toBe(1)
    expect(stderr).toContain('ENOENT')
  })

  test('reads no further than its reader takes, and ends when that one has left or the user wants no more', async () => {
    using store = tempStore()
    const { path } = store
    fill(path, 2000, '{"model":"m"}', JSON.stringify({ text: 'x'.repeat(1000) }))
    let taken = 0
    const interruption = new AbortController()
    const stream = (text: string): Promise<boolean> => {
      taken += text.split('\n').length - 1
      if (taken > 100) interruption.abort('SIGINT')
      return Promise.resolve(true)
    }
    let kept = 0
    const left = await cli(['results', '1', '--store', path], undefined, {
      stream: (text) => Promise.resolve(((kept += text.length), kept < 100_000)),
    })

    const interrupted = await cli(['results', '1', '--store', path], undefined, {
      stream,
      interrupted: interruption.signal,
    })

    expect(left.code).toBe(0)
    expect(kept).toBeLessThan(250_000)
    expect(interrupted.code).toBe(130)
    expect(taken).toBeLessThan(300)
  })

  test('through a pipe that is closed early it ends in order', async () => {
    using store = tempStore()
    const { path } = store
    fill(path, 3000, '{"model":"m"}', JSON.stringify({ text: 'x'.repeat(1000) }))
    const child = spawn(process.execPath, ['--no-warnings', BIN, 'results', 'batch_m', '--store', path], {
      env: { PATH: process.env['PATH'] },
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const [first] = await once(child.stdout, 'data')

    child.stdout.destroy()
    await once(child, 'close')

    expect(String(first)).toMatch(/^\{"job":1,"batch":"batch_many",/)
    expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test.each([
    [['results'], 'offpeak results needs a batch or a run'],
    [['results', '1', '2'], 'was given "2" as well'],
    [['results', '99'], 'there is no batch "99"'],
    [['results', '1', '--faild'], 'unknown option --faild, did you mean --failed?'],
  ])('%j is wrong usage', async (args, message) => {
    using store = tempStore()
    fill(store.path, 1, '{}', '{}')

    const { code, stderr } = await cli([...args, '--store', store.path])

    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})
