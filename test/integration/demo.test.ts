import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test, vi } from 'vitest'
import { cli } from '../support/cli.ts'
import { tempFolder } from '../support/store.ts'

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

afterEach(() => {
  vi.unstubAllEnvs()
})

test('offpeak demo needs no key and no SDK, starts afresh after one that was interrupted, and leaves a store to look at', async () => {
  using home = tempFolder()
  const folder = join(home.path, 'demo')
  mkdirSync(folder)
  // No process has this number.
  writeFileSync(join(folder, 'unfinished'), '2147483646')
  // Whatever the simulator is told by its environment, nothing of the user's is in it.
  const env = { PATH: process.env['PATH'], OFFPEAK_HOME: home.path }
  const child = spawn(process.execPath, ['--no-warnings', BIN, 'demo', '--batch-ms', '100'], { env })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))

  await once(child, 'close')
  const listed = await cli(['batches', '--store', join(folder, 'store.db'), '--json'])

  expect({ code: child.exitCode, lines: stdout.split('\n') }).toEqual({
    code: 0,
    lines: [
      '120 tickets, each with its own answer: 120',
      expect.stringMatching(/^240 requests in 3 batches: \$0\.\d+ instead of \$0\.\d+, saved \$0\.\d+$/),
      `store: ${join(folder, 'store.db')}`,
      '',
    ],
  })
  expect(stderr).toContain('starting afresh')
  expect(stderr).toContain('240 requests')
  expect(JSON.parse(listed.stdout).total).toBe(3)
  expect(existsSync(join(folder, 'unfinished'))).toBe(false)
})

test('offpeak demo leaves one that is under way alone', async () => {
  using home = tempFolder()
  mkdirSync(join(home.path, 'demo'))
  writeFileSync(join(home.path, 'demo', 'unfinished'), `${process.pid}`)
  vi.stubEnv('OFFPEAK_HOME', home.path)

  const { code, stderr } = await cli(['demo'])

  expect(code).toBe(2)
  expect(stderr).toContain(`a demo is under way already, in process ${process.pid}`)
  expect(existsSync(join(home.path, 'demo', 'unfinished'))).toBe(true)
})
