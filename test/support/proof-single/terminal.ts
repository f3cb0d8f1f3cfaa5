import { fileURLToPath } from 'node:url'
import { openTerminal, shellWords, type TerminalProgram, type TerminalSize } from '../terminal/open-terminal.ts'

export type { TerminalProgram, TerminalSize }

/** A program of `programs/` as somebody at a keyboard runs it. */
export function runInTerminal(
  name: string,
  env: Readonly<Record<string, string>>,
  size?: TerminalSize,
): TerminalProgram {
  const path = fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))
  return openTerminal(`exec ${shellWords(process.execPath, '--no-warnings', path)}`, { env, size })
}
