import { dirname, resolve } from 'node:path'
import { defaultStorePath } from '../../config.ts'
import { spoolLeftovers } from '../../manager/spool.ts'
import { formatPlural } from '../../progress/format.ts'
import { adapters } from '../../providers/registry.ts'
import { inspectStore } from '../../store/inspect.ts'
import { surveyPlace } from '../../store/survey.ts'
import { parseArguments, usageError } from '../args.ts'
import type { Command } from '../command.ts'
import { bad, type Finding, findingLines, ok, warn } from '../doctor/finding.ts'
import { insideFindings } from '../doctor/inside.ts'
import { placeFindings } from '../doctor/place.ts'
import { clockFindings, keyedProviders, keyFindings } from '../doctor/provider.ts'
import { repair, repairFindings, upstreamFindings } from '../doctor/repair.ts'
import { version } from '../version.ts'

const FLAGS = {
  store: { kind: 'text' },
  repair: { kind: 'switch' },
  json: { kind: 'switch' },
  wait: { kind: 'duration' },
} as const

const WAIT_MS = 5000

const help = `Usage: offpeak doctor [options]

Looks at everything offpeak rests on, and changes nothing: Node, the store and its place, what is unfinished in it, keys and clock.
Each line is ok, warn or bad; the exit code is 1 when anything is bad.

With --repair, a store that is damaged is set aside, never overwritten, and a new one is built from everything that can still be read.
Providers whose key is in the environment are asked which batches of ours they hold that the new store does not know.

Options:
      --store <path>     The store (default: this user's, or the one in OFFPEAK_HOME)
      --repair           Rebuild the store if it is damaged
      --json             Print one line of JSON
      --wait <duration>  How long to wait for other processes that lock the store: 2s, 10m (default 5s)

Examples:
  offpeak doctor
  offpeak doctor --store ./runs/store.db --json
  OPENAI_API_KEY=… offpeak doctor --repair
`

/** `offpeak doctor`: what is wrong, and how to put it right. */
export const doctor: Command = {
  name: 'doctor',
  summary: 'Check the store and its surroundings; rebuild a damaged store',
  help,
  async run(args, { print, interrupted }) {
    const { flags, words } = parseArguments(args, FLAGS)
    if (words.length > 0) throw usageError(`offpeak doctor takes no arguments, and was given "${words[0]}"`)
    const path = resolve(flags.store ?? defaultStorePath(process.env))
    const now = Date.now()

    const survey = surveyPlace(path)
    const place = placeFindings(survey, path)
    // Where it must not be, or is not ours, it is not opened: that alone would leave files behind.
    const isOpenable = place.every(({ status }) => status !== 'bad')
    const inspection = isOpenable ? inspectStore(path, now, flags.wait ?? WAIT_MS) : undefined
    const inside = inspection
      ? insideFindings(inspection, path, now)
      : [warn('store', `${path} was not opened, because of the above`)]
    const isDamaged = inspection?.kind === 'seen' && inspection.look.kind === 'damaged'
    const rest = flags.repair
      ? await repairing(path, isDamaged, inside, now, interrupted)
      : [...inside, ...(await spoolFindings(path, survey.folder?.mode)), ...(await providerFindings(interrupted))]

    const findings = [...programFindings(), ...place, ...rest]
    if (flags.json) print(`${JSON.stringify({ path, findings })}\n`)
    else print(`${findingLines(findings).join('\n')}\n`)
    return findings.some(({ status }) => status === 'bad') ? 1 : 0
  },
}

async function repairing(
  path: string,
  isDamaged: boolean,
  inside: readonly Finding[],
  now: number,
  interrupted: AbortSignal,
): Promise<readonly Finding[]> {
  if (!isDamaged) {
    const isSound = inside.every(({ status }) => status === 'ok' || status === 'warn')
    return isSound ? [...inside, ok('repair', 'nothing was found that a repair could put right')] : inside
  }
  const found = inside.filter(({ status }) => status === 'bad').map(({ what, says }) => warn(what, says))
  const repaired = repair(path, now)
  const keyed = keyedProviders(adapters, process.env)
  return [...found, ...repairFindings(repaired), ...(await upstreamFindings(keyed, repaired.tags, now, interrupted))]
}

async function providerFindings(interrupted: AbortSignal): Promise<readonly Finding[]> {
  const keyed = keyedProviders(adapters, process.env)
  const clocks = await Promise.all(keyed.map((each) => clockFindings(each, interrupted)))
  return [...keyFindings(adapters, process.env), ...clocks.flat()]
}

function programFindings(): readonly Finding[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isOld = major < 22 || (major === 22 && minor < 19)
  const node = `Node ${process.versions.node} (22.19 or newer is needed)`
  return [ok('offpeak', version()), isOld ? bad('node', node, 'install a newer Node') : ok('node', node)]
}

async function spoolFindings(path: string, folderMode: number | undefined): Promise<readonly Finding[]> {
  const isPrivate = folderMode !== undefined && (process.platform === 'win32' || (folderMode & 0o077) === 0)
  const folder = isPrivate ? dirname(path) : undefined
  const left = await spoolLeftovers({ folder })
  if (left.length === 0) return [ok('spool', 'nothing is left of uploads that broke off')]
  const says = `${formatPlural(left.length, 'folder', 'folders')} of uploads that broke off, with prompts in them: ${left.join(', ')}`
  return [warn('spool', says, 'the next upload removes them')]
}
