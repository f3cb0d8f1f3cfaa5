import { formatCount, formatDuration, formatUsd } from '../../progress/format.ts'
import { printable } from '../../progress/width.ts'
import type { StoredBatch } from '../../store/read-batches.ts'
import { aligned } from '../sizes.ts'
import { nameOf } from './select.ts'

const HEAD = ['BATCH', 'PROVIDER', 'ENDPOINT', 'MODEL', 'STATE', 'DONE', 'FAILED', 'AGE', 'RUN', 'COST']

/** A line per batch below a line of headings; no cell is empty or has a blank in it, so that shells can cut them. */
export function batchLines(batches: readonly StoredBatch[], now: number): readonly string[] {
  return aligned([HEAD, ...batches.map((batch) => cellsOf(batch, now))])
}

function cellsOf(batch: StoredBatch, now: number): readonly string[] {
  const { intent, state, run } = batch
  const { done, failed } = progressOf(batch)
  const cells = [
    nameOf(batch),
    intent.provider,
    intent.endpoint,
    intent.model,
    state,
    `${done ?? '?'}/${intent.jobs}`,
    `${failed ?? '?'}`,
    formatDuration(now - intent.createdAt),
    `${run}`,
    costText(batch),
  ]
  return cells.map((cell) => printable(cell).replaceAll(' ', '') || '-')
}

/**
 * How many of its requests have been run, and how many of those failed: as the provider has told of a batch that runs, as stored of one that is
 * over. undefined: nobody has told.
 */
export function progressOf({ intent, state, jobs }: StoredBatch): {
  readonly done: number | undefined
  readonly failed: number | undefined
} {
  const settled = jobs.answered + jobs.failed
  if (state !== 'running' && state !== 'creating') return { done: settled, failed: jobs.failed }
  const { counts } = intent
  if (!counts) return settled === 0 ? { done: undefined, failed: undefined } : { done: settled, failed: jobs.failed }
  // Some providers count what has failed among the completed and some beside them.
  return { done: Math.max(settled, counts.completed), failed: Math.max(jobs.failed, counts.failed) }
}

/** Nothing answered, nothing known, some known, all known. */
export function costText({ jobs, money }: StoredBatch): string {
  if (jobs.answered === 0 && money.costUsd === 0) return '-'
  if (money.unpriced > 0 && money.costUsd === 0) return 'unknown'
  return money.unpriced > 0 ? `${formatUsd(money.costUsd)}+` : formatUsd(money.costUsd)
}

/** undefined: unknown, which is not zero. */
function knownCost({ jobs, money }: StoredBatch): Pick<StoredBatch['money'], 'costUsd' | 'liveCostUsd'> | undefined {
  const isUnknown = money.costUsd === 0 && (money.unpriced > 0 || jobs.answered === 0)
  return isUnknown ? undefined : { costUsd: money.costUsd, liveCostUsd: money.liveCostUsd }
}

/** As `--json` prints it. */
export function batchJson(batch: StoredBatch): Readonly<Record<string, unknown>> {
  const { intent, state, run, program, holder, jobs, money, tokens } = batch
  const time = (at: number | undefined): string | undefined =>
    at === undefined ? undefined : new Date(at).toISOString()
  return {
    id: intent.handle?.id,
    tag: intent.tag,
    provider: intent.provider,
    baseUrl: intent.baseUrl,
    endpoint: intent.endpoint,
    model: intent.model,
    state,
    status: intent.status,
    requests: intent.jobs,
    answered: jobs.answered,
    failed: jobs.failed,
    waiting: jobs.submitted,
    counts: intent.counts,
    run,
    program,
    pid: holder?.pid,
    window: intent.window,
    metadata: intent.metadata,
    createdAt: time(intent.createdAt),
    submittedAt: time(intent.submittedAt),
    endedAt: time(intent.endedAt),
    tokens,
    ...knownCost(batch),
    unpriced: money.unpriced,
  }
}

/** Everything about one batch, a line each. */
export function detailRows(batch: StoredBatch, now: number): readonly (readonly [string, string])[] {
  const { intent, state, run, program, holder, jobs, tokens, money } = batch
  const time = (at: number | undefined): string =>
    at === undefined ? '-' : `${new Date(at).toISOString()} (${formatDuration(now - at)} ago)`
  const metadata = Object.entries(intent.metadata).map(([name, value]) => `${name}=${value}`)
  const { counts } = intent
  const elsewhere = intent.jobs - jobs.answered - jobs.failed - jobs.submitted
  const known = knownCost(batch)
  const rows: (readonly [string, string])[] = [
    ['batch', intent.handle?.id ?? 'none yet'],
    ['tag', intent.tag],
    ['provider', `${intent.provider} (${intent.baseUrl})`],
    ['endpoint', intent.endpoint],
    ['model', intent.model || '-'],
    ['state', intent.status === undefined || intent.status === state ? state : `${state} (${intent.status})`],
    [
      'requests',
      `${formatCount(intent.jobs)}: ${formatCount(jobs.answered)} answered, ${formatCount(jobs.failed)} failed, ${formatCount(jobs.submitted)} waiting${elsewhere > 0 ? `, ${formatCount(elsewhere)} sent again or forgotten` : ''}`,
    ],
    [
      'provider says',
      counts ? `${counts.completed} of ${counts.total} completed, ${counts.failed} failed` : 'no counts',
    ],
    ['window', intent.window],
    ['metadata', metadata.length === 0 ? '-' : metadata.join(' ')],
    ['run', program === undefined ? `${run}` : `${run} (${program})`],
    ['in the hands of', holder && holder.leaseUntil > now ? `process ${holder.pid}` : 'nobody'],
    ['created', time(intent.createdAt)],
    ['submitted', time(intent.submittedAt)],
    ['ended', time(intent.endedAt)],
    ['tokens', `${formatCount(tokens.input)} in, ${formatCount(tokens.output)} out`],
    [
      'cost',
      known
        ? `${costText(batch)}, live ${formatUsd(known.liveCostUsd)}${money.unpriced > 0 ? `; ${formatCount(money.unpriced)} answers of unknown cost` : ''}`
        : costText(batch),
    ],
  ]
  return rows.map(([name, value]) => [name, printable(value)])
}
