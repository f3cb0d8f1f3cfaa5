import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { cli } from '../support/cli.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))
const REGISTER = new URL('../../src/register.ts', import.meta.url).href
const QUICK = ['--batch-window', '1s', '--poll-interval', '1s', '--no-live']

function program(name: string): string {
  return fileURLToPath(new URL(`../support/run/programs/${name}`, import.meta.url))
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Stage extends AsyncDisposable {
  readonly simulator: Simulator
  /** A command line of Node's, with a store and a provider of its own. */
  node(args: readonly string[], more?: { input?: string; env?: Readonly<Record<string, string>> }): Running
  /** `offpeak run …`, in no hurry but a test's. */
  run(args: readonly string[], more?: { input?: string }): Promise<Ended>
}

interface Running {
  readonly ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
  /** Resolves once stderr matches. */
  said(pattern: RegExp): Promise<void>
}

async function openStage(simulated: SimulatorOptions = {}): Promise<Stage> {
  const simulator = await startTestSimulator({ batchMs: 100, ...simulated })
  const folder = tempFolder()
  const children: ReturnType<typeof spawn>[] = []
  const stage: Stage = {
    simulator,
    node(args, { input = '', env = {} } = {}) {
      const child = spawn(process.execPath, ['--no-warnings', ...args], {
        env: {
          PATH: process.env['PATH'],
          OFFPEAK_HOME: join(folder.path, 'home'),
          OPENAI_BASE_URL: simulator.baseUrl('openai'),
          ...env,
        },
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      children.push(child)
      let stdout = ''
      let stderr = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
      child.stdin.end(input)
      return {
        ended: once(child, 'close').then(() => ({ code: child.exitCode, stdout, stderr })),
        kill: (signal) => void child.kill(signal),
        async said(pattern) {
          while (!pattern.test(stderr)) await once(child.stderr, 'data')
        },
      }
    },
    run: (args, more) => stage.node([BIN, 'run', ...args], more).ended,
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill('SIGKILL')
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
  return stage
}

describe.concurrent('offpeak run', () => {
  test('runs an ES module in TypeScript, with what follows it as its own arguments, and its stdout is its own', async () => {
    await using stage = await openStage()

    const { code, stdout, stderr } = await stage.run([...QUICK, program('esm.ts'), 'main', '--help'])

    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('2 requests') })
    expect(JSON.parse(stdout)).toEqual([
      ['main', '--help'],
      expect.stringContaining('one'),
      expect.stringContaining('two'),
    ])
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 2 })
  })

  test('runs a CommonJS file as the main one, and ends with its exit code', async () => {
    await using stage = await openStage()

    const { code, stdout } = await stage.run([...QUICK, program('common.cjs')])

    expect(code).toBe(3)
    expect(stdout).toContain('from CommonJS')
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 1 })
  })

  test('hands stdin on', async () => {
    await using stage = await openStage()

    const { stdout } = await stage.run([...QUICK, program('stdin.ts')], { input: 'typed in' })

    expect(stdout).toMatch(/^miss .*typed in/)
  })

  test('calls an exported function with words and --key=value', async () => {
    await using stage = await openStage()

    const { code, stdout } = await stage.run([...QUICK, `${program('esm.ts')}:greet`, 'Ada', '--in=French', '--loud'])

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(['Ada', { in: 'French', loud: true }, expect.stringContaining('greet Ada')])
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 1 })
  })

  test.each([
    ['nope', /exports no function "nope"; its functions are greet, hasty/],
    ['hasty', /"hasty" of .* is not async/],
  ])('refuses the function %s', async (name, message) => {
    await using stage = await openStage()

    const { code, stderr } = await stage.run([...QUICK, `${program('esm.ts')}:${name}`])

    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })

  test('leaves a program that never resolves to Node, which says so', async () => {
    await using stage = await openStage()

    expect(await stage.run([...QUICK, program('never.ts')])).toMatchObject({ code: 13, stdout: '' })
  })

  test('leaves child processes alone', async () => {
    await using stage = await openStage()

    expect(await stage.run([...QUICK, program('child.ts')])).toMatchObject({ code: 0, stdout: 'live\n' })
  })

  test('batches child processes when asked', async () => {
    await using stage = await openStage()

    const { code, stdout } = await stage.run(['--children', ...QUICK, program('child.ts')])

    expect({ code, stdout }).toEqual({ code: 0, stdout: 'miss\n' })
  })

  test('that is deferred says what is running, ends with 0, and the next run picks it up', async () => {
    await using stage = await openStage({ batchMs: 2500 })
    const args = [...QUICK, program('stdin.ts')]

    const first = await stage.run(['--deferred-after', '1s', ...args], { input: 'later' })
    const second = await stage.run(args, { input: 'later' })

    expect(first).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/deferred with 1 call.*\n {2}batch_/),
    })
    expect(second).toMatchObject({ code: 0, stdout: expect.stringContaining('later') })
    expect(stage.simulator.ledger()).toMatchObject({ batches: { created: 1 }, executions: { batch: 1, live: 0 } })
  })

  test('that is told to terminate saves its work, says how to resume, and ends with 143', async () => {
    await using stage = await openStage({ batchMs: 60_000 })
    const running = stage.node([BIN, 'run', ...QUICK, program('stdin.ts')], { input: 'cut short' })

    await running.said(/submitted/)
    running.kill('SIGTERM')

    expect(await running.ended).toMatchObject({
      code: 143,
      stdout: '',
      stderr: expect.stringContaining('Run the same program again'),
    })
  })

  test.each([
    [['no-such-file.ts'], /there is no file no-such-file.ts/],
    [['no-such-file.ts:main'], /there is no file no-such-file.ts/],
    [['--bathc-size', '5', 'x.ts'], /unknown option --bathc-size, did you mean --batch-size\?/],
    [['--batch-size', '0', 'x.ts'], /--batch-size must be a whole number above 0, not "0"/],
    [[], /needs a file/],
    [['--metadata', 'team', BIN], /--metadata must be written name=value/],
    [['--no-cache', '--retention', '1d', BIN], /exclude each other/],
  ])('%j is wrong usage', async (args, message) => {
    expect(await cli(['run', ...args])).toMatchObject({ code: 2, stderr: expect.stringMatching(message) })
  })

  test('leaves --help after the file to the program', async () => {
    expect(await cli(['run', '--help', 'x.ts'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Usage: offpeak run'),
    })
    expect(await cli(['run', 'x.ts', '--help'])).toMatchObject({ code: 2 })
  })
})

describe.concurrent('node --import offpeak/register', () => {
  test('does the same without the command line, with options from the environment', async () => {
    await using stage = await openStage()
    const env = { OFFPEAK_OPTIONS: JSON.stringify({ batchWindowMs: 10, pollIntervalMs: 50, display: 'off' }) }

    const running = stage.node(['--import', REGISTER, program('esm.ts'), 'main'], { env })
    const { code, stdout, stderr } = await running.ended

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('one')
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 2 })
  })

  test.each([['{'], ['{"batchsize":3}']])('ends before the program begins when its options are %s', async (text) => {
    await using stage = await openStage()

    const { code, stdout, stderr } = await stage.node(['--import', REGISTER, program('esm.ts'), 'main'], {
      env: { OFFPEAK_OPTIONS: text },
    }).ended

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/OFFPEAK_OPTIONS|batchSize/)
  })
})
