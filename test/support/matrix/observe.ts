import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { batchify, BatchScope } from '../../../src/index.ts'
import type { Ledger, Simulator } from '../../../src/simulator/index.ts'
import { next, type Scene, sceneWith } from '../clients-scene.ts'
import { comparable, type Connection, errorFacts, statusOf } from '../clients.ts'
import { startTestSimulator } from '../simulator.ts'
import { type Ask, type Calls, type Client, Place, WEATHER, Word } from './client.ts'
import type { Column } from './columns.ts'
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
/** As good as never: what is slow is always ended by the client. */
const SLOW_MS = 60_000
/** No cell needs a second; a client that never settles is found out here. */
const PATIENCE_MS = 20_000

const Text = z.string().min(1)
const Vector = z.array(z.number()).min(2)
const Called = z.object({ name: z.literal(WEATHER), input: Place })

const OBSERVE: Readonly<Record<Column, Observe>> = {
  'plain answer': answering(({ plain }) => plain, Text),
  'system + tools': answering(({ tools }) => tools, Called),
  'JSON schema': answering(({ schema }) => schema, Word),
  embeddings: answering(({ embeddings }) => embeddings, Vector),
  image: answering(({ image }) => image, Text),
  'row 400': failing(400, { rows: 1, connection: {} }),
  // A row that met a 429 is sent twice more before its caller hears of it; the client's own retries are another test.
  'row 429': failing(429, { rows: 3, connection: { maxRetries: 0 } }),
  'user abort': aborting,
  'SDK timeout': timing,
  'before import': builtEarly,
  inside: answering(
    ({ plain }) => plain,
    Text,
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

function answering(select: Select, gist: z.ZodType, build: Build = (_, connect) => connect()): Observe {
  return async ({ client, library }) => {
    await using scene = await openScene(client, library)
    const connect = (): Calls => client.connect(connectionTo(client, scene))
    const ask = select(connect())
    if (!ask) return 'not offered'
    const live = await outcomeOf(() => ask(PROMPT))

    const inScope = await batched(scene, async (batch) => select(await build(batch, connect))?.(PROMPT))

    return compareAnswers(live, inScope, gist)
  }
}

async function builtEarly({ client, library, early }: Setting): Promise<Outcome> {
  await using scene = sceneWith(library, early.simulator, client.provider)
  const live = await outcomeOf(() => early.calls.plain(PROMPT))

  const inScope = await batched(scene, () => early.calls.plain(PROMPT))

  return compareAnswers(live, inScope, Text)
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
    const same = sameError(live.error, inScope.error)
    if (errors.live === 2 && errors.batch === 0) return same ?? 'went live'
    if (errors.live !== 1 || errors.batch !== rows) return { wrong: `it was tried ${JSON.stringify(errors)}` }
    return same ?? 'as live'
  }
}

async function aborting({ client, library }: Setting): Promise<Outcome> {
  if (client.takes?.signal === false) return 'not offered'
  await using scene = await openScene(client, library)
  const { simulator } = scene
  const { plain } = client.connect(connectionTo(client, scene))
  const live = await abortedLive(simulator, plain)
  if (live.kind === 'answered') return { wrong: 'its signal does not end a live call' }

  await using batch = await scene.open({ batchWindowMs: SLOW_MS })
  const controller = new AbortController()
  const sent = Promise.race([next(batch, 'request-queued'), next(batch, 'request-passed-through')])
  const asking = outcomeOf(() => batch.run(() => plain(PROMPT, { signal: controller.signal })))
  const first = await Promise.race([sent, asking])
  if ('type' in first && first.type === 'request-passed-through') return 'went live'
  controller.abort()
  await batch.flush()
  const ended = await asking

  const { batch: executed } = simulator.ledger().executions
  if (ended.kind === 'answered') return executed === 1 ? 'outlived its abort' : { wrong: `executed ${executed} times` }
  if (simulator.ledger().calls.create > 0) return { wrong: 'what was aborted in the queue was sent' }
  return sameError(live.error, ended.error) ?? 'as live'
}

/** The provider holds its answer back until the user has gone. */
async function abortedLive(simulator: Simulator, plain: Ask<unknown>): Promise<Settled> {
  simulator.fault({ kind: 'slow', operation: 'live', ms: SLOW_MS })
  const controller = new AbortController()
  const asking = outcomeOf(() => plain(PROMPT, { signal: controller.signal }))
  const received = async (): Promise<void> => {
    while (simulator.ledger().calls.live === 0) await delay(1)
  }
  await Promise.race([received(), asking])
  controller.abort()
  const ended = await asking
  simulator.clearFaults()
  return ended
}

async function timing({ client, library }: Setting): Promise<Outcome> {
  if (client.takes?.limit === false) return 'not offered'
  await using scene = await openScene(client, library)
  const { simulator } = scene
  const connection = connectionTo(client, scene)
  const patient = client.connect(connection)
  const limited = client.connect({ ...connection, timeoutMs: LIMIT_MS, maxRetries: 0 })
  const live = await outcomeOf(() => patient.plain(PROMPT))
  simulator.fault({ kind: 'slow', operation: 'live', ms: SLOW_MS })
  const tooSlow = await outcomeOf(() => limited.plain(PROMPT))
  simulator.clearFaults()
  if (tooSlow.kind === 'answered') return { wrong: 'its limit does not end a live call' }

  const paces = { pollIntervalMs: FIRST_LOOK_MS, maxPollIntervalMs: FIRST_LOOK_MS }
  const startedAt = performance.now()
  const inScope = await batched(scene, () => limited.plain(PROMPT), paces)
  const tookMs = performance.now() - startedAt
  if (inScope.kind === 'answered') {
    if (tookMs < LIMIT_MS) return { wrong: `it was answered after ${tookMs} ms, before its limit` }
    return compareAnswers(live, inScope, Text)
  }

  const different = sameError(tooSlow.error, inScope.error)
  if (different) return different
  // What its client gave up is paid for: the next run must find it.
  const again = await batched(scene, () => patient.plain(PROMPT))
  const compared = compareAnswers(live, again, Text)
  return compared === 'as live' ? 'ended at its limit' : compared
}

async function openScene(client: Client, library: typeof batchify): Promise<Scene> {
  return sceneWith(library, await startTestSimulator(), client.provider)
}

export function connectionTo({ path = '', provider }: Client, { simulator }: { simulator: Simulator }): Connection {
  return { baseUrl: simulator.baseUrl(provider) + path, apiKey: 'sk-test' }
}

/** How a call ended. */
type Settled =
  | { readonly kind: 'answered'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }

/** And what its provider had done by then. */
type Batched = Settled & { readonly ledger: Ledger }

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
  const ended = await outcomeOf(() => batch.run(() => call(batch)))
  await batch.close()
  return { ...ended, ledger: scene.simulator.ledger() }
}

