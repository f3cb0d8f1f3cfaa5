import type { OutputStream } from '../progress/output.ts'

/** What a command may touch. Data goes to stdout, everything else to stderr. */
export interface CommandContext {
  readonly print: (text: string) => void
  /** One line, or several. */
  readonly say: (text: string) => void
  /** Data of any length. Resolves once there is room for more; with false when its reader has left, and nobody needs the rest. */
  readonly stream: (text: string) => Promise<boolean>
  /** The terminal that data goes to; undefined when it goes elsewhere. */
  readonly screen: OutputStream | undefined
  /** Aborts on Ctrl-C or a request to terminate, with the signal's name as its reason: finish what must be finished, then return. */
  readonly interrupted: AbortSignal
}

export interface Command {
  readonly name: string
  /** One line, for the list of commands. */
  readonly summary: string
  /** Everything `offpeak <name> --help` prints. */
  readonly help: string
  /** Of its arguments those that are its own to read; default all. */
  readonly own?: (args: readonly string[]) => readonly string[]
  /** Resolves with the exit code: 0 fine, 1 failed, 2 wrong usage, 3 some requests failed, 4 refused for its cost. */
  run(args: readonly string[], context: CommandContext): Promise<number>
}
