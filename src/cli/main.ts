import { OffpeakError } from '../core/errors.ts'
import { suggestion } from './args.ts'
import type { Command, CommandContext } from './command.ts'
import { COMMANDS } from './commands/index.ts'
import { version } from './version.ts'
import { writeWhenReady } from './write-when-ready.ts'

/** Exit codes. */
const OK = 0
const FAILED = 1
const USAGE = 2

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')
  return `Usage: offpeak <command> [options]

Makes ordinary LLM calls ride the providers' Batch APIs, at about half price.

Commands:
${list}

Options:
  -h, --help     Show this, or the help of a command
  -v, --version  Show the version

Exit codes: 0 fine or deferred, 1 failed, 2 wrong usage, 3 some requests failed, 4 refused for its cost, 130 and 143 ended by SIGINT and SIGTERM. "run" ends with its program's own.
`
}

const HELP = new Set(['-h', '--help', 'help'])
const VERSION = new Set(['-v', '--version'])

/** Runs one command line (without `node` and the script); resolves with the exit code. */
export async function runCli(
  args: readonly string[],
  context: CommandContext,
  commands: readonly Command[] = COMMANDS,
): Promise<number> {
  const [first, ...rest] = args
  if (first === undefined) {
    context.say(overview(commands).trimEnd())
    return USAGE
  }
  if (VERSION.has(first)) {
    context.print(`${version()}\n`)
    return OK
  }
  const isHelp = HELP.has(first)
  const name = isHelp ? rest[0] : first
  if (name === undefined) {
    context.print(overview(commands))
    return OK
  }
  const command = commands.find((each) => each.name === name)
  if (!command) return complain(context, unknownText(name, commands))
  if (isHelp || asksForHelp(command.own?.(rest) ?? rest)) {
    context.print(command.help)
    return OK
  }
  try {
    return await command.run(rest, context)
  } catch (error) {
    if (error instanceof OffpeakError && error.code === 'usage') return complain(context, error.message, command)
    context.say(`offpeak: ${error instanceof Error ? error.message : String(error)}`)
    return FAILED
  }
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).some((word) => word === '-h' || word === '--help')
}

function unknownText(name: string, commands: readonly Command[]): string {
  if (name.startsWith('-')) return `unknown option ${name}${suggestion(name, ['--help', '--version'])}`
  const names = commands.map((each) => each.name)
  return `unknown command ${name}${suggestion(name, names)}`
}

function complain(context: CommandContext, message: string, command?: Command): number {
  context.say(`offpeak: ${message}`)
  context.say(`Try: offpeak ${command ? `${command.name} ` : ''}--help`)
  return USAGE
}

/** The program itself: arguments, streams, signals and exit code of this process. */
export async function runAsProgram(): Promise<void> {
  const interruption = new AbortController()
  const interrupt = (signal: NodeJS.Signals): void => {
    interruption.abort(signal)
    // A second Ctrl-C does what it always does.
    process.removeListener('SIGINT', interrupt)
    process.removeListener('SIGTERM', interrupt)
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  // `offpeak … | head`: the reader has left, and nobody needs a stack trace.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe)
  process.exitCode = await runCli(process.argv.slice(2), {
    print: (text) => void process.stdout.write(text),
    say: (text) => void process.stderr.write(`${text}\n`),
    stream: (text) => writeWhenReady(process.stdout, text),
    screen: process.stdout.isTTY ? process.stdout : undefined,
    interrupted: interruption.signal,
  })
  process.removeListener('SIGINT', interrupt)
  process.removeListener('SIGTERM', interrupt)
}

function ignoreClosedPipe(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') return
  throw error
}
