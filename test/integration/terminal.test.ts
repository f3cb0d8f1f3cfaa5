import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands/index.ts'
import type { Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { type CommandScene, commandScene, KEY } from '../support/command-scene.ts'
import { COMPILE_CACHE } from '../support/compile-cache.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'
import { demoIn, screenText, shapeOf } from '../support/terminal/demo-in-readme.ts'
import { lookAtScreen } from '../support/terminal/look-at-screen.ts'
import { END_OF_INPUT, openTerminal, shellWords, type TerminalProgram } from '../support/terminal/open-terminal.ts'
import { recordDemo } from '../support/terminal/record-demo.ts'

const SIZE = { columns: 80, rows: 24 }
const NARROW = { columns: 40, rows: 12 }
const BIN = pathOf('../../src/cli/bin.ts')
const LINES = pathOf('../support/terminal/programs/command-lines.ts')
// oxlint-disable-next-line no-control-regex -- finding them is the point
const COLOUR = /\u001b\[[\d;]*m/

function pathOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

/** A command line, and what is to be read after it: nothing where nothing is named. */
interface Expected {
  readonly args: readonly string[]
  readonly code: number
  readonly stdout?: RegExp
  readonly stderr?: RegExp
  /** It goes on until Ctrl-C. */
  readonly untilInterrupted?: true
}

/** What `recordDemo` looks at when the demo is at a terminal. */
const DEMO: Expected = {
  args: ['demo', '--batch-ms', '300'],
  code: 0,
  stdout: /^120 tickets, each with its own answer: 120\n240 requests in 3 batches: .*saved .*\nstore: .*\n$/,
  stderr: /^offpeak {2}240 requests in .*: 240 answered$/m,
}

function everyCommand({ path }: CommandScene): readonly Expected[] {
  const store = ['--store', path]
  return [
    { args: ['--help'], code: 0, stdout: /^Usage: offpeak <command> \[options\]$/m },
    ...COMMANDS.map(({ name }) => ({
      args: [name, '--help'],
      code: 0,
      stdout: new RegExp(`^Usage: offpeak ${name}[^]*^Examples:$`, 'm'),
    })),
    { args: [], code: 2, stderr: /^Usage: offpeak <command>/m },
    { args: ['batchs'], code: 2, stderr: /^offpeak: unknown command batchs, did you mean batches\?$/m },
    { args: ['run', '--bathc-size', '5', 'x.js'], code: 2, stderr: /did you mean --batch-size\?$/m },
    { args: ['batches', '--store', `${path}.not`], code: 1, stderr: /^offpeak: there is no store at / },
    { args: ['batches', ...store], code: 0, stdout: /^BATCH +PROVIDER .*\n(batch_.*\n){2}/ },
    { args: ['batches', 'refresh', ...store], code: 1, stdout: /^batch_\w+ +openai +not known: / },
    { args: ['results', '1', ...store], code: 0, stdout: /^(\{"job":\d+,.*\}\n){2}$/ },
    {
      args: ['retry-failed', '1', '--poll-interval', '50ms', ...store],
      code: 3,
      stdout: /^retried 1: 0 answered, 1 failed again$/m,
      stderr: /^offpeak {2}1 request in .*: 1 failed$/m,
    },
    { args: ['savings', ...store], code: 0, stdout: /^total .*\$0\.0+\d+/im },
    { args: ['cache', ...store], code: 0, stdout: /gpt-4o-mini/ },
    { args: ['doctor', ...store], code: 0, stdout: /^ok +key +OPENAI_API_KEY set$/m },
    {
      args: ['batches', 'watch', ...store],
      code: 130,
      stdout: /^batch_\w+ +(openai|running) /m,
      stderr: /^batch_\w+ could not be asked about: /m,
      untilInterrupted: true,
    },
    {
      args: ['simulate', '--port', '0'],
      code: 0,
      stdout: /^OPENAI_BASE_URL=http:\/\/127\.0\.0\.1:\d+\/v1\n/m,
      stderr: /Ctrl-C ends it/,
      untilInterrupted: true,
    },
  ]
}

/** A run of two requests, the first of which failed, and one that is under way with a key that the environment has not. */
async function openScene(): Promise<CommandScene> {
  const scene = await commandScene({ faults: [{ kind: 'row-status', lines: [1], status: 400 }] })
  await scene.ask(['a', 'b'])
  await scene.submit(['c'], { key: 'sk-of-somebody-else' })
  return scene
}

function environmentOf({ folder, simulator }: CommandScene): Readonly<Record<string, string>> {
  return {
    OPENAI_API_KEY: KEY,
    OPENAI_BASE_URL: simulator.baseUrl('openai'),
    OFFPEAK_HOME: `${folder}/home`,
    LANG: 'C.UTF-8',
  }
}

function argumentsFor(expected: readonly Expected[]): readonly string[] {
  return ['--no-warnings', LINES, JSON.stringify(expected.map(({ args }) => args))]
}

/** What command lines have written, one by one, and how each ended; `ends` come once per stream that is read. */
function eachOf(output: string, ends: 1 | 2): { readonly texts: readonly string[]; readonly codes: readonly number[] } {
  const parts = output.replaceAll('\r\n', '\n').split(new RegExp(`(?:<ended with (\\d+)>\n){${ends}}`))
  return {
    texts: parts.filter((_, index) => index % 2 === 0),
    codes: parts.filter((_, index) => index % 2 === 1).map(Number),
  }
}

/** What can be read on a screen that is wide enough for everything. */
function shownBy(output: string): string {
  return `${lookAtScreen(output, { columns: 1000, rows: SIZE.rows }).lines.join('\n')}\n`
}

describe.concurrent('every command', () => {
  test('at a terminal shows what it has to say, uncoloured when asked, and is ended by Ctrl-C', async ({ expect }) => {
    await using scene = await openScene()
    const commands = everyCommand(scene)
    const line = `exec ${shellWords(process.execPath, ...argumentsFor(commands))}`
    const terminal = openTerminal(line, { env: { ...environmentOf(scene), NO_COLOR: '1' }, size: SIZE })
    try {
      for (const [index, { stdout, stderr, untilInterrupted }] of commands.entries()) {
        if (!untilInterrupted) continue
        await terminal.until((output) => {
          const text = shownBy(eachOf(output, 2).texts[index] ?? '')
          return [stdout, stderr].every((pattern) => pattern?.test(text))
        })
        terminal.interrupt()
      }
      const { code, output } = await terminal.ended
      const { texts, codes } = eachOf(output, 2)

      expect(code).toBe(0)
      expect(codes).toEqual(commands.map((command) => command.code))
      expect(output).not.toMatch(COLOUR)
      for (const [index, { stdout, stderr }] of commands.entries()) {
        const screen = shownBy(texts[index] ?? '')
        for (const pattern of [stdout, stderr]) if (pattern) expect(screen).toMatch(pattern)
      }
      // The list that is watched is cut where the terminal ends; elsewhere it is for other programs to cut.
      const { frames } = lookAtScreen(texts[commands.findIndex(({ args }) => args[1] === 'watch')] ?? '', SIZE)
      expect(frames.flat()).toContainEqual(expect.stringMatching(/^BATCH.{73}…$/))
    } finally {
      terminal.kill()
      await terminal.ended
    }
  })

  test('in a pipe prints its data on stdout and everything else on stderr, as plain text', async ({ expect }) => {
    await using scene = await openScene()
    const commands = [...everyCommand(scene), DEMO]
    const child = spawn(process.execPath, argumentsFor(commands), {
      env: { PATH: process.env['PATH'], ...COMPILE_CACHE, ...environmentOf(scene) },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const closed = once(child, 'close')
    try {
      for (const [index, expected] of commands.entries()) {
        if (!expected.untilInterrupted) continue
        const hasSaid = (): boolean =>
          expected.stdout?.test(eachOf(stdout, 1).texts[index] ?? '') === true &&
          expected.stderr?.test(eachOf(stderr, 1).texts[index] ?? '') === true
        const over = closed.then(() => {
          throw new Error(
            `ended (${child.exitCode}) before ${expected.args.join(' ')} had said all: ${stdout}${stderr}`,
          )
        })
        while (!hasSaid()) await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), over])
        child.kill('SIGINT')
      }
      await closed
      const [out, error] = [eachOf(stdout, 1), eachOf(stderr, 1)]

      expect(out.codes).toEqual(commands.map(({ code }) => code))
      expect(stdout + stderr).not.toContain('\u001b')
      for (const [index, expected] of commands.entries()) {
        expect(out.texts[index]).toMatch(expected.stdout ?? /^$/)
        expect(error.texts[index]).toMatch(expected.stderr ?? /^$/)
      }
    } finally {
      child.kill('SIGKILL')
      await closed
    }
  })

  test('stops without a word when its reader has left', async ({ expect }) => {
    await using scene = await commandScene()
    await scene.ask(Array.from({ length: 60 }, (_, index) => `${index} `.repeat(3000)))
    const results = shellWords(process.execPath, '--no-warnings', BIN, 'results', 'last', '--store', scene.path)
    const line = `{ ${results}; echo "code $?" >&2; } | head -c 20`

    const child = spawn('/bin/sh', ['-c', line], { env: { PATH: process.env['PATH'], ...COMPILE_CACHE } })
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])

    expect({ stdout, stderr }).toEqual({ stdout: expect.stringMatching(/^\{"job":\d+,"batch":/), stderr: 'code 0\n' })
  })
})

