import { CostLimitError, DeferredExit } from '../../core/errors.ts'
import { createScope } from '../../create.ts'
import { formatCount, formatPlural } from '../../progress/format.ts'
import type { BatchReader } from '../../store/read-batches.ts'
import { parseArguments, usageError } from '../args.ts'
import { keyFor, parseHeaders } from '../batches/key.ts'
import { type Retried, type RetryTally, submitFailures } from '../batches/retry.ts'
import { batchesIn, nameOf, selectBatchOrRun } from '../batches/select.ts'
import type { Command, CommandContext } from '../command.ts'
import { optionsOf, RUN_FLAGS } from '../run-flags.ts'
import { openStoreFor, storePath } from '../store-file.ts'

/** Of the options of a run those that are about sending and waiting. */
const FLAGS = {
  store: RUN_FLAGS.store,
  'batch-size': RUN_FLAGS['batch-size'],
  'poll-interval': RUN_FLAGS['poll-interval'],
  'completion-window': RUN_FLAGS['completion-window'],
  metadata: RUN_FLAGS.metadata,
  display: RUN_FLAGS.display,
  'no-live': RUN_FLAGS['no-live'],
  deferred: RUN_FLAGS.deferred,
  'deferred-after': RUN_FLAGS['deferred-after'],
  'max-cost': RUN_FLAGS['max-cost'],
  'allow-unpriced': RUN_FLAGS['allow-unpriced'],
  'max-batches': RUN_FLAGS['max-batches'],
  'time-limit': RUN_FLAGS['time-limit'],
  header: { kind: 'texts' },
  json: { kind: 'switch' },
} as const

const EXIT = { ok: 0, failed: 1, someFailed: 3, cost: 4 } as const

/** A century: what is asked again must not be forgotten first. */
const NEVER_DAYS = 36_500

const help = `Usage: offpeak retry-failed <batch|run|last> [options]

Sends again what failed in a batch, or in all batches of a run, and only that; then waits for the answers. They are kept where the program
looks for them: its next run finds them in the store. What was asked again already, by this command or a later run, is left alone.

It needs the very key, organisation and project that the batch was sent with, in the provider's usual environment variables.
A batch is named by its provider's id, by its tag, or by the beginning of either; a run by its number in offpeak batches; last is the
latest run that has sent a batch.

Options:
      --store <path>              The store (default: this user's, or the one in OFFPEAK_HOME)
      --json                      Print one line of JSON
      --deferred                  Stop once only waiting is left; the next run of the program picks the answers up
      --deferred-after <duration> The same, after waiting this long (default 60s)
      --header <name:value>       A header the program sends beside its key; may be repeated
      --max-cost <usd>            Send no more once this much is spent, with exit code 4
      --allow-unpriced            With --max-cost: send what nobody can price as well
      --time-limit <duration>     Then cancel what is under way, keeping the answers that came
      --batch-size <n>, --max-batches <n>, --poll-interval <duration>, --completion-window <text>, --metadata <key=value>,
      --display <auto|live|log|off>, --no-live: as for offpeak run; window and metadata are those of the batch otherwise

Exit code: 0 all answered, nothing to retry, or deferred; 1 could not be sent; 2 wrong usage; 3 some failed again; 4 the limit of cost was
reached; 130 and 143 when interrupted (the next run of the program goes on from there).

Examples:
  offpeak retry-failed last
  offpeak retry-failed batch_6917 --deferred
  offpeak retry-failed 12 --max-cost 2
`

/** `offpeak retry-failed`: another try for what failed. */
export const retryFailed: Command = {
  name: 'retry-failed',
  summary: 'Send again what failed in a batch or run, and only that',
  help,
  async run(args, context) {
    const { flags, words } = parseArguments(args, FLAGS)
    const [word, extra] = words
    if (word === undefined) throw usageError('offpeak retry-failed needs a batch or a run: offpeak retry-failed last')
    if (extra !== undefined) {
      throw usageError(`offpeak retry-failed takes one batch or run, and was given "${extra}" as well`)
    }
    const headers = parseHeaders(flags.header)
    const { header: _, json, ...given } = flags
    // The rest of a run's flags, as if nobody had given them.
    const options = optionsOf({ ...parseArguments([], RUN_FLAGS).flags, ...given })
    const path = storePath(flags.store)
    using reader = openStoreFor(path)
    const failed = batchesIn(selectBatchOrRun(reader, word)).filter(({ jobs }) => jobs.failed > 0)
    const retried: Retried[] = []
    for (const batch of failed) {
      const key = keyFor(batch.intent, { env: process.env, headers, salt: reader.salt })
      if (key.kind === 'same') retried.push({ batch, key })
      else context.say(`offpeak: ${nameOf(batch)} cannot be retried: ${key.reason}`)
    }
    // Half a retry would have to be finished by another one, which would find that half under way.
    if (retried.length < failed.length) return EXIT.failed

    const tally: RetryTally = { sent: 0, answered: 0, failed: 0, alreadyRetried: 0, unsent: new Map() }
    const first = retried[0]?.batch.intent
    // Nothing is asked of anybody when there is nothing to ask.
    const defaults = first ? { metadata: first.metadata, completionWindow: first.window } : {}
    const code = first
      ? await retry(reader, retried, { ...defaults, ...options, store: path }, tally, context)
      : EXIT.ok
    tell(tally, json, context)
    return code
  },
}

async function retry(
  reader: BatchReader,
  retried: readonly Retried[],
  options: Readonly<Record<string, unknown>>,
  tally: RetryTally,
  { say }: CommandContext,
): Promise<number> {
  // Ctrl-C is the scope's to handle, as in every program: it saves what is queued, says how to go on, and ends the process.
  const scope = createScope({ ...options, cache: { retentionDays: NEVER_DAYS } })
  try {
    await submitFailures(reader, retried, scope, tally)
    await scope.finish()
  } catch (error) {
    if (error instanceof DeferredExit) {
      say(error.message)
      return tally.failed > 0 ? EXIT.someFailed : EXIT.ok
    }
    await scope.abandon().catch(() => undefined)
    if (!(error instanceof CostLimitError)) throw error
    say(error.message)
    return EXIT.cost
  }
  if (tally.failed > 0) return EXIT.someFailed
  return tally.unsent.size > 0 ? EXIT.failed : EXIT.ok
}

function tell(tally: RetryTally, isJson: boolean, { print, say }: CommandContext): void {
  const { sent, answered, failed, alreadyRetried, unsent } = tally
  if (isJson) {
    print(`${JSON.stringify({ sent, answered, failed, alreadyRetried, unsent: Object.fromEntries(unsent) })}\n`)
    return
  }
  if (alreadyRetried > 0) {
    say(`${formatPlural(alreadyRetried, 'request was', 'requests were')} asked again already, and left alone.`)
  }
  for (const [reason, count] of unsent)
    say(`${formatPlural(count, 'request was', 'requests were')} not sent: ${reason}.`)
  const waiting = sent - answered - failed
  const rest = waiting > 0 ? `, ${formatCount(waiting)} without an answer yet` : ''
  if (sent === 0) print('nothing to retry\n')
  else
    print(
      `retried ${formatCount(sent)}: ${formatCount(answered)} answered, ${formatCount(failed)} failed again${rest}\n`,
    )
}
