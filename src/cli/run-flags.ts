import type { BatchifyOptions } from '../config.ts'
import { type FlagValues, suggestion, usageError } from './args.ts'

/** Every option of `batchify` that makes sense for a whole program, as flags. */
export const RUN_FLAGS = {
  'batch-size': { kind: 'count' },
  'batch-window': { kind: 'duration' },
  'poll-interval': { kind: 'duration' },
  'max-poll-interval': { kind: 'duration' },
  'completion-window': { kind: 'text' },
  'no-cache': { kind: 'switch' },
  retention: { kind: 'duration' },
  store: { kind: 'text' },
  metadata: { kind: 'texts' },
  'base-url': { kind: 'texts' },
  timeouts: { kind: 'text' },
  display: { kind: 'text' },
  'no-live': { kind: 'switch' },
  'cancel-on-abort': { kind: 'switch' },
  settle: { kind: 'duration' },
  lease: { kind: 'duration' },
  'on-ambiguous': { kind: 'text' },
  deferred: { kind: 'switch' },
  'deferred-after': { kind: 'duration' },
  'max-cost': { kind: 'amount' },
  'allow-unpriced': { kind: 'switch' },
  'max-batches': { kind: 'count' },
  'time-limit': { kind: 'duration' },
  'dry-run': { kind: 'switch' },
  report: { kind: 'text' },
  children: { kind: 'switch' },
} as const

/** How `offpeak run --help` explains them. */
export const RUN_FLAGS_HELP = `      --batch-size <n>            Requests in a batch (default 1000)
      --batch-window <duration>   A batch leaves this long after its first request (default 2s)
      --poll-interval <duration>  First poll interval (default 10s, or what the provider asks for)
      --max-poll-interval <duration>
      --completion-window <text>  How long the provider may take, in its own words (default 24h)
      --no-cache                  Reuse no answers of earlier runs that ended in order
      --retention <duration>      How long answers are kept (default 30d)
      --store <path>              The store (default: this user's, or the one in OFFPEAK_HOME)
      --metadata <key=value>      Stamped on every upstream batch; may be repeated
      --base-url <provider=url>   A further base URL of a provider; may be repeated
      --timeouts <ignore|honor>   What an SDK's own timer may do to a batched call (default ignore)
      --display <auto|live|log|off>
      --no-live                   Log lines instead of a live display; short for --display log
      --cancel-on-abort           Cancel an upstream batch when every caller of it has gone
      --settle <duration>         How long to look for a batch nobody confirmed (default 3m)
      --lease <duration>          How long a silent process keeps its batches (default 30s)
      --on-ambiguous <wait|resubmit|fail>
      --deferred                  Stop once only waiting is left, with exit code 0; run again to pick up
      --deferred-after <duration> The same, after waiting this long (default 60s)
      --max-cost <usd>            Refuse requests before more is spent, with exit code 4
      --allow-unpriced            With --max-cost: send what nobody can price as well
      --max-batches <n>           Open batches of one account at a time
      --time-limit <duration>     Then cancel what is under way, keeping the answers that came
      --dry-run                   Send nothing: answer with stubs, and tell what would be asked and cost
      --report <file>             Write what was counted, as JSON, in the end
      --children                  Batch worker threads and child processes of the program as well`

const DAY_MS = 24 * 60 * 60_000

/** What the flags say, as options; values are checked where options always are. */
export function optionsOf(flags: FlagValues<typeof RUN_FLAGS>): Readonly<Record<string, unknown>> {
  if (flags['no-cache'] && flags.retention !== undefined) {
    throw usageError('--no-cache and --retention exclude each other')
  }
  if (flags['no-live'] && flags.display !== undefined) throw usageError('--no-live and --display exclude each other')
  const options = {
    batchSize: flags['batch-size'],
    batchWindowMs: flags['batch-window'],
    pollIntervalMs: flags['poll-interval'],
    maxPollIntervalMs: flags['max-poll-interval'],
    completionWindow: flags['completion-window'],
    cache: cacheOf(flags),
    store: flags.store,
    metadata: flags.metadata.length === 0 ? undefined : Object.fromEntries(flags.metadata.map(pairIn('metadata'))),
    baseUrls: flags['base-url'].length === 0 ? undefined : baseUrlsOf(flags['base-url']),
    timeouts: flags.timeouts,
    display: flags['no-live'] ? 'log' : flags.display,
    cancelOnAbort: flags['cancel-on-abort'] || undefined,
    settleMs: flags.settle,
    leaseMs: flags.lease,
    onAmbiguous: flags['on-ambiguous'],
    deferred: deferredOf(flags),
    dryRun: flags['dry-run'] || undefined,
    maxCostUsd: flags['max-cost'],
    allowUnpriced: flags['allow-unpriced'] || undefined,
    maxBatchesInFlight: flags['max-batches'],
    timeLimitMs: flags['time-limit'],
    // Every option, so that a new one is not forgotten here; these three are the program's own business.
    scope: undefined,
    providers: undefined,
  } satisfies Record<keyof BatchifyOptions, unknown>
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function cacheOf(flags: FlagValues<typeof RUN_FLAGS>): BatchifyOptions['cache'] {
  if (flags['no-cache']) return false
  return flags.retention === undefined ? undefined : { retentionDays: flags.retention / DAY_MS }
}

function deferredOf(flags: FlagValues<typeof RUN_FLAGS>): BatchifyOptions['deferred'] {
  const idleMs = flags['deferred-after']
  return idleMs === undefined ? flags.deferred || undefined : { idleMs }
}

function pairIn(name: string): (text: string) => readonly [string, string] {
  return (text) => {
    const cut = text.indexOf('=')
    if (cut < 1) throw usageError(`--${name} must be written name=value, not "${text}"${suggestion(text, [])}`)
    return [text.slice(0, cut), text.slice(cut + 1)]
  }
}

function baseUrlsOf(texts: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const all: Record<string, string[]> = {}
  for (const [provider, url] of texts.map(pairIn('base-url'))) (all[provider] ??= []).push(url)
  return all
}
