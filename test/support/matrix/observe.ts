import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { batchify, BatchScope } from '../../../src/index.ts'
import type { Ledger, Simulator, SimulatorOptions } from '../../../src/simulator/index.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { allOf, next, type Scene, sceneWith } from '../clients-scene.ts'
import { comparable, type Connection, errorFacts, statusOf } from '../clients.ts'
import { startTestSimulator } from '../simulator.ts'
import { type Ask, type Calls, type Client, Place, WEATHER, Word } from './client.ts'
import type { Column } from './columns.ts'
import { collectGarbage } from './collect-garbage.ts'
import { describeDifference } from './difference.ts'
import type { Outcome } from './outcome.ts'

/** A client that was built when nobody had loaded the library, and the provider it was built for. */
export interface Early {
  readonly simulator: Simulator
  readonly calls: Calls
}

/** What a cell is looked at with. */
interface Setting {
  readonly client: Client
  readonly library: typeof batchify
  readonly early: Early
}

type Observe = (setting: Setting) => Promise<Outcome>

/** The limit a client is given for a call, well before the first look at its batch. */
const LIMIT_MS = 60
const FIRST_LOOK_MS = 150
/** How long a call has to end once it was aborted or its limit has passed. */
const ENDING_MS = 1000
/** Short enough for no provider to ask for patience between two looks. */
const BATCH_MS = 900
/** No cell needs a second; a client that never settles is found out here. */
const PATIENCE_MS = 20_000

const Text = z.string().min(1)
/** What an answer must have to be one. */
const GIST: Readonly<Partial<Record<Column, z.ZodType>>> = {
  'system + tools': z.object({ name: z.literal(WEATHER), input: Place }),
  'JSON schema': Word,
  embeddings: z.array(z.number()).min(2),
}

const OBSERVE: Readonly<Record<Column, Observe>> = {
  'plain answer': answering('plain answer', ({ plain }) => plain),
  'system + tools': answering('system + tools', ({ tools }) => tools),
  'JSON schema': answering('JSON schema', ({ schema }) => schema),
  embeddings: answering('embeddings', ({ embeddings }) => embeddings),
  image: answering('image', ({ image }) => image),
  'row 400': failing(400, { rows: 1, connection: {} }),
  // A row that met a 429 is sent twice more before its caller hears of it; the client's own retries are another test.
  'row 429': failing(429, { rows: 3, connection: { maxRetries: 0 } }),
  'user abort': aborting,
  'SDK timeout': timing,
  'before import': builtEarly,
  inside: answering(
    'inside',
    ({ plain }) => plain,
    (batch, connect) => batch.run(connect),
  ),
}

/** Makes the call of one cell live and inside a scope, and says how the two compare. */
export async function observe(column: Column, setting: Setting): Promise<Outcome> {
  const ended = new AbortController()
  const impatience = delay(PATIENCE_MS, { wrong: `nothing came of it in ${PATIENCE_MS} ms` }, { signal: ended.signal })
  impatience.catch(() => undefined)
  try {
    return await Promise.race([OBSERVE[column](setting), impatience])
  } catch (error) {
    return { wrong: `it could not be looked at: ${describeError(error)}` }
  } finally {
    ended.abort()
  }
}

const PROMPT = 'Please say hello'

type Select = (calls: Calls) => Ask<unknown> | undefined
type Build = (batch: BatchScope, connect: () => Calls) => Calls | Promise<Calls>

function answering(column: Column, select: Select, build: Build = (_, connect) => connect()): Observe {
  return async ({ client, library }) => {
    await using scene = await openScene(client, library)
    const connect = (): Calls => client.connect(connectionTo(client, scene))
    const ask = select(connect())
    if (!ask) return 'not offered'
    const live = await outcomeOf(() => ask(PROMPT))

    const inScope = await batched(scene, async (batch) => select(await build(batch, connect))?.(PROMPT))

    return compareAnswers(client, column, live, inScope)
  }
}

async function builtEarly({ client, library, early }: Setting): Promise<Outcome> {
  await using scene = sceneWith(library, early.simulator, client.provider, openMemoryStore())
  const live = await outcomeOf(() => early.calls.plain(PROMPT))

  const inScope = await batched(scene, () => early.calls.plain(PROMPT))

  return compareAnswers(client, 'before import', live, inScope)
}

