import { formatCount, formatDuration, formatPlural } from '../../progress/format.ts'
import type { OpenIntentSummary } from '../../store/contents.ts'
import type { Inspection, Look } from '../../store/inspect.ts'
import type { LogState } from '../../store/log-file.ts'
import { formatBytes } from '../sizes.ts'
import { bad, type Finding, ok, warn } from './finding.ts'
import { isAlive } from '../../manager/is-alive.ts'

/** What is in a store, or why that cannot be told. */
export function insideFindings(inspection: Inspection, path: string, now: number): readonly Finding[] {
  switch (inspection.kind) {
    case 'absent':
      return [ok('store', `there is none at ${path} yet; the first run makes it`)]
    case 'closed':
      return [bad('store', `cannot be read: ${inspection.reason}`, 'check who owns it and its permissions')]
    case 'seen':
      return [
        ok('store', `${path}, ${formatBytes(inspection.bytes)}`),
        logFinding(inspection.log),
        ...lookFindings(inspection.look, path, now),
      ]
  }
}

/** How to have it repaired. */
function repairCommand(path: string): string {
  return `offpeak doctor --repair --store ${path} sets it aside and rebuilds what can be read`
}

function logFinding(log: LogState): Finding {
  switch (log.kind) {
    case 'none':
      return ok('log', 'empty: everything is in the file')
    case 'unreadable':
      return warn('log', `${formatBytes(log.bytes)} that cannot be read: the last answers may be lost`)
    case 'read': {
      const says = `${formatBytes(log.bytes)}, ${formatPlural(log.frames, 'page', 'pages')} not in the file yet`
      return log.isCut
        ? warn(
            'log',
            `${says}; it ends in the middle of a write, which does not count`,
            'nothing, if a process was killed',
          )
        : ok('log', says)
    }
  }
}

function lookFindings(look: Look, path: string, now: number): readonly Finding[] {
  switch (look.kind) {
    case 'empty':
      return [ok('schema', 'nothing is in it yet')]
    case 'foreign':
      return [
        bad('schema', 'this is not an offpeak store', 'choose another path for the store; this file was left alone'),
      ]
    case 'too-new':
      return [
        bad(
          'schema',
          `version ${look.version}, and this offpeak knows ${look.known}`,
          'upgrade offpeak, or use another store',
        ),
      ]
    case 'locked':
      return [bad('lock', 'another process has kept it locked', 'end that process, or try again')]
    case 'failed':
      return [
        bad(
          'store',
          `cannot be read: ${look.reason}`,
          'check the permissions of the file and its folder, and the disk',
        ),
      ]
    case 'damaged':
      return look.problems.map((problem) => bad('integrity', problem, repairCommand(path)))
    case 'sound':
      return [
        ok('schema', `version ${look.version}`),
        ok('integrity', 'checked, nothing found'),
        ok(
          'jobs',
          `${formatCount(look.jobs.answered)} answered, ${formatCount(look.jobs.failed)} failed, ${formatCount(look.jobs.submitted)} submitted, ${formatCount(look.jobs.queued)} queued, ${formatCount(look.jobs.dropped)} dropped`,
        ),
        ...look.openIntents.map((intent) => intentFinding(intent, now)),
      ]
  }
}

const STANDS: Readonly<Record<OpenIntentSummary['state'], string>> = {
  claimed: 'not sent yet',
  uploaded: 'uploaded, not created yet',
  creating: 'perhaps created',
  created: 'with the provider',
  ended: 'over',
  abandoned: 'over',
}

function intentFinding(intent: OpenIntentSummary, now: number): Finding {
  const { tag, provider, model, jobs, state, batch, createdAt, leaseUntil } = intent
  const name = batch === undefined ? tag : `${tag} (${batch})`
  const says = `${name}: ${provider} ${model}, ${formatPlural(jobs, 'job', 'jobs')}, ${STANDS[state]}, ${formatDuration(now - createdAt)} old`
  if (leaseUntil > now) return ok('batch', `${says}, in the hands of ${holder(intent)}`)
  return warn('batch', `${says}, in nobody's hands`, nextStep(intent))
}

function holder({ pid, leaseUntil }: OpenIntentSummary): string {
  const isHere = pid !== undefined && isAlive(pid)
  return isHere
    ? `process ${pid}`
    : `process ${pid ?? '?'}, which is gone (until ${new Date(leaseUntil).toISOString()})`
}

function nextStep({ state }: OpenIntentSummary): string {
  const again = 'run the program again with the same key'
  return state === 'creating' ? `${again}: it looks for the batch before it sends anything` : `${again}: it carries on`
}
