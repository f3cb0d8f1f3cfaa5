import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { defaultStorePath } from '../../config.ts'
import { type BatchScope, createScope } from '../../create.ts'
import { isAlive } from '../../manager/is-alive.ts'
import { formatCount, formatPlural, formatUsd } from '../../progress/format.ts'
import { parseArguments, usageError } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

const FLAGS = {
  'batch-ms': { kind: 'milliseconds' },
  'no-live': { kind: 'switch' },
} as const

const help = `Usage: offpeak demo [options]

What offpeak does, on this screen and within seconds: an ordinary program asks a model 240 questions, its calls are batched, and a built-in
simulator plays the provider. No key, no network, nothing to install beside offpeak, and nothing to pay.

Run it twice: the second run is answered from the store of the first. Its store is its own, beside this user's.

Options:
      --batch-ms <ms>  How long the simulated provider takes over a batch, in milliseconds (default 3000)
      --no-live        Log lines instead of a live display

Examples:
  offpeak demo
  offpeak demo --no-live
  offpeak batches --store ~/.local/state/offpeak/demo/store.db
`

/** Answers belong to where they came from, so the simulator comes back to the same port if it can. */
const PORT = 9912
const BATCH_MS = 3000
const TOPICS = ['late parcel', 'broken zip', 'wrong size', 'double charge', 'lost password', 'gift card', 'refund']
const TICKETS = Array.from({ length: 120 }, (_, n) => `Ticket ${n + 1}: ${TOPICS[n % TOPICS.length]}`)

/** `offpeak demo`: the whole of it, from an ordinary call to its answer, against the simulator. */
export const demo: Command = {
  name: 'demo',
  summary: 'Watch a small job ride a simulated Batch API: no key, no network',
  help,
  async run(args, context) {
    const { flags, words } = parseArguments(args, FLAGS)
    if (words.length > 0) throw usageError(`offpeak demo takes no arguments, and was given "${words[0]}"`)
    const folder = join(dirname(defaultStorePath(process.env)), 'demo')
    const store = join(folder, 'store.db')
    begin(folder, context)
    const simulator = await startSimulator(flags['batch-ms'] ?? BATCH_MS, context)
    const baseUrl = simulator.baseUrl('openai')
    const display = flags['no-live'] ? ('log' as const) : ('auto' as const)
    const scope = createScope({
      store,
      display,
      baseUrls: { openai: [baseUrl] },
      batchWindowMs: 300,
      pollIntervalMs: 400,
    })
    try {
      const ticketsAnswered = await program(scope.fetch, baseUrl)
      await scope.finish()
      finished(folder)
      tell(scope, ticketsAnswered, store, context)
      return ticketsAnswered === TICKETS.length ? 0 : 1
    } finally {
      // What went wrong before is what its user wants to hear of.
      await scope.abandon().catch(() => undefined)
      await simulator.close()
    }
  },
}

/** Plain `fetch`, as any SDK would call it: nothing in here knows of batches. Resolves with how many tickets got their own answer. */
async function program(fetch: typeof globalThis.fetch, baseUrl: string): Promise<number> {
  const post = async (path: string, body: object): Promise<unknown> => {
    const response = await fetch(baseUrl + path, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-demo', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`the simulator answered HTTP ${response.status}: ${await response.text()}`)
    return await response.json()
  }
  const classify = async (ticket: string): Promise<boolean> => {
    const answer = await post('/chat/completions', {
      model: 'gpt-4o-mini',
      messages: [
        { role: 'system', content: 'Answer with one word: billing, delivery, product or account.' },
        { role: 'user', content: ticket },
      ],
    })
    return Completion.parse(answer).choices[0].message.content.includes(ticket)
  }
  const draftReply = (ticket: string): Promise<unknown> =>
    post('/responses', { model: 'gpt-4o-mini', input: `Write a kind reply to: ${ticket}` })
  const embed = (ticket: string): Promise<unknown> =>
    post('/embeddings', { model: 'text-embedding-3-small', input: ticket })

  const some = TICKETS.slice(0, 60)
  const [classified] = await Promise.all([
    Promise.all(TICKETS.map(classify)),
    Promise.all(some.map(draftReply)),
    Promise.all(some.map(embed)),
  ])
  return classified.filter(Boolean).length
}

const Completion = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()),
})

function tell(scope: BatchScope, ticketsAnswered: number, store: string, { print }: CommandContext): void {
  const { requests, batches, costUsd, liveCostUsd, savedUsd } = scope.report()
  print(`${formatCount(TICKETS.length)} tickets, each with its own answer: ${formatCount(ticketsAnswered)}\n`)
  if (requests.cached === requests.total) {
    print(`all ${formatCount(requests.total)} requests from the store of an earlier run: nothing sent, nothing paid\n`)
  } else {
    const money =
      costUsd === undefined || liveCostUsd === undefined || savedUsd === undefined
        ? ''
        : `: ${formatUsd(costUsd)} instead of ${formatUsd(liveCostUsd)}, saved ${formatUsd(savedUsd)}`
    print(
      `${formatPlural(requests.total, 'request', 'requests')} in ${formatPlural(batches, 'batch', 'batches')}${money}\n`,
    )
  }
  print(`store: ${store}\n`)
}

async function startSimulator(
  batchMs: number,
  { say }: CommandContext,
): Promise<import('../../simulator/index.ts').SpawnedSimulator> {
  // Only this command needs it, and it brings an HTTP server along.
  const { spawnSimulator } = await import('../../simulator/index.ts')
  try {
    return await spawnSimulator({ port: PORT, batchMs })
  } catch {
    say(`Port ${PORT} is taken, so answers of earlier runs are not found again this time.`)
    return await spawnSimulator({ batchMs })
  }
}

/** Stands in the folder, with the number of its process, while a demo is under way. */
function markIn(folder: string): string {
  return join(folder, 'unfinished')
}

/** A real provider goes on with batches while nobody looks; the simulator forgot those of an interrupted run when it ended with it. */
function begin(folder: string, { say }: CommandContext): void {
  const mark = markIn(folder)
  if (existsSync(mark)) {
    const pid = Number(readFileSync(mark, 'utf8'))
    if (pid > 0 && isAlive(pid)) throw usageError(`a demo is under way already, in process ${pid}`)
    say('The last demo was interrupted, and its simulator with it: starting afresh.')
    rmSync(folder, { recursive: true })
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(mark, `${process.pid}`)
}

function finished(folder: string): void {
  rmSync(markIn(folder), { force: true })
}