function compareAnswers(live: Settled, inScope: Batched, gist: z.ZodType): Outcome {
  if (live.kind === 'failed') return { wrong: `the live call failed: ${describeError(live.error)}` }
  if (inScope.kind === 'failed') return { wrong: `it failed: ${describeError(inScope.error)}` }
  const parsed = z.object({ gist }).safeParse(live.value)
  if (!parsed.success) return { wrong: `the live answer is none: ${JSON.stringify(live.value)?.slice(0, 300)}` }
  const [expected, actual] = [comparable(live.value), comparable(inScope.value)]
  if (!isDeepStrictEqual(actual, expected))
    return { wrong: `its answer differs ${describeDifference(expected, actual)}` }
  const { executions } = inScope.ledger
  if (executions.live === 1 && executions.batch === 1) return 'as live'
  if (executions.live === 2 && executions.batch === 0) return 'went live'
  return { wrong: `it was executed ${JSON.stringify(executions)}` }
}

/** undefined: they are. */
function sameError(live: unknown, inScope: unknown): { readonly wrong: string } | undefined {
  const [expected, actual] = [factsOf(live), factsOf(inScope)]
  if (isDeepStrictEqual(actual, expected)) return undefined
  return { wrong: `its error differs ${describeDifference(expected, actual)}` }
}

/** Every reply has an id of its own, and some clients write all of it into their message. */
function factsOf(error: unknown): unknown {
  return comparable(
    Object.fromEntries(
      Object.entries(errorFacts(error)).map(([key, fact]) => {
        const text = JSON.stringify(fact)
        return [key, text?.replaceAll(/\breq_\w+/g, 'req_')]
      }),
    ),
  )
}

function describeError(error: unknown): string {
  return JSON.stringify(errorFacts(error))?.slice(0, 500) ?? String(error)
}
