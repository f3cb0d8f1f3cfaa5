import { OffpeakError } from '../../core/errors.ts'
import { formatCount, formatDuration, formatPlural } from '../../progress/format.ts'
import { type Repaired, repairStore } from '../../store/repair.ts'
import { processesUsing } from '../../store/survey.ts'
import { type Finding, ok, warn } from './finding.ts'
import { type Keyed, listUpstream } from './provider.ts'

/** Rebuilds a damaged store; throws when that cannot be done, with everything left as it was. */
export function repair(path: string, now: number): Repaired {
  const users = processesUsing(path)
  if (users.length > 0) {
    const names = `${users.length === 1 ? 'process' : 'processes'} ${users.join(', ')}`
    throw new OffpeakError('store-unusable', `${path} is in use by ${names}: end it first. Nothing was changed.`)
  }
  return repairStore(path, now)
}

/** What was rebuilt, and what was not. */
export function repairFindings(repaired: Repaired): readonly Finding[] {
  const { rows, losses, salt } = repaired
  const count = (table: string): string => formatCount(rows[table] ?? 0)
  const findings: Finding[] = [
    ok('set aside', repaired.setAside.join(', ')),
    ok('rebuilt', `${count('jobs')} jobs with ${count('answers')} answers, ${count('intents')} batches`),
  ]
  const say = (when: boolean, what: string, says: string, next?: string): void => {
    if (when) findings.push(warn(what, says, next))
  }
  say(
    salt === 'lost',
    'salt',
    'lost: keys are not recognised as those of before, so that earlier answers and batches are not found',
    'look at the batches listed here before you run anything again',
  )
  say(
    losses.pages + losses.rows > 0,
    'unreadable',
    `${formatPlural(losses.pages, 'page', 'pages')}, and ${formatPlural(losses.rows, 'row', 'rows')} on others`,
  )
  say(
    repaired.lostJobs > 0,
    'lost',
    `${formatPlural(repaired.lostJobs, 'job', 'jobs')}: a program that asks for them again pays again`,
  )
  say(
    repaired.lostAnswers > 0,
    'lost',
    `${formatPlural(repaired.lostAnswers, 'answer', 'answers')} of batches nobody knows any more: who asks again pays again`,
  )
  say(repaired.lostUnsent > 0, 'lost', `${formatPlural(repaired.lostUnsent, 'job', 'jobs')} that were never sent`)
  say(
    repaired.possiblyBilled > 0,
    'lost',
    `the batches of ${formatPlural(repaired.possiblyBilled, 'job', 'jobs')} that may have been billed`,
    'they are sent again only when a program asks for them again',
  )
  for (const { tag, batch } of repaired.lostIntents) {
    say(true, 'lost', `what batch ${batch ?? 'of tag'} ${batch === undefined ? tag : `(${tag})`} was for`)
  }
  if (repaired.restoredJobs > 0)
    findings.push(ok('restored', `${formatPlural(repaired.restoredJobs, 'job', 'jobs')} from their answers`))
  if (repaired.restoredIntents > 0) {
    const what = formatPlural(repaired.restoredIntents, 'batch', 'batches')
    findings.push(ok('restored', `${what} by tag: the next run with the same key looks for them at the provider`))
  }
  if (repaired.answersToReadAgain > 0) {
    const what = formatPlural(repaired.answersToReadAgain, 'answer', 'answers')
    findings.push(ok('restored', `${what} to be read again from the provider, free, by the next run with the same key`))
  }
  return findings
}

/** What the providers with a key here still hold of ours, and the rebuilt store does not know. */
export async function upstreamFindings(
  keyed: readonly Keyed[],
  known: ReadonlySet<string>,
  now: number,
  stopping: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const each of keyed) {
    const { name } = each.adapter
    const upstream = await listUpstream(each, known, stopping)
    if (upstream.kind === 'not-listed') {
      findings.push(warn('upstream', `${name} could not be asked what it holds: ${upstream.reason}`))
      continue
    }
    for (const { tag, state, createdAt } of upstream.unknown) {
      const age = createdAt === undefined ? '' : `, ${formatDuration(now - createdAt)} old`
      findings.push(
        warn('upstream', `${name} holds ${state.handle.id} (tag ${tag}, ${state.status}${age}), unknown to this store`),
      )
    }
    if (upstream.unknown.length === 0)
      findings.push(ok('upstream', `${name} holds no batch of ours that this store does not know`))
  }
  return findings
}
