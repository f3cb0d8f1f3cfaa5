import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A program as somebody at a keyboard runs it. */
export interface TerminalProgram {
  /** Resolves once it has written this. */
  says(text: string): Promise<void>
  /** Ctrl-C. */
  interrupt(): void
  /** Its exit code, as its terminal sees it, and all it has written. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>
  /** For programs that should have ended. */
  kill(): void
}

const SCRIPT = 'script'

/** util-linux's gives a program a terminal of its own. Elsewhere a process group is told what a terminal would tell it. */
const HAS_TERMINAL = /util-linux/.test(spawnSync(SCRIPT, ['--version'], { encoding: 'utf8' }).stdout ?? '')

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

export function runInTerminal(
  name: string,
  env: Readonly<Record<string, string>>,
  size?: TerminalSize,
): TerminalProgram {
  const path = fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))
  const child = HAS_TERMINAL ? inScript(path, env, size) : inGroup(path, env, size)
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
  const ended = new Promise<Awaited<TerminalProgram['ended']>>((resolve) => {
    child.on('close', (code) => resolve({ code, output }))
  })
  return {
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!output.includes(text)) return
          listeners = listeners.filter((listener) => listener !== look)
          resolve()
        }
        listeners.push(look)
        look()
        void ended.then(({ code }) => reject(new Error(`ended (${code}) without saying "${text}": ${output}`)))
      }),
    interrupt() {
      if (HAS_TERMINAL) child.stdin?.write('\x03')
      else if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGINT')
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

function inScript(path: string, env: Readonly<Record<string, string>>, size: TerminalSize | undefined): ChildProcess {
  const resize = size ? `stty cols ${size.columns} rows ${size.rows}; ` : ''
  const command = `${resize}exec ${quoted(process.execPath)} --no-warnings ${quoted(path)}`
  return spawn(SCRIPT, ['-qefc', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], SHELL: '/bin/sh', TERM: 'xterm', ...env },
    stdio: 'pipe',
  })
}

/** With a size its streams say that they are a terminal of that size, and are one, as there. */
function inGroup(path: string, env: Readonly<Record<string, string>>, size: TerminalSize | undefined): ChildProcess {
  const pretend = `for (const stream of [process.stdout, process.stderr]) Object.assign(stream, ${JSON.stringify({ isTTY: true, ...size })})`
  const preload = size ? `--import ${quoted(`data:text/javascript,${encodeURIComponent(pretend)}`)}` : ''
  const command = `exec ${quoted(process.execPath)} --no-warnings ${preload} ${quoted(path)} ${size ? '2>&1' : ''}`
  return spawn('/bin/sh', ['-c', command], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: 'pipe',
    detached: true,
  })
}
