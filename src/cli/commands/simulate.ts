import { once } from 'node:events'
import { parseArguments, usageError } from '../args.ts'
import type { Command } from '../command.ts'

const FLAGS = {
  port: { kind: 'port', short: 'p' },
  host: { kind: 'text' },
  'batch-ms': { kind: 'milliseconds' },
  json: { kind: 'switch' },
} as const

const DEFAULT_PORT = 9911

const help = `Usage: offpeak simulate [options]

A local provider to try things on: it answers like each provider offpeak knows, live and in
batches, and costs nothing.

Options:
  -p, --port <port>    Port to listen on; 0 takes any free one (default ${DEFAULT_PORT})
      --host <host>    Address to listen on (default 127.0.0.1)
      --batch-ms <ms>  How long a batch takes, in milliseconds (default 2000)
      --json           Print where it listens as one line of JSON

Examples:
  offpeak simulate
  offpeak simulate --port 0 --batch-ms 200 --json
  OPENAI_BASE_URL=http://127.0.0.1:${DEFAULT_PORT}/v1 OPENAI_API_KEY=anything node app.js
`

/** `offpeak simulate`: the simulator in the foreground, until Ctrl-C. */
export const simulate: Command = {
  name: 'simulate',
  summary: 'Run a local provider to test against, for free',
  help,
  async run(args, { print, say, interrupted }) {
    const { flags, words } = parseArguments(args, FLAGS)
    if (words.length > 0) throw usageError(`offpeak simulate takes no arguments, and was given "${words[0]}"`)
    const { port = DEFAULT_PORT, host = '127.0.0.1' } = flags

    // Only this command needs it, and it brings an HTTP server along.
    const { startSimulator } = await import('../../simulator/index.ts')
    let simulator: Awaited<ReturnType<typeof startSimulator>>
    try {
      simulator = await startSimulator({ port, host, batchMs: flags['batch-ms'] })
    } catch (error) {
      say(`offpeak: ${listenProblem(error, host, port)}`)
      return 1
    }

    const { url, providers } = simulator
    if (flags.json) {
      const baseUrls = Object.fromEntries(providers.map(({ name, baseUrl }) => [name, baseUrl]))
      print(`${JSON.stringify({ url, baseUrls })}\n`)
    } else {
      print(providers.map(({ baseUrl, env }) => `${env.baseUrl}=${baseUrl}\n${env.key}=anything\n`).join(''))
      say(`The simulator listens at ${url}. Give your program the lines of its provider; Ctrl-C ends it.`)
    }
    if (!interrupted.aborted) await once(interrupted, 'abort')
    await simulator.close()
    return 0
  },
}

function listenProblem(error: unknown, host: string, port: number): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is in use; take another with --port, or any free one with --port 0`
    case 'EACCES':
      return `port ${port} needs more rights than this user has; take one above 1023 with --port`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no address of this machine; try --host 127.0.0.1`
    default:
      return `the simulator could not start: ${error instanceof Error ? error.message : String(error)}`
  }
}
