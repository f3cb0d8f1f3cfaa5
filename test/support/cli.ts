import type { Command, CommandContext } from '../../src/cli/command.ts'
import { runCli } from '../../src/cli/main.ts'

export interface CliOutcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line in this process, and keeps what it prints. */
export async function cli(
  args: readonly string[],
  commands?: readonly Command[],
  more: Partial<Pick<CommandContext, 'interrupted' | 'screen' | 'stream'>> = {},
): Promise<CliOutcome> {
  let stdout = ''
  let stderr = ''
  const context = {
    print: (text: string) => void (stdout += text),
    say: (text: string) => void (stderr += `${text}\n`),
    stream: (text: string) => Promise.resolve(((stdout += text), true)),
    screen: undefined,
    interrupted: new AbortController().signal,
    ...more,
  }
  const code = await runCli(args, context, commands)
  return { code, stdout, stderr }
}
