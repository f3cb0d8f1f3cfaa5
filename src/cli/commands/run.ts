import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArguments, splitAtWord, usageError } from '../args.ts'
import type { Command } from '../command.ts'
import { optionsOf, RUN_FLAGS, RUN_FLAGS_HELP } from '../run-flags.ts'

const help = `Usage: offpeak run [options] <file>[:<function>] [arguments…]

Runs a program with every call it makes to a provider batched, its code unchanged: JavaScript or TypeScript, ES module or CommonJS.
Its stdin, stdout, exit code and signals are its own. With a function, calls that exported async function: arguments become its
arguments, and --key=value ones an object that comes last.

Options go before the file, the program's arguments after it:
${RUN_FLAGS_HELP}

Exit code: the program's own; 0 when it was deferred; 2 for wrong usage; 4 when --max-cost kept something from being sent; 130 and 143 for SIGINT and SIGTERM.

Examples:
  offpeak run classify.ts tickets.csv
  offpeak run --batch-size 500 --metadata team=search embed.js
  offpeak run --deferred nightly.ts
  offpeak run --dry-run --report plan.json embed.js
  offpeak run jobs.ts:summarise report.txt --language=en
`

/** `offpeak run`: a program as it is, in a process of its own, with its calls batched. */
export const run: Command = {
  name: 'run',
  summary: 'Run a program with its calls batched, its code unchanged',
  help,
  own: (args) => splitAtWord(args, RUN_FLAGS)[0],
  async run(args, { say, interrupted }) {
    const [own, [entry, ...rest]] = splitAtWord(args, RUN_FLAGS)
    const { flags } = parseArguments(own, RUN_FLAGS)
    const options = optionsOf(flags)
    if (entry === undefined) throw usageError('offpeak run needs a file: offpeak run app.js')
    const { file, name } = entryOf(entry)
    const program = name === undefined ? [file, ...rest] : [beside('../call-function'), file, name, ...rest]
    const register = pathToFileURL(beside('../../register')).href

    const child = spawn(process.execPath, [...process.execArgv, '--import', register, ...program], {
      stdio: 'inherit',
      env: {
        ...process.env,
        OFFPEAK_OPTIONS: JSON.stringify(options),
        ...(flags.report === undefined ? {} : { OFFPEAK_REPORT: reportFile(flags.report) }),
        ...(flags.children ? childrenEnv(register) : {}),
      },
    })
    // For as long as it runs: how often it wants to be told before it ends, and whether it ends at all, is the program's to decide.
    const handOn = (signal: NodeJS.Signals): void => {
      // A terminal tells the whole foreground group by itself.
      if (signal === 'SIGTERM' || !isAtTerminal()) child.kill(signal)
    }
    process.on('SIGINT', handOn).on('SIGTERM', handOn)
    // Nobody was there to be told.
    if (interrupted.aborted) child.kill(interrupted.reason === 'SIGTERM' ? 'SIGTERM' : 'SIGINT')
    try {
      // Exactly what Node promises for this event.
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
      return code ?? 128 + (signal ? constants.signals[signal] : 0)
    } catch (error) {
      say(
        `offpeak: ${process.execPath} could not be started: ${error instanceof Error ? error.message : String(error)}`,
      )
      return 1
    } finally {
      process.off('SIGINT', handOn).off('SIGTERM', handOn)
    }
  },
}

/** It is written when everything else is done: that it cannot be had better be said before. */
function reportFile(path: string): string {
  const file = resolve(path)
  const folder = dirname(file)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw usageError(`--report: there is no folder ${folder}`)
  return file
}

/** A file, or a file and the name of what it exports; a drive letter is no file. */
function entryOf(entry: string): { readonly file: string; readonly name: string | undefined } {
  if (isFile(entry)) return { file: resolve(entry), name: undefined }
  const [, path = entry, name] = /^(.+):([\w$]+)$/u.exec(entry) ?? []
  if (name !== undefined && isFile(path)) return { file: resolve(path), name }
  throw usageError(`there is no file ${name === undefined ? entry : path}`)
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

/** A module of ours, as sources while developing and compiled in the package. */
function beside(path: string): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  return fileURLToPath(new URL(path + extension, import.meta.url))
}

function childrenEnv(register: string): Readonly<Record<string, string>> {
  const before = process.env['NODE_OPTIONS']
  const flag = `--import ${JSON.stringify(register)}`
  return { OFFPEAK_CHILDREN: '1', NODE_OPTIONS: before ? `${before} ${flag}` : flag }
}

/** Any stream may have been sent elsewhere. */
function isAtTerminal(): boolean {
  return [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
}