function failing(status: number, { rows, connection }: { rows: number; connection: Partial<Connection> }): Observe {
  return async ({ client, library }) => {
    await using scene = await openScene(client, library)
    const prompt = `${PROMPT} [[simulate:${status}]]`
    const { plain } = client.connect({ ...connectionTo(client, scene), ...connection })
    const live = await outcomeOf(() => plain(prompt))

    const inScope = await batched(scene, () => plain(prompt))

    if (live.kind === 'answered') return { wrong: 'the live call did not fail' }
    if (statusOf(live.error) !== status) return { wrong: `live it failed otherwise: ${describeError(live.error)}` }
    if (inScope.kind === 'answered') return { wrong: 'it did not fail' }
    const { errors, executions } = inScope.ledger
    if (executions.live + executions.batch > 0) return { wrong: 'it was executed' }
    const same = sameError(client, live.error, inScope.error)
    if (errors.live === 2 && errors.batch === 0) return same ?? 'went live'
    if (errors.live !== 1 || errors.batch !== rows) return { wrong: `it was tried ${JSON.stringify(errors)}` }
    return same ?? 'as live'
  }
}

async function aborting({ client, library }: Setting): Promise<Outcome> {
  if (client.takes?.signal === false) return 'not offered'
  await using scene = await openScene(client, library)
  const { plain } = client.connect({ ...connectionTo(client, scene), maxRetries: 0 })
  await using batch = await scene.open({ batchWindowMs: PATIENCE_MS })
  const controller = new AbortController()
  const sent = Promise.race([next(batch, 'request-queued'), next(batch, 'request-passed-through')])
  const asking = outcomeOf(() => batch.run(() => plain(PROMPT, { signal: controller.signal })))
  const first = await Promise.race([sent, asking])
  if ('type' in first && first.type === 'request-passed-through') {
    await asking
    return 'went live'
  }
  if (client.losesAborts) await collectGarbage()
  controller.abort()
  await batch.flush()
  const ended = await asking

  const { executions, calls } = scene.simulator.ledger()
  const live = await abortedLive(client, library)
  if (live?.kind === 'answered') return { wrong: 'live it was answered before it was aborted' }
  if (ended.kind === 'answered') {
    if (executions.batch !== 1) return { wrong: `it was executed ${JSON.stringify(executions)}` }
    return live ? 'outlived its abort' : 'lasted, also live'
  }
  if (calls.create > 0) return { wrong: 'what was aborted in the queue was sent' }
  if (!live) return { wrong: 'its abort ended the call in a scope only' }
  return sameError(client, live.error, ended.error) ?? 'as live'
}

/** What a live call ends with when its user aborts it while the provider still thinks; undefined: it does not end. */
async function abortedLive(client: Client, library: typeof batchify): Promise<Settled | undefined> {
  await using scene = await openScene(client, library, { liveMs: PATIENCE_MS })
  const { plain } = client.connect({ ...connectionTo(client, scene), maxRetries: 0 })
  const controller = new AbortController()
  const asking = outcomeOf(() => plain(PROMPT, { signal: controller.signal }))
  const received = async (): Promise<void> => {
    while (scene.simulator.ledger().calls.live === 0) await delay(1)
  }
  await Promise.race([received(), asking])
  if (client.losesAborts) await collectGarbage()
  controller.abort()
  return await Promise.race([asking, delay(ENDING_MS, undefined)])
}

async function timing({ client, library }: Setting): Promise<Outcome> {
  if (client.takes?.limit === false) return 'not offered'
  const limits = { timeoutMs: LIMIT_MS, maxRetries: 0 }
  await using scene = await openScene(client, library)
  const connection = connectionTo(client, scene)
  const patient = client.connect(connection)
  const limited = client.connect({ ...connection, ...limits })
  const live = await outcomeOf(() => patient.plain(PROMPT))
  const paces = { pollIntervalMs: FIRST_LOOK_MS, maxPollIntervalMs: FIRST_LOOK_MS }
  const startedAt = performance.now()
  const inScope = await batched(scene, () => limited.plain(PROMPT), paces)
  const tookMs = performance.now() - startedAt
  if (inScope.passedThrough) return 'went live'
  if (inScope.kind === 'answered') {
    const compared = compareAnswers(client, 'SDK timeout', live, inScope)
    if (compared !== 'as live') return compared
    if (tookMs < LIMIT_MS) return { wrong: `it was answered after ${tookMs} ms, before its limit` }
  }

  const tooSlow = await timedOutLive(client, library, limits)
  if (tooSlow?.kind === 'answered') return { wrong: 'live it was answered within its limit' }
  if (!tooSlow)
    return inScope.kind === 'answered' ? 'lasted, also live' : { wrong: 'its limit ended it in a scope only' }
  if (inScope.kind === 'answered') return 'as live'
  const different = sameError(client, tooSlow.error, inScope.error)
  if (different) return different
  // What its client gave up is paid for: the next run must find it.
  const again = await batched(scene, () => patient.plain(PROMPT))
  const compared = compareAnswers(client, 'SDK timeout', live, again)
  return compared === 'as live' ? 'ended at its limit' : compared
}

