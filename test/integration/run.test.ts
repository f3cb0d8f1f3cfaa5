import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import type { Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { cli } from '../support/cli.ts'
import { COMPILE_CACHE } from '../support/compile-cache.ts'
import { type Installation, installationsOf } from '../support/run/installations.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

const QUICK = ['--batch-window', '50ms', '--poll-interval', '50ms', '--no-live']

/*
 * On the Node that runs the tests, from the sources. On others as it is installed:
 *
 *   OFFPEAK_NODES=/path/to/node-22:/path/to/node-26 npx vitest run test/integration/run.test.ts
 */
const installations = installationsOf(process.env['OFFPEAK_NODES'])
afterAll(() => installations[Symbol.dispose]())

const TOLD = fileURLToPath(new URL('../support/terminal/programs/told.ts', import.meta.url))

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
  /** Tells everybody of its process group. */
  killGroup(signal: NodeJS.Signals): void
  /** Resolves once what it has written, to stdout or stderr, matches. */
  said(pattern: RegExp): Promise<void>
}

async function openStage({ node, bin }: Installation, simulated: SimulatorOptions = {}): Promise<Stage> {
  const simulator = await startTestSimulator({ batchMs: 100, ...simulated })
  const folder = tempFolder()
  const children: ReturnType<typeof spawn>[] = []
  const stage: Stage = {
    simulator,
    node(args, { input = '', env = {} } = {}) {
      const child = spawn(node, ['--no-warnings', ...args], {
        env: {
          PATH: process.env['PATH'],
          ...COMPILE_CACHE,
          OFFPEAK_HOME: join(folder.path, 'home'),
          OPENAI_BASE_URL: simulator.baseUrl('openai'),
          ...env,
        },
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      })
      children.push(child)
      let stdout = ''
      let stderr = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
      child.stdin.end(input)
      const ended = once(child, 'close').then(() => ({ code: child.exitCode, stdout, stderr }))
      return {
        ended,
        kill: (signal) => void child.kill(signal),
        killGroup: (signal) => void (child.pid && process.kill(-child.pid, signal)),
        async said(pattern) {
          const over = ended.then(() => {
            throw new Error(`it ended (${child.exitCode}) before it said ${pattern}: ${stderr}`)
          })
          // Later on nobody minds.
          over.catch(() => undefined)
          while (!pattern.test(stdout + stderr)) {
            await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), over])
          }
        },
      }
    },
    run: (args, more) => stage.node([bin, 'run', ...args], more).ended,
    async [Symbol.asyncDispose]() {
      for (const { pid } of children) endGroup(pid)
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
  return stage
}

