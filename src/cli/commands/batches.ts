import { formatPlural } from '../../progress/format.ts'
import { printable } from '../../progress/width.ts'
import { adapters } from '../../providers/registry.ts'
import {
  BATCH_STATES,
  type BatchReader,
  type BatchState,
  OPEN_STATES,
  type StoredBatch,
} from '../../store/read-batches.ts'
import { systemClock } from '../../system-clock.ts'
import { type FlagValues, parseArguments, suggestion, usageError } from '../args.ts'
import { type Asked, askAbout, askToCancel } from '../batches/ask.ts'
import { batchJson, batchLines, detailRows } from '../batches/describe.ts'
import { failureCauses } from '../batches/failures.ts'
import { type Keys, parseHeaders } from '../batches/key.ts'
import { isHeld, keepTold, withTold } from '../batches/refresh.ts'
import { nameOf, runNamed, selectBatch } from '../batches/select.ts'
import { isOpen, type Look, watchBatches } from '../batches/watch.ts'
import type { Command, CommandContext } from '../command.ts'
import { aligned } from '../sizes.ts'
import { openStoreFor, storePath } from '../store-file.ts'

const FLAGS = {
  store: { kind: 'text' },
  json: { kind: 'switch' },
  limit: { kind: 'count' },
  state: { kind: 'text' },
  provider: { kind: 'text' },
  since: { kind: 'duration' },
  run: { kind: 'text' },
  all: { kind: 'switch' },
  interval: { kind: 'duration' },
  header: { kind: 'texts' },
} as const

type Flags = FlagValues<typeof FLAGS>

const LIMIT = 20
const INTERVAL_MS = 10_000

const help = `Usage: offpeak batches [list] [options]
       offpeak batches show <batch> [options]
       offpeak batches refresh [<batch>] [options]
       offpeak batches cancel <batch> | --all [options]
       offpeak batches watch [<batch>] [options]

Batches that were sent, the newest first: what the store knows of them. A batch is named by its provider's id, by its tag, or by the beginning
of either. The number of a run stands in the list.

show     everything about one batch: times, metadata, cost, and why requests failed
refresh  asks the provider where batches stand (all that run, or one), and notes it unless a program is at work on them
cancel   asks the provider to cancel; what it has run by then is billed. A program that waits for the rest is told so; without one, the next
         run collects what there is and sends the rest again
watch    the list again and again, until all of it has ended, or Ctrl-C

refresh, cancel and watch ask with the key in the provider's usual environment variable, and only with the very key, organisation and project
that the batch was sent with. Answers are collected by the program itself: run it again.

Options:
      --store <path>        The store (default: this user's, or the one in OFFPEAK_HOME)
      --json                Print one line of JSON
      --limit <n>           With list: so many at most (default ${LIMIT})
      --state <state>       With list: open, ${BATCH_STATES.join(', ')}
      --provider <name>     With list: of one provider
      --since <duration>    With list: not older than 10m, 24h or 7d
      --run <number|last>   With list: of one run
      --all                 With cancel: every batch that runs
      --interval <duration> With watch: how often to look (default 10s)
      --header <name:value> With refresh, cancel, watch: a header the program sends beside its key, or instead of one ("name:" leaves
                            one out); may be repeated

Exit code: 0; 1 when a provider could not be asked, or failed; 2 for wrong usage; 130 and 143 when interrupted.

Examples:
  offpeak batches
  offpeak batches --state failed --since 7d --json
  offpeak batches show batch_6917
  OPENAI_API_KEY=… offpeak batches refresh
  offpeak batches cancel --all
  offpeak batches watch --interval 30s
`

const WORDS = ['list', 'show', 'refresh', 'cancel', 'watch'] as const
type Word = (typeof WORDS)[number]

/** Which of the flags belong to which word. */
const OWN_FLAGS: Readonly<Record<'limit' | 'state' | 'provider' | 'since' | 'run' | 'all' | 'interval', Word>> = {
  limit: 'list',
  state: 'list',
  provider: 'list',
  since: 'list',
  run: 'list',
  all: 'cancel',
  interval: 'watch',
}

/** What a word of the command is given. */
interface Task extends CommandContext {
  readonly flags: Flags
  /** The batch it is about. */
  readonly name: string | undefined
  readonly path: string
  readonly reader: BatchReader
}

const ACTIONS: Readonly<Record<Word, (task: Task) => number | Promise<number>>> = { list, show, refresh, cancel, watch }

