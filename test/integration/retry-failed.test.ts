import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createScope } from '../../src/create.ts'
import { cli } from '../support/cli.ts'
import { type CommandScene, commandScene, KEY } from '../support/command-scene.ts'
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

/** Quick, and quiet. */
const QUICK = ['--display', 'off', '--poll-interval', '5ms']

describe('offpeak retry-failed', () => {
  test('sends again what failed and only that; the next run finds the new answers at their places', async () => {
    const { ask, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [2, 4], status: 400, times: 1 })
    const before = await ask(['a', 'same', 'c', 'same', 'same'], { metadata: { team: 'search' } })
    const sentBefore = simulator.ledger().executions.batch

    const retried = await offpeak('retry-failed', 'last', ...QUICK)
    const sent = simulator.ledger().executions.batch - sentBefore
    const again = await offpeak('retry-failed', '1', ...QUICK)
    const after = await ask(['a', 'same', 'c', 'same', 'same'])

    expect(before.map(({ status }) => status)).toEqual([200, 400, 200, 400, 200])
    expect(retried).toEqual({ code: 0, stdout: 'retried 2: 2 answered, 0 failed again\n', stderr: '' })
    expect(sent).toBe(2)
    // Nothing of it is paid for again, by whomever.
    expect(again).toEqual({
      code: 0,
      stdout: 'nothing to retry\n',
      stderr: '2 requests were asked again already, and left alone.\n',
    })
    expect(after.map(({ status, cached }) => [status, cached])).toEqual(Array.from({ length: 5 }, () => [200, true]))
    expect(simulator.ledger().executions.batch - sentBefore).toBe(2)
    const [batch, original] = JSON.parse((await offpeak('batches', '--json')).stdout).batches
    expect(batch).toMatchObject({ requests: 2, answered: 2, run: 2, metadata: { team: 'search' } })
    const shown = await offpeak('batches', 'show', original.id, '--json')
    expect(JSON.parse(shown.stdout).failures).toEqual([expect.objectContaining({ count: 2, retried: 2 })])
  })

  test('finds the place of a request whose model is in its URL', async () => {
    const { offpeak, simulator, path } = await open()
    vi.stubEnv('GEMINI_API_KEY', KEY)
    vi.stubEnv('GOOGLE_API_KEY', undefined)
    const ask = async (): Promise<readonly [status: number, cache: string | null]> => {
      const baseUrl = `${simulator.baseUrl('gemini')}/v1beta`
      const options = { store: path, display: 'off', baseUrls: { gemini: [baseUrl] }, pollIntervalMs: 5 } as const
      const scope = createScope({ ...options, batchWindowMs: 1 })
      const asked = scope.fetch(`${baseUrl}/models/gemini-2.5-flash:generateContent`, {
        method: 'POST',
        headers: { 'x-goog-api-key': KEY, 'content-type': 'application/json' },
        body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'a' }] }] }),
      })
      await scope.close()
      const { status, headers } = await asked
      return [status, headers.get('x-offpeak-cache')]
    }
    simulator.fault({ kind: 'row-status', lines: [1], status: 400, times: 1 })
    expect(await ask()).toEqual([400, 'miss'])

    const retried = await offpeak('retry-failed', 'last', ...QUICK)

    expect(retried.stdout).toBe('retried 1: 1 answered, 0 failed again\n')
    expect(await ask()).toEqual([200, 'hit'])
  })

  test('exits 3 when some failed again, and those can be retried as the last run', async () => {
    const { ask, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [1, 2], status: 400, times: 1 })
    await ask(['a', 'b'])
    simulator.fault({ kind: 'row-status', lines: [1], status: 400, times: 1 })

    const first = await offpeak('retry-failed', '1', '--json', ...QUICK)
    const second = await offpeak('retry-failed', 'last', '--json', ...QUICK)

    expect(first.code).toBe(3)
    expect(JSON.parse(first.stdout)).toEqual({ sent: 2, answered: 1, failed: 1, alreadyRetried: 0, unsent: {} })
    expect(second.code).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ sent: 1, answered: 1 })
  })

  test('sends nothing with another key than that of the batch', async () => {
    const { ask, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [1], status: 400, times: 1 })
    await ask(['a'])
    const before = simulator.ledger().requests.length
    vi.stubEnv('OPENAI_API_KEY', 'sk-of-somebody-else')

    const { code, stdout, stderr } = await offpeak('retry-failed', 'last', ...QUICK)

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^offpeak: batch_\w+ cannot be retried: it was sent to http.* with another key/)
    expect(simulator.ledger().requests).toHaveLength(before)
  })

  test('sends nothing beyond a limit of cost, and exits 4', async () => {
    const { ask, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [1], status: 400, times: 1 })
    await ask(['a'])
    const before = simulator.ledger().executions.batch

    const { code, stderr } = await offpeak('retry-failed', 'last', '--max-cost', '0.0000001', ...QUICK)

    expect(code).toBe(4)
    expect(stderr).toContain('1 call was not sent within the limit')
    expect(simulator.ledger().executions.batch).toBe(before)
  })

  test('deferred, it ends once all is sent, through a pipe as well; the program collects the answers', async () => {
    const { ask, path, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [1], status: 400, times: 1 })
    await ask(['a'])
    const child = spawn(
      process.execPath,
      ['--no-warnings', BIN, 'retry-failed', '1', '--store', path, '--deferred-after', '50ms', '--poll-interval', '1m'],
      { env: { PATH: process.env['PATH'], OPENAI_API_KEY: KEY } },
    )
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))

    await once(child, 'close')
    const answers = await ask(['a'])

    expect({ code: child.exitCode, stdout }).toEqual({
      code: 0,
      stdout: 'retried 1: 0 answered, 0 failed again, 1 without an answer yet\n',
    })
    expect(stderr).toContain('deferred with 1 call')
    expect(answers.map(({ status }) => status)).toEqual([200])
    expect(simulator.ledger().executions.repeated).toBe(0)
  })

  test.each([
    [['retry-failed'], 'offpeak retry-failed needs a batch or a run'],
    [['retry-failed', 'last'], 'no run has sent a batch yet'],
    [['retry-failed', 'x', '--defered'], 'unknown option --defered, did you mean --deferred?'],
  ])('%j is wrong usage', async (args, message) => {
    using store = tempStore()

    const { code, stderr } = await cli([...args, '--store', store.path])

    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})
