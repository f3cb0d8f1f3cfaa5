import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startSimulator, type Simulator } from '../../../src/simulator/index.ts'
import type { ProviderAdapter } from '../../../src/core/adapter.ts'
import type { IntentState } from '../../../src/core/batch.ts'
import { tempFolder, tempStore } from '../store.ts'
import { type Children, doneBy, patiently } from './children.ts'
import { converse, type Conversation, type Told } from './conversation.ts'
import type { Moment, Reach } from './fail-points.ts'
import type { Said } from './program.ts'
import { type Question, type RunOptions, startRun } from './run.ts'
import type { Tagging } from './taggings.ts'

/** What happens to a program at a fail point. */
export type Blow = 'killed' | 'frozen' | 'failing'
export const BLOWS: readonly Blow[] = ['killed', 'frozen', 'failing']

export interface Case {
  readonly point: string
  readonly moment: Moment
  readonly nth: number
  readonly blow: Blow
  readonly tagging: Tagging
}

/** What a case came to. */
export interface Verdict {
  /** Whether the program got to the fail point at all. */
  readonly isHit: boolean
  /** Questions that had no answer of their own in the end. */
  readonly lost: number
  /** Executions beyond the first of each question. */
  readonly twice: number
}

/** What a store or a connection that breaks throws. */
class Broken extends Error {
  override name = 'Broken'
}

function ask(model: string, count: number, key = 'sk-first'): readonly Question[] {
  return Array.from({ length: count }, (_, index) => ({ prompt: `${model} ${index + 1}`, model, key }))
}

/** Submitted by a run before, and still with the provider. */
const SUBMITTED = [...ask('gpt-4o-mini', 3), ...ask('gpt-4o-mini', 1, 'sk-second')]
/** A create of theirs was about to leave in a run before, and never did. */
const NEVER_SENT = ask('gpt-5-mini', 2)
/** Written down by a run before, and never submitted. */
const QUEUED = ask('gpt-4.1-mini', 3)
const LEAVING = 'gpt-4.1-nano'
const NEW = [...ask('gpt-4o', 4), ...ask('gpt-4.1', 4), ...ask(LEAVING, 3)]
const QUESTIONS = [...SUBMITTED, ...NEVER_SENT, ...QUEUED, ...NEW]

/** A run that meets everything a run can meet. The second key's question is left to the end: its batch belongs to somebody else. */
const FULL_DAY: Conversation = {
  questions: QUESTIONS.filter(({ key }) => key === 'sk-first'),
  leaving: LEAVING,
  regretted: QUESTIONS.filter(({ key }) => key === 'sk-first').findIndex(({ model }) => model === 'gpt-4o'),
}

/** With what the provider refuses a single question, where the refusals below hit a batch of one. */
const REFUSALS = new Set([400, 413])
/** Enough for whatever a first run left behind; a program that is run again this often should have all its answers. */
const RUNS = 4
/** Long enough for a batch made by mistake to be cancelled while the provider still looks at its input. */
const SLOW_BATCH_MS = 15_000
const BATCH_MS = 250

/** Frozen between its last look at its lease and the create, a program sends it on waking: nothing can stop it there. */
const POINTS_OF_NO_RETURN = new Set(['store.advance.creating after', 'store.isGone after', 'call.create before'])

export function isOfNoReturn({ blow, point, moment }: Case): boolean {
  return blow === 'frozen' && POINTS_OF_NO_RETURN.has(`${point} ${moment}`)
}

/** One provider and one store, on which a first run left something of everything. */
interface Scene extends AsyncDisposable {
  readonly simulator: Simulator
  readonly options: RunOptions
}