/** `offpeak batches`: what was sent, where it stands, and how to stop it. */
export const batches: Command = {
  name: 'batches',
  summary: 'List, show, refresh, cancel or watch batches',
  help,
  async run(args, context) {
    const { flags, words } = parseArguments(args, FLAGS)
    const [first = 'list', name, extra] = words
    const word = WORDS.find((each) => each === first)
    if (!word) throw usageError(`unknown word "${first}"${suggestion(first, WORDS)}`)
    checkFlags(word, flags)
    const surplus = word === 'list' ? name : extra
    if (surplus !== undefined) throw usageError(`offpeak batches ${word} was given one word too many: "${surplus}"`)
    const path = storePath(flags.store)
    using reader = openStoreFor(path)
    return await ACTIONS[word]({ ...context, flags, name, path, reader })
  },
}

function checkFlags(word: Word, flags: Flags): void {
  for (const [flag, owner] of Object.entries(OWN_FLAGS)) {
    // Names of its own record.
    const value = flags[flag as keyof typeof OWN_FLAGS]
    if (value !== undefined && value !== false && owner !== word) {
      throw usageError(`--${flag} goes with ${owner}: offpeak batches ${owner} --${flag}`)
    }
  }
  if (flags.header.length > 0 && (word === 'list' || word === 'show')) {
    throw usageError(`--header goes with refresh, cancel and watch: ${word} asks nobody`)
  }
}

function list({ flags, reader, print, say }: Task): number {
  const { provider, since, limit = LIMIT } = flags
  const names = adapters.map(({ name }) => name)
  if (provider !== undefined && !names.includes(provider)) {
    throw usageError(`unknown provider "${provider}"${suggestion(provider, names)}`)
  }
  const run = flags.run === undefined ? undefined : runNamed(reader, flags.run)
  if (flags.run !== undefined && run === undefined) {
    throw usageError(`--run must be the number of a run, or last, not "${flags.run}"`)
  }
  const now = Date.now()
  const filter = { provider, run, states: statesOf(flags.state), since: since === undefined ? undefined : now - since }
  const found = reader.list(filter, limit)
  if (flags.json) {
    print(`${JSON.stringify({ batches: found.batches.map(batchJson), total: found.total })}\n`)
    return 0
  }
  if (found.batches.length === 0) say('There is no such batch.')
  else print(`${batchLines(found.batches, now).join('\n')}\n`)
  const left = found.total - found.batches.length
  if (left > 0) say(`${formatPlural(left, 'older one', 'older ones')} not shown: --limit ${found.total}`)
  return 0
}

function statesOf(state: string | undefined): readonly BatchState[] | undefined {
  if (state === undefined) return undefined
  if (state === 'open') return OPEN_STATES
  const known = BATCH_STATES.find((each) => each === state)
  if (!known) throw usageError(`unknown state "${state}"${suggestion(state, ['open', ...BATCH_STATES])}`)
  return [known]
}

function show({ flags, name, reader, print }: Task): number {
  if (name === undefined) throw usageError('offpeak batches show needs a batch: offpeak batches show <batch>')
  const batch = selectBatch(reader, name)
  const causes = failureCauses(reader, [batch.intent.id])
  if (flags.json) {
    print(`${JSON.stringify({ ...batchJson(batch), failures: causes })}\n`)
    return 0
  }
  const failures = causes.map(({ reason, count, retried, example: { job, status, message } }) => [
    `failed: ${printable(reason)}`,
    `${formatPlural(count, 'request', 'requests')}${retried === 0 ? '' : `, ${retried} asked again since`}; job ${job}: HTTP ${status}${message === '' ? '' : ` ${message}`}`,
  ])
  print(`${aligned([...detailRows(batch, Date.now()), ...failures]).join('\n')}\n`)
  return 0
}

async function refresh(task: Task): Promise<number> {
  const { flags, name, path, reader, print, say, interrupted } = task
  const wanted = name === undefined ? openBatches(reader) : [selectBatch(reader, name)]
  if (wanted.length === 0 && !flags.json) say('No batch is under way.')
  const asked = await askAbout(wanted, keysOf(task), interrupted)
  keepTold(path, asked, Date.now())
  if (flags.json) {
    const told = asked.map((each) => ({
      ...batchJson(withTold(each)),
      ...(each.kind === 'told' ? { providerSays: each.state.status } : { notAsked: each.reason }),
    }))
    print(`${JSON.stringify({ batches: told })}\n`)
  } else if (asked.length > 0) {
    print(
      `${aligned(asked.map((each) => [nameOf(each.batch), each.batch.intent.provider, saysText(each)])).join('\n')}\n`,
    )
  }
  if (interrupted.aborted) return interruptedCode(interrupted)
  return asked.every(({ kind }) => kind === 'told') ? 0 : 1
}

