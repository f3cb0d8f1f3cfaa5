import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { COMPILE_CACHE } from '../compile-cache.ts'

/** A command as somebody at a keyboard runs it. */
export interface TerminalProgram {
  /** All it has written so far. */
  output(): string
  /** Resolves once it has written this. */
  says(text: string): Promise<void>
  /** Resolves once this holds for all it has written. */
  until(isTrue: (output: string) => boolean): Promise<void>
  /** Keys, `END_OF_INPUT` among them. */
  type(text: string): void
  /** Ctrl-C. */
  interrupt(): void
  /** Somebody pulls at the corner of the window. */
  resize(size: TerminalSize): void
  /** Its exit code, as its terminal sees it, and all it has written. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>
  /** For programs that should have ended. */
  kill(): void
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

export interface TerminalOptions {
  /** Beside PATH. */
  readonly env: Readonly<Record<string, string>>
  readonly size?: TerminalSize | undefined
}

/** Ctrl-D. */
export const END_OF_INPUT = '\x04'

const SCRIPT = 'script'

/** util-linux's gives a command a terminal of its own. Elsewhere a process group is told what a terminal would tell it. */
const HAS_TERMINAL = /util-linux/.test(spawnSync(SCRIPT, ['--version'], { encoding: 'utf8' }).stdout ?? '')

/** Words as a shell reads them. */
export function shellWords(...words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
}

/** A line of shell at a terminal. Begin it with `exec` where nothing comes after the program: its exit code is the terminal's then. */
export function openTerminal(line: string, options: TerminalOptions): TerminalProgram {
  const opened = HAS_TERMINAL ? inScript(line, options) : inGroup(line, options)
  const { child } = opened
  let output = ''
  let listeners: (() => void)[] = []
  const hear = (text: string): void => {
    output += text
    for (const listener of listeners) listener()
  }
  child.stdout?.setEncoding('utf8').on('data', hear)
  child.stderr?.setEncoding('utf8').on('data', hear)
  // Whoever has ended hears nothing any more.
  child.stdin?.on('error', () => undefined)
  const said = (): string => opened.start(output) ?? ''
  const ended = once(child, 'close').then(() => ({ code: codeOf(child), output: said() }))
  const until = (isTrue: (output: string) => boolean, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!isTrue(said())) return
        listeners = listeners.filter((listener) => listener !== look)
        resolve()
      }
      listeners.push(look)
      look()
      void ended.then(({ code }) => reject(new Error(`ended (${code}) before ${what}: ${output}`)))
    })
  return {
    ended,
    output: said,
    says: (text) => until((all) => all.includes(text), `it said "${text}"`),
    until: (isTrue) => until(isTrue, 'what was waited for'),
    type: (text) => opened.type(text),
    interrupt: () => opened.interrupt(),
    resize: (size) => opened.resize(size, output),
    kill: () => void child.kill('SIGKILL'),
  }
}

interface Opened {
  readonly child: ChildProcess
  /** Of what has been heard the part that the command has written. */
  start(output: string): string | undefined
  resize(size: TerminalSize, output: string): void
  type(text: string): void
  interrupt(): void
}

/** As a shell says it. */
function codeOf({ exitCode, signalCode }: ChildProcess): number | null {
  return exitCode ?? (signalCode && 128 + constants.signals[signalCode])
}

function inScript(line: string, { env, size }: TerminalOptions): Opened {
  const begin = size ? `stty cols ${size.columns} rows ${size.rows}; ` : ''
  // The name of the terminal comes before everything but the echo of early keys, for whoever wants to resize it.
  const named = /^(\/dev\/\S+)\r\n/m
  const child = spawn(SCRIPT, ['-qefc', `tty; ${begin}${line}`, '/dev/null'], {
    env: { PATH: process.env['PATH'], SHELL: '/bin/sh', TERM: 'xterm', ...COMPILE_CACHE, ...env },
    stdio: 'pipe',
  })
  return {
    child,
    start: (output) => output.split(named)[2],
    resize({ columns, rows }, output) {
      const [, device = ''] = named.exec(output) ?? []
      spawnSync('stty', ['-F', device, 'cols', `${columns}`, 'rows', `${rows}`])
    },
    type: (text) => void child.stdin?.write(text),
    interrupt: () => void child.stdin?.write('\x03'),
  }
}

/** Its streams say that they are a terminal of that size, where there is a size. */
function inGroup(line: string, { env, size }: TerminalOptions): Opened {
  const folder = mkdtempSync(join(tmpdir(), 'offpeak-'))
  const file = join(folder, 'size.json')
  const write = ({ columns, rows }: TerminalSize): void => writeFileSync(file, JSON.stringify({ columns, rows }))
  if (size) write(size)
  const child = spawn('/bin/sh', ['-c', size ? `{ ${line}; } 2>&1` : line], {
    env: {
      PATH: process.env['PATH'],
      ...COMPILE_CACHE,
      ...(size ? { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(pretence(file))}` } : {}),
      ...env,
    },
    stdio: 'pipe',
    detached: true,
  })
  child.on('close', () => rmSync(folder, { recursive: true }))
  const tell = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal)
  }
  return {
    child,
    start: (output) => output,
    resize(to) {
      write(to)
      tell('SIGWINCH')
    },
    type(text) {
      const [keys = '', ...end] = text.split(END_OF_INPUT)
      child.stdin?.write(keys)
      if (end.length > 0) child.stdin?.end()
    },
    interrupt: () => tell('SIGINT'),
  }
}

function pretence(file: string): string {
  return `import { readFileSync } from 'node:fs'
const streams = [process.stdout, process.stderr]
process.stdin.isTTY = true
const measure = () => { for (const stream of streams) Object.assign(stream, { isTTY: true, ...JSON.parse(readFileSync(${JSON.stringify(file)}, 'utf8')) }) }
measure()
process.on('SIGWINCH', () => { measure(); for (const stream of streams) stream.emit('resize') })`
}