async function startScene(tagging: Tagging, batchMs: number): Promise<Scene> {
  const simulator = await startSimulator({ batchMs })
  const folder = tempFolder()
  const options: RunOptions = {
    provider: simulator.baseUrl('openai'),
    path: join(folder.path, 'store.db'),
    tagging,
    settings: { cancelOnAbort: true },
  }
  const unheard = Promise.withResolvers<void>()
  using first = startRun({
    ...options,
    onEvent: (event) => {
      if (event.type === 'provider-unreachable' && event.doing === 'create') unheard.resolve()
    },
  })
  for (const question of SUBMITTED) void first.ask(question)
  await first.manager.flush()
  simulator.fault({ kind: 'reset', operation: 'create', moment: 'before', times: 1 })
  for (const question of NEVER_SENT) void first.ask(question)
  void first.manager.flush()
  await patiently('a create that never leaves', unheard.promise)
  simulator.clearFaults()
  for (const question of QUEUED) void first.ask(question)
  await first.manager.leave()
  // Refused on a line, refused without one, made although nobody hears of it, and too large.
  simulator.fault({ kind: 'reject', line: 2, times: 1 })
  simulator.fault({ kind: 'reject', line: null, times: 1, after: 1 })
  simulator.fault({ kind: 'reset', operation: 'create', moment: 'after', times: 1, after: 2 })
  simulator.fault({ kind: 'status', operation: 'create', status: 413, times: 1, after: 3 })
  return {
    simulator,
    options,
    async [Symbol.asyncDispose]() {
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
}

/** Runs a program until it meets its fail point, sees to its blow, and lets others carry on. */
export async function sweep(one: Case, children: Children, isNaive = false): Promise<Verdict> {
  const { point, moment, nth, blow, tagging } = one
  const isTooLate = isOfNoReturn(one)
  await using scene = await startScene(tagging, isTooLate ? SLOW_BATCH_MS : BATCH_MS)
  if (blow === 'failing') return await fail(one, scene)

  const child = await children.take()
  const signal = blow === 'killed' ? 'SIGKILL' : 'SIGSTOP'
  child.start({ ...scene.options, ...FULL_DAY, isNaive, trap: { point, moment, nth, signal } })
  const end = await Promise.race<Said | 'ended'>([child.heard('trapped'), child.heard('done')])
  const isHit = end !== 'ended' && end.type === 'trapped'
  if (isHit && blow === 'killed') {
    await child.kill()
    return { isHit, ...(await carryOn(scene)) }
  }
  if (isHit) await takeOver(scene, () => child.process.kill('SIGCONT'), isTooLate)
  const told = await doneBy(child)
  children.give(child)
  const { lost, twice } = await carryOn(scene)
  return { isHit, lost: lost + unanswered(told), twice }
}

/** Callers of a program that lived on who were told neither their answer nor what the provider has against it. Those who left are none. */
function unanswered({ statuses, right }: Told): number {
  return statuses.filter((status, index) => status !== null && !right[index] && !REFUSALS.has(status)).length
}

/** Another program carries on what a frozen one began; that wakes up when everything is done, or once its batch was made again. */
async function takeOver({ options }: Scene, wake: () => void, isWokenEarly: boolean): Promise<void> {
  const neverCreated = new Set<string>()
  const onEvent: RunOptions['onEvent'] = (event) => {
    if (event.type === 'batch-recovered' && event.how === 'never-created') neverCreated.add(event.intent)
    if (event.type === 'batch-submitted' && neverCreated.has(event.intent) && isWokenEarly) wake()
  }
  await patiently('a run that takes over', converse({ ...options, onEvent }, { questions: FULL_DAY.questions }))
  wake()
}

async function fail({ point, moment, nth }: Case, scene: Scene): Promise<Verdict> {
  let times = 0
  const reach: Reach = (here, now) => {
    if (here === point && now === moment && (times += 1) === nth) throw new Broken(`${point} ${moment}`)
  }
  try {
    await patiently(`a run with a failing ${point}`, converse({ ...scene.options, reach }, FULL_DAY))
  } catch (error) {
    // A program whose store cannot even be opened ends there.
    if (!(error instanceof Broken)) throw error
  }
  return { isHit: times >= nth, ...(await carryOn(scene)) }
}

/** Runs the program again until everybody has an answer, and says what was lost and what was paid twice. */
async function carryOn({ options, simulator }: Scene): Promise<{ lost: number; twice: number }> {
  let told: Told | undefined
  for (let runs = 0; runs < RUNS && !(told?.right.every(Boolean) ?? false); runs += 1) {
    told = await patiently('a run that carries on', converse(options, { questions: QUESTIONS }))
  }
  const lost = told?.right.filter((isRight) => !isRight).length ?? QUESTIONS.length
  return { lost, twice: await executedTwice(simulator) }
}

/** What was executed more than once when nothing is under way any more: a batch nobody knows of would still run. */
export async function executedTwice(simulator: Simulator): Promise<number> {
  for (;;) {
    const { batches, executions } = simulator.ledger()
    const { created, completed, failed, expired, cancelled } = batches
    if (completed + failed + expired + cancelled === created) return executions.repeated
    await delay(10)
  }
}

/** Which points a run that nothing happens to gets to. */
export async function pointsReached(tagging: Tagging): Promise<ReadonlySet<string>> {
  await using scene = await startScene(tagging, BATCH_MS)
  const reached = new Set<string>()
  await converse({ ...scene.options, reach: (point) => void reached.add(point) }, FULL_DAY)
  const { lost, twice } = await carryOn(scene)
  if (lost + twice > 0) throw new Error(`lost ${lost} and paid ${twice} twice although nothing went wrong`)
  return reached
}

/** What an adapter does without a call, and the call that only `offpeak doctor` makes. */
const NO_CALLS = new Set(['match', 'admit', 'weigh', 'line', 'refusal', 'envelope', 'usage', 'stub', 'list'])
/** Looked up without a change, or reached under a limit of cost alone, whose own proof (`budget.test.ts`) kills everywhere. */
const NO_POINTS = new Set([
  'peek',
  'durations',
  'learned',
  'keepLearned',
  'spending',
  'targetsOf',
  'budgetOf',
  'reserve',
])
/** States an intent is taken to. Back to `claimed` goes only an intent of a rebuilt store, or one whose upload is days old: no program meets that in seconds. */
const STATES: Readonly<Record<Exclude<IntentState, 'claimed'>, true>> = {
  uploaded: true,
  creating: true,
  created: true,
  ended: true,
  abandoned: true,
}

/** The fail points that the code itself has: every method of a store, and every call an adapter makes. */
export function pointsOfCode(adapter: ProviderAdapter): readonly string[] {
  using temporary = tempStore()
  const methods = Object.entries(temporary.store).flatMap(([name, value]) =>
    typeof value === 'function' && !NO_POINTS.has(name) ? [name] : [],
  )
  const advances = Object.keys(STATES).map((state) => `advance.${state}`)
  const calls = Object.entries(adapter).flatMap(([name, value]) =>
    typeof value === 'function' && !NO_CALLS.has(name) ? [name] : [],
  )
  return [
    ...[...methods, ...advances].map((name) => `store.${name}`),
    ...calls.map((name) => `call.${name}`),
  ].toSorted()
}