function saysText(asked: Asked): string {
  if (asked.kind === 'not-told') return `not known: ${printable(asked.reason)}`
  const { state, batch } = asked
  const { counts } = state
  const progress = counts ? `, ${counts.completed} of ${counts.total} completed, ${counts.failed} failed` : ''
  const isUncollected = state.phase === 'ended' && batch.state === 'running' && !isHeld(batch, Date.now())
  return `${printable(state.status)}${progress}${isUncollected ? '; run its program again to collect the answers' : ''}`
}

async function cancel(task: Task): Promise<number> {
  const { flags, name, reader, print, say, interrupted } = task
  if (flags.all && name !== undefined) throw usageError('--all and the name of a batch exclude each other')
  if (!flags.all && name === undefined) {
    throw usageError('offpeak batches cancel needs a batch, or --all: offpeak batches cancel <batch>')
  }
  const wanted = name === undefined ? openBatches(reader) : [selectBatch(reader, name)]
  if (wanted.length === 0 && !flags.json) say('No batch is under way.')
  const keys = keysOf(task)
  const results = await Promise.all(wanted.map((batch) => askToCancel(batch, keys, interrupted)))
  if (flags.json) {
    const told = results.map((each) => ({
      id: each.batch.intent.handle?.id,
      tag: each.batch.intent.tag,
      provider: each.batch.intent.provider,
      cancelling: each.kind === 'asked',
      ...(each.kind === 'asked' ? {} : { reason: each.reason }),
    }))
    print(`${JSON.stringify({ batches: told })}\n`)
  } else if (results.length > 0) {
    const rows = results.map((each) => [
      nameOf(each.batch),
      each.batch.intent.provider,
      each.kind === 'asked' ? 'is being cancelled' : `not cancelled: ${printable(each.reason)}`,
    ])
    print(`${aligned(rows).join('\n')}\n`)
  }
  return results.every(({ kind }) => kind === 'asked') ? 0 : 1
}

async function watch(task: Task): Promise<number> {
  const { flags, name, reader, path, print, say, screen, interrupted } = task
  const tracked = new Set((name === undefined ? openBatches(reader) : [selectBatch(reader, name)]).map(idOf))
  if (tracked.size === 0) {
    if (flags.json) print('{"batches":[]}\n')
    else say('No batch is under way.')
    return 0
  }
  const keys = keysOf(task)
  const watched = await watchBatches({
    intervalMs: flags.interval ?? INTERVAL_MS,
    clock: systemClock,
    interrupted,
    screen: flags.json ? undefined : screen,
    print: flags.json ? () => undefined : print,
    say,
    async look(): Promise<Look> {
      // What programs send meanwhile is watched as well.
      if (name === undefined) for (const batch of openBatches(reader)) tracked.add(idOf(batch))
      const stored = [...tracked].flatMap((id) => reader.batch(id) ?? [])
      // Where a program is at work, it tells by itself.
      const alone = stored.filter((batch) => isOpen(batch) && !isHeld(batch, Date.now()))
      const asked = await askAbout(alone, keys, interrupted)
      keepTold(path, asked, Date.now())
      return merged(stored, asked)
    },
  })
  if (flags.json) print(`${JSON.stringify({ batches: watched.map(batchJson) })}\n`)
  return interrupted.aborted ? interruptedCode(interrupted) : 0
}

/** What the store knows, and of those nobody is at work on what their providers say. */
function merged(stored: readonly StoredBatch[], asked: readonly Asked[]): Look {
  const byId = new Map(asked.map((each) => [idOf(each.batch), each]))
  const over = new Set<StoredBatch>()
  const shown = stored.map((batch) => {
    const told = byId.get(idOf(batch))
    if (!told) return batch
    const fresh = withTold(told)
    if (told.kind === 'told' && told.state.phase === 'ended') over.add(fresh)
    return fresh
  })
  const notes = asked.flatMap((each) =>
    each.kind === 'told' ? [] : [`${nameOf(each.batch)} could not be asked about: ${each.reason}`],
  )
  return { batches: shown, over, notes }
}

/** Nobody has more of them under way. */
const MANY = 100_000

function openBatches(reader: BatchReader): readonly StoredBatch[] {
  return reader.list({ states: OPEN_STATES }, MANY).batches.filter(isOpen)
}

function idOf({ intent }: StoredBatch): number {
  return intent.id
}

function keysOf({ flags, reader }: Task): Keys {
  return { env: process.env, headers: parseHeaders(flags.header), salt: reader.salt }
}

function interruptedCode({ reason }: AbortSignal): number {
  return reason === 'SIGTERM' ? 143 : 130
}
