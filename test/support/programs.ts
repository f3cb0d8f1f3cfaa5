import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { COMPILE_CACHE } from './compile-cache.ts'

/** A program of `test/support/programs/`, run as its user would run it. */
export interface Program {
  readonly child: ChildProcess
  /** Lines it has written to stdout so far. */
  readonly lines: readonly string[]
  /** Resolves with the first line for which `isIt` holds; rejects when it ends without one. */
  line(isIt: (line: string) => boolean): Promise<string>
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly stderr: string }>
}

export function runProgram(name: string, env: Readonly<Record<string, string>>): Program {
  const path = fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', path], {
    env: { PATH: process.env['PATH'], ...COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const wanted: { isIt: (line: string) => boolean; resolve: (line: string) => void; reject: (error: Error) => void }[] =
    []
  let rest = ''
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      lines.push(line)
      for (const { isIt, resolve } of wanted) if (isIt(line)) resolve(line)
    }
  })
  const ended = new Promise<Awaited<Program['ended']>>((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, stderr })
      for (const { reject } of wanted)
        reject(new Error(`${name} ended (${code ?? signal}) without that line: ${stderr}`))
    })
  })
  return {
    child,
    lines,
    ended,
    line: (isIt) =>
      new Promise((resolve, reject) => {
        const there = lines.find(isIt)
        if (there === undefined) wanted.push({ isIt, resolve, reject })
        else resolve(there)
      }),
  }
}