describe.concurrent('offpeak run at a terminal', () => {
  /** `offpeak run`, with the terminal as its program's stdin unless the line says otherwise. */
  async function openRun(
    simulated: SimulatorOptions,
    words: readonly string[],
    redirected = '',
  ): Promise<TerminalProgram & AsyncDisposable & { readonly simulator: Simulator; untilSubmitted(): Promise<void> }> {
    const simulator = await startTestSimulator(simulated)
    const folder = tempFolder()
    const quick = ['--batch-window', '50ms', '--poll-interval', '50ms']
    const env = {
      OFFPEAK_HOME: folder.path,
      OPENAI_BASE_URL: simulator.baseUrl('openai'),
      NO_COLOR: '1',
      LANG: 'C.UTF-8',
    }
    const line = `exec ${shellWords(process.execPath, '--no-warnings', BIN, 'run', ...quick, ...words)} ${redirected}`
    const terminal = openTerminal(line, { env, size: SIZE })
    return {
      ...terminal,
      simulator,
      // What becomes of the create is not known to the program before.
      async untilSubmitted() {
        while (simulator.ledger().batches.created === 0) await delay(10)
      },
      async [Symbol.asyncDispose]() {
        terminal.kill()
        await terminal.ended
        await simulator.close()
        folder[Symbol.dispose]()
      },
    }
  }

  test('the program reads what is typed, the block follows the window, and Ctrl-C saves, says how to resume, and ends with 130', async ({
    expect,
  }) => {
    await using run = await openRun({ autoAdvance: false }, [program('stdin.ts')])

    run.type(`typed in\n${END_OF_INPUT}`)
    await run.says('1 running in 1 batch')
    run.resize(NARROW)
    // As wide as fits: the bar gives way first.
    await run.until((output) => /^offpeak {2}─{20,22} {2}0\/1 {2}\d+s$/.test(blockOf(output)[0] ?? ''))
    await run.untilSubmitted()
    const block = blockOf(run.output())
    run.interrupt()
    const { code, output } = await run.ended
    const { lines, cursorShown } = lookAtScreen(output, { ...SIZE, columns: 1000 })

    expect(block).toHaveLength(3)
    expect(Math.max(...block.map((line) => line.length))).toBeLessThan(NARROW.columns)
    expect(code).toBe(130)
    expect(lines.join('\n')).toMatch(/^offpeak {2}.*batch_\w+\. Run the same program again/m)
    expect(output.match(/Run the same program again/g)).toHaveLength(1)
    expect(lines.join('\n')).not.toMatch(/[━─]|running/)
    expect(cursorShown).toBe(true)
    expect(run.simulator.ledger().batches.created).toBe(1)
  })

  test('a second Ctrl-C ends it at once', async ({ expect }) => {
    const stuck = { kind: 'slow', operation: 'create', ms: 600_000, moment: 'after' } as const
    await using run = await openRun({ faults: [stuck] }, [program('child.ts'), 'alone'])
    await run.untilSubmitted()

    run.interrupt()
    const early = await Promise.race([run.ended, delay(150)])
    // Two that follow each other closely count as one.
    const again = setInterval(() => run.interrupt(), 150)
    const { code, output } = await run.ended
    clearInterval(again)

    expect(early).toBeUndefined()
    expect(code).toBe(130)
    expect(output).not.toContain('Run the same program again')
  })

  test('a program with a listener of its own is told once each time, wherever its stdin comes from, and ends as it likes', async ({
    expect,
  }) => {
    await using run = await openRun({}, [pathOf('../support/terminal/programs/told.ts')], '</dev/null')
    await run.says('ready')

    for (const time of [1, 2, 3]) {
      run.interrupt()
      await run.says(`told ${time}`)
      // Whoever would tell it once more has had the time.
      await delay(30)
    }
    const { code, output } = await run.ended

    expect(code).toBe(7)
    expect(output.match(/told \d/g)).toEqual(['told 1', 'told 2', 'told 3'])
  })
})

/** The live block, as long as it is up. */
function blockOf(output: string): readonly string[] {
  const { lines } = lookAtScreen(output, SIZE)
  return lines.slice(lines.findIndex((line) => /[━─]/.test(line)))
}

describe.concurrent('offpeak demo', () => {
  test('shows at a terminal what the README shows of it; `npm run readme` records it', async ({ expect }) => {
    const readme = readFileSync(pathOf('../../README.md'), 'utf8')

    const demo = await recordDemo(3000)

    expect(demo.code).toBe(0)
    expect(demo.output).toMatch(COLOUR)
    expect(shapeOf(demoIn(readme))).toBe(shapeOf(screenText(demo)))
    expect(demo.block[0]).toMatch(/^offpeak {2}─{30} {2}0\/240 {2}\d+s$/)
  })
})

function program(name: string): string {
  return pathOf(`../support/run/programs/${name}`)
}