/** What a live call ends with when the provider takes longer than its limit; undefined: it does not end. */
async function timedOutLive(
  client: Client,
  library: typeof batchify,
  limits: Partial<Connection>,
): Promise<Settled | undefined> {
  await using scene = await openScene(client, library, { liveMs: PATIENCE_MS })
  const { plain } = client.connect({ ...connectionTo(client, scene), ...limits })
  return await Promise.race([outcomeOf(() => plain(PROMPT)), delay(LIMIT_MS + ENDING_MS, undefined)])
}

/** What clients do does not depend on where jobs are kept, and files would take longer than all the rest. */
async function openScene(client: Client, library: typeof batchify, simulated?: SimulatorOptions): Promise<Scene> {
  return sceneWith(library, await startProvider(simulated), client.provider, openMemoryStore())
}

export function startProvider(simulated?: SimulatorOptions): Promise<Simulator> {
  return startTestSimulator({ batchMs: BATCH_MS, ...simulated })
}

export function connectionTo({ path = '', provider }: Client, { simulator }: { simulator: Simulator }): Connection {
  return { baseUrl: simulator.baseUrl(provider) + path, apiKey: 'sk-test' }
}

/** How a call ended. */
type Settled =
  | { readonly kind: 'answered'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }

/** And what had been done by then. */
type Batched = Settled & { readonly ledger: Ledger; readonly passedThrough: boolean }

async function outcomeOf(call: () => Promise<unknown>): Promise<Settled> {
  try {
    return { kind: 'answered', value: await call() }
  } catch (error) {
    return { kind: 'failed', error }
  }
}

/** A call in a scope of its own, which stays open until every job of it is settled. */
async function batched(
  scene: Scene,
  call: (batch: BatchScope) => Promise<unknown>,
  paces: Parameters<Scene['open']>[0] = { batchWindowMs: 1, pollIntervalMs: 1, maxPollIntervalMs: 5 },
): Promise<Batched> {
  await using batch = await scene.open(paces)
  const passed = allOf(batch, 'request-passed-through')
  const ended = await outcomeOf(() => batch.run(() => call(batch)))
  await batch.close()
  return { ...ended, ledger: scene.simulator.ledger(), passedThrough: passed.length > 0 }
}

function compareAnswers(client: Client, column: Column, live: Settled, inScope: Batched): Outcome {
  if (live.kind === 'failed') return { wrong: `the live call failed: ${describeError(live.error)}` }
  if (inScope.kind === 'failed') return { wrong: `it failed: ${describeError(inScope.error)}` }
  const parsed = z.object({ gist: GIST[column] ?? Text }).safeParse(live.value)
  if (!parsed.success) return { wrong: `the live answer is none: ${JSON.stringify(live.value)?.slice(0, 300)}` }
  const isReworded = client.reworded?.includes(column) === true
  const [expected, actual] = [live.value, inScope.value].map((value) => plain(value, isReworded))
  if (!isDeepStrictEqual(actual, expected))
    return { wrong: `its answer differs ${describeDifference(expected, actual)}` }
  const { executions } = inScope.ledger
  if (executions.live === 1 && executions.batch === 1) return 'as live'
  if (executions.live === 2 && executions.batch === 0) return 'went live'
  return { wrong: `it was executed ${JSON.stringify(executions)}` }
}

/** undefined: they are. */
function sameError(client: Client, live: unknown, inScope: unknown): { readonly wrong: string } | undefined {
  const [expected, actual] = [live, inScope].map((error) => factsOf(error, client))
  if (isDeepStrictEqual(actual, expected)) return undefined
  return { wrong: `its error differs ${describeDifference(expected, actual)}` }
}

/** What simulated answers quote of their request's body. */
const DIGEST = /\b[0-9a-f]{16}\b/g
/** Ids that clients make up themselves, for answers that have none. */
const MADE_UP = /\b(lc-tool-call-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/g

/** Plain data, less what cannot be the same twice. The tier says which of the two was the batch. */
function plain(value: unknown, isReworded: boolean): unknown {
  return JSON.parse(
    JSON.stringify(comparable(value), (key, part: unknown) => {
      if (key === 'service_tier' || key === 'serviceTier') return undefined
      if (typeof part !== 'string') return part
      const text = part.replaceAll(MADE_UP, 'made up')
      return isReworded ? text.replaceAll(DIGEST, 'digest') : text
    }),
  )
}

/** Every reply has an id of its own, and some clients write all of it into their message. */
const REQUEST_ID = /\breq_\w+/g

function factsOf(error: unknown, { rowErrors = 'whole' }: Client): unknown {
  const facts = errorFacts(error)
  if (rowErrors === 'class and status') return { class: facts['class'], name: facts['name'], status: statusOf(error) }
  return JSON.parse(JSON.stringify(comparable(facts)).replaceAll(REQUEST_ID, 'req_'))
}

function describeError(error: unknown): string {
  return JSON.stringify(errorFacts(error))?.slice(0, 500) ?? String(error)
}