/** Whatever is left of it. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing, as it should be.
  }
}

describe.concurrent.each(installations.all)('offpeak run on $name', (on) => {
  test('runs an ES module in TypeScript, with what follows it as its own arguments, and its stdout is its own', async () => {
    await using stage = await openStage(on)

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
    await using stage = await openStage(on)

    const { code, stdout } = await stage.run([...QUICK, program('common.cjs')])

    expect(code).toBe(3)
    expect(stdout).toContain('from CommonJS')
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 1 })
  })

  test('hands stdin on', async () => {
    await using stage = await openStage(on)

    const { stdout } = await stage.run([...QUICK, program('stdin.ts')], { input: 'typed in' })

    expect(stdout).toMatch(/^miss .*typed in/)
  })

  test('calls an exported function with words and --key=value', async () => {
    await using stage = await openStage(on)

    const { code, stdout } = await stage.run([...QUICK, `${program('esm.ts')}:greet`, 'Ada', '--in=French', '--loud'])

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(['Ada', { in: 'French', loud: true }, expect.stringContaining('greet Ada')])
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 1 })
  })

  test.each([
    ['nope', /exports no function "nope"; its functions are greet, hasty/],
    ['hasty', /"hasty" of .* is not async/],
  ])('refuses the function %s', async (name, message) => {
    await using stage = await openStage(on)

    const { code, stderr } = await stage.run([...QUICK, `${program('esm.ts')}:${name}`])

    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })

  test('leaves a program that never resolves to Node, which says so', async () => {
    await using stage = await openStage(on)

    expect(await stage.run([...QUICK, program('never.ts')])).toMatchObject({ code: 13, stdout: '' })
  })

  test('leaves child processes alone', async () => {
    await using stage = await openStage(on)

    expect(await stage.run([...QUICK, program('child.ts')])).toMatchObject({ code: 0, stdout: 'live\n' })
  })

  test('batches child processes when asked', async () => {
    await using stage = await openStage(on)

    const { code, stdout } = await stage.run(['--children', ...QUICK, program('child.ts')])

    expect({ code, stdout }).toEqual({ code: 0, stdout: 'miss\n' })
  })

  test('that is deferred says what is running, ends with 0, and the next run picks it up', async () => {
    await using stage = await openStage(on, { autoAdvance: false })
    const args = [...QUICK, program('stdin.ts')]

    const first = await stage.run(['--deferred-after', '300ms', ...args], { input: 'later' })
    stage.simulator.advance(1000)
    const second = await stage.run(args, { input: 'later' })

    expect(first).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/deferred with 1 call.*\n {2}batch_/),
    })
    expect(second).toMatchObject({ code: 0, stdout: expect.stringContaining('later') })
    expect(stage.simulator.ledger()).toMatchObject({ batches: { created: 1 }, executions: { batch: 1, live: 0 } })
  })

  test('that is told to terminate, with all its group as `timeout` does, saves its work, says how to resume, and ends with 143', async () => {
    await using stage = await openStage(on, { batchMs: 60_000 })
    const running = stage.node([on.bin, 'run', ...QUICK, program('stdin.ts')], { input: 'cut short' })

    await running.said(/submitted/)
    running.killGroup('SIGTERM')

    expect(await running.ended).toMatchObject({
      code: 143,
      stdout: '',
      stderr: expect.stringContaining('Run the same program again'),
    })
  })

  test('hands every signal on, and leaves it to the program when to end', async () => {
    await using stage = await openStage(on)
    const running = stage.node([on.bin, 'run', ...QUICK, TOLD])

    await running.said(/ready/)
    for (const [index, signal] of (['SIGINT', 'SIGTERM', 'SIGINT'] as const).entries()) {
      running.kill(signal)
      await running.said(new RegExp(`told ${index + 1}: ${signal}`))
    }

    expect(await running.ended).toMatchObject({ code: 7, stderr: '' })
  })
})

describe('the arguments of offpeak run', () => {
  test.each([
    [['no-such-file.ts'], /there is no file no-such-file.ts/],
    [['no-such-file.ts:main'], /there is no file no-such-file.ts/],
    [['--bathc-size', '5', 'x.ts'], /unknown option --bathc-size, did you mean --batch-size\?/],
    [['--batch-size', '0', 'x.ts'], /--batch-size must be a whole number above 0, not "0"/],
    [[], /needs a file/],
    [['--metadata', 'team', program('esm.ts')], /--metadata must be written name=value/],
    [['--no-cache', '--retention', '1d', program('esm.ts')], /exclude each other/],
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

describe.concurrent.each(installations.all)('node --import offpeak/register on $name', (on) => {
  test('does the same without the command line, with options from the environment', async () => {
    await using stage = await openStage(on)
    const env = { OFFPEAK_OPTIONS: JSON.stringify({ batchWindowMs: 10, pollIntervalMs: 50, display: 'off' }) }

    const running = stage.node(['--import', on.register, program('esm.ts'), 'main'], { env })
    const { code, stdout, stderr } = await running.ended

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('one')
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 0, batch: 2 })
  })

  test.each([['{'], ['{"batchsize":3}']])('ends before the program begins when its options are %s', async (text) => {
    await using stage = await openStage(on)

    const { code, stdout, stderr } = await stage.node(['--import', on.register, program('esm.ts'), 'main'], {
      env: { OFFPEAK_OPTIONS: text },
    }).ended

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/OFFPEAK_OPTIONS|batchSize/)
  })
})
