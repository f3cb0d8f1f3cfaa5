import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parseArguments } from '../../src/cli/args.ts'
import type { Command } from '../../src/cli/command.ts'

import { OffpeakError } from '../../src/core/errors.ts'
import { cli } from '../support/cli.ts'

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface RunningCli {
  /** Resolves with everything on stdout once it matches. */
  printed(pattern: RegExp): Promise<string>
  interrupt(): void
  readonly ended: Promise<Outcome>
}

function startCli(args: readonly string[], nodeArgs: readonly string[] = []): RunningCli {
  const child = spawn(process.execPath, [...nodeArgs, BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, stdout, stderr }))
  return {
    async printed(pattern) {
      while (!pattern.test(stdout)) {
        const isOver = await Promise.race([once(child.stdout, 'data').then(() => false), ended.then(() => true)])
        if (isOver && !pattern.test(stdout)) throw new Error(`it ended without printing ${pattern}: ${stderr}`)
      }
      return stdout
    },
    interrupt: () => void child.kill('SIGINT'),
    ended,
  }
}

function command(name: string, work: Command['run']): Command {
  return { name, summary: `Does ${name}`, help: `Usage: offpeak ${name}\n`, run: work }
}

describe('arguments', () => {
  const FLAGS = {
    port: { kind: 'port', short: 'p' },
    host: { kind: 'text' },
    'batch-ms': { kind: 'milliseconds' },
    json: { kind: 'switch' },
  } as const

  test('come as typed values and the words between them', () => {
    expect(
      parseArguments(['one', '-p', '80', '--host=::1', '--batch-ms', '5', '--json', '--', '--two'], FLAGS),
    ).toEqual({
      flags: { port: 80, host: '::1', 'batch-ms': 5, json: true },
      words: ['one', '--two'],
    })
    expect(parseArguments([], FLAGS).flags).toEqual({ json: false })
  })

  test.each([
    [['--prot', '1'], 'unknown option --prot, did you mean --port?'],
    [['--temperature=1'], 'unknown option --temperature'],
    [['-x'], 'unknown option -x'],
    [['--constructor'], 'unknown option --constructor'],
    [['--port'], '--port needs a value'],
    [['--port', '--json'], '--port needs a value'],
    [['--port', 'http'], '--port must be a port between 0 and 65535, not "http"'],
    [['--port', '65536'], '--port must be a port between 0 and 65535, not "65536"'],
    [['--port='], '--port must be a port between 0 and 65535, not ""'],
    [['--batch-ms', '0'], '--batch-ms must be a whole number of milliseconds above 0, not "0"'],
    [['--batch-ms', '1e3'], '--batch-ms must be a whole number of milliseconds above 0, not "1e3"'],
    [['--json=yes'], '--json takes no value'],
  ])('%j: %s', (args, message) => {
    expect(() => parseArguments(args, FLAGS)).toThrow(new OffpeakError('usage', message))
  })
})

describe('the command line', () => {
  test('without a command says what there is, on stderr, as wrong usage', async () => {
    const { code, stdout, stderr } = await cli([])

    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('simulate  ')
  })

  test.each([['--help'], ['-h'], ['help']])('%s is data: it goes to stdout', async (flag) => {
    const { code, stdout, stderr } = await cli([flag])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^Usage: offpeak <command>/)
    expect(stderr).toBe('')
  })

  test.each([
    ['simulate', '--help'],
    ['simulate', '--port', '1', '-h'],
    ['help', 'simulate'],
    ['--help', 'simulate'],
  ])('%s %s explains the command instead of running it', async (...args) => {
    expect(await cli(args)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Usage: offpeak simulate/) })
  })

  test('--version is the version of the package', async () => {
    expect(await cli(['--version'])).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
  })

  test.each([
    ['simulat', 'unknown command simulat, did you mean simulate?'],
    ['frobnicate', 'unknown command frobnicate'],
    ['--versoin', 'unknown option --versoin, did you mean --version?'],
  ])('%s: %s', async (word, message) => {
    expect(await cli([word])).toEqual({ code: 2, stdout: '', stderr: `offpeak: ${message}\nTry: offpeak --help\n` })
  })

  test('wrong usage of a command names the command to ask', async () => {
    expect(await cli(['simulate', '--prot', '1'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'offpeak: unknown option --prot, did you mean --port?\nTry: offpeak simulate --help\n',
    })
    expect(await cli(['simulate', 'now'])).toMatchObject({ code: 2 })
  })

  test('a command gets what follows its name, and its exit code is the exit code', async () => {
    const given: string[] = []
    const echo = command('echo', (args) => {
      given.push(...args)
      return Promise.resolve(3)
    })

    expect(await cli(['echo', 'a', '--b', '--', '--help'], [echo])).toMatchObject({ code: 3 })
    expect(given).toEqual(['a', '--b', '--', '--help'])
  })

  test('a command that fails is one line on stderr, and exit code 1', async () => {
    const broken = command('break', () => Promise.reject(new OffpeakError('store-full', 'the disk is full')))

    expect(await cli(['break'], [broken])).toEqual({ code: 1, stdout: '', stderr: 'offpeak: the disk is full\n' })
  })
})

describe('offpeak simulate', () => {
  test('answers until Ctrl-C, and says how to point a program at it', async () => {
    const cli = startCli(['simulate', '--port', '0', '--batch-ms', '50'])
    const stdout = await cli.printed(/OPENAI_API_KEY=/)
    const baseUrl = /^OPENAI_BASE_URL=(http:\/\/127\.0\.0\.1:\d+\/v1)\nOPENAI_API_KEY=anything\n/.exec(stdout)?.[1]

    const response = await fetch(`${baseUrl}/responses`, {
      method: 'POST',
      headers: { authorization: 'Bearer anything', 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-5-mini', input: 'hello' }),
    })
    await response.text()
    cli.interrupt()
    const { code, stderr } = await cli.ended

    expect(response.status).toBe(200)
    expect(code).toBe(0)
    expect(stderr).toContain('Ctrl-C ends it')
  })

  test('--json is one line that a program can read', async () => {
    const cli = startCli(['simulate', '--port', '0', '--json'])
    const stdout = await cli.printed(/\n/)
    cli.interrupt()
    await cli.ended

    expect(JSON.parse(stdout)).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      baseUrls: expect.objectContaining({ openai: expect.stringMatching(/:\d+\/v1$/) }),
    })
  })

  test('a port that is taken is named, with the way out', async () => {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined

    const outcome = await cli(['simulate', '--port', String(port)])
    server.close()

    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr: `offpeak: port ${port} on 127.0.0.1 is in use; take another with --port, or any free one with --port 0\n`,
    })
  })
})

describe('a Node that is too old', () => {
  const pretend = (version: string): string[] => [
    '--import',
    `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '${version}' })`,
  ]

  test.each(['20.20.2', '22.18.0', '14.21.3'])('%s gets one clear sentence', async (version) => {
    expect(await startCli(['--version'], pretend(version)).ended).toEqual({
      code: 1,
      stdout: '',
      stderr: `offpeak needs Node 22.19 or newer, and this is Node ${version}.\n`,
    })
  })

  test.each(['22.19.0', '23.0.0', '26.10.0'])('%s is none', async (version) => {
    expect(await startCli(['--version'], pretend(version)).ended).toMatchObject({ code: 0, stderr: '' })
  })
})
