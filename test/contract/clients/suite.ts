import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { batchify, BatchScope } from '../../../src/index.ts'
import { allOf, next, openScene, rejection } from '../../support/clients-scene.ts'
import { comparable, type Connection, errorFacts, statusOf, type Way } from '../../support/clients.ts'

/** When, and with what, a program builds its client. */
export type Built = 'before the scope' | 'with batch.fetch'

/** What a client is told to be drop-in for. */
interface Setting {
  readonly batchify: typeof batchify
  readonly built: Built
}

const LIMIT_MS = 200
/** Long enough for a client that gave up at its limit to have tried again. */
const BATCH_MS = 1000

/** What every client we claim to be drop-in for promises of the answers to each of its calls. */
export function describeAnswers(way: Way, setting: Setting): void {
  const { batchify, built } = setting

  describe.concurrent(`${way.name}, client built ${built}`, () => {
    it('gives each of 30 concurrent callers the answer a live call gives, in as many executions', async () => {
      await using scene = await openScene(batchify)
      const { simulator, connection } = scene
      const prompts = Array.from({ length: 30 }, (_, index) => `question ${index}`)
      const live = await Promise.all(prompts.map((prompt) => way.connect(connection)(prompt)))
      const paid = simulator.ledger().executions.live

      await using batch = await scene.open()
      const ask = await inside(setting, batch, connection, way.connect)
      const batched = await Promise.all(prompts.map((prompt) => ask(prompt)))

      expect(batched.map(comparable)).toEqual(live.map(comparable))
      expect(new Set(batched.map((answer) => JSON.stringify(comparable(answer)))).size).toBe(30)
      expect(simulator.ledger().executions).toEqual({ live: paid, batch: paid, distinct: paid, repeated: paid })
      expect(simulator.ledger().batches.created).toBeLessThan(paid)
    })

    it('answers three equal calls three times, and pays for none of them when the program runs again', async () => {
      await using scene = await openScene(batchify)
      const { simulator, connection } = scene
      const run = async (): Promise<readonly unknown[]> => {
        await using batch = await scene.open()
        const ask = await inside(setting, batch, connection, way.connect)
        return (await Promise.all([ask('again'), ask('again'), ask('again')])).map(comparable)
      }

      const first = await run()
      const { executions, batches } = simulator.ledger()
      const second = await run()

      expect(second).toEqual(first)
      expect(executions.batch).toBe(3 * executions.distinct)
      expect(simulator.ledger()).toMatchObject({ executions, batches })
    })

    it("fails with the client's own error when its row failed", async () => {
      await using scene = await openScene(batchify)
      const { simulator, connection } = scene
      const prompt = 'wrong [[simulate:400]]'
      const live = await rejection(way.connect(connection)(prompt))

      await using batch = await scene.open()
      const ask = await inside(setting, batch, connection, way.connect)
      const [batched, fine] = await Promise.all([rejection(ask(prompt)), ask('right')])

      expect(errorFacts(batched)).toEqual(errorFacts(live))
      expect(statusOf(batched)).toBe(400)
      expect(fine).toBeDefined()
      expect(simulator.ledger()).toMatchObject({ errors: { live: 1, batch: 1 }, executions: { live: 0, repeated: 0 } })
    })

    const { connectMany, connectStream } = way

    if (connectMany) {
      it('answers a call for many prompts as it does live', async () => {
        await using scene = await openScene(batchify)
        const { simulator, connection } = scene
        const prompts = Array.from({ length: 7 }, (_, index) => `one of many, ${index}`)
        const live = await connectMany(connection)(prompts)
        const paid = simulator.ledger().executions.live

        await using batch = await scene.open()
        const askAll = await inside(setting, batch, connection, connectMany)
        const batched = await askAll(prompts)

        expect(comparable(batched)).toEqual(comparable(live))
        expect(simulator.ledger().executions).toMatchObject({ live: paid, batch: paid })
      })
    }

    if (connectStream) {
      it('streams live, and says so', async () => {
        await using scene = await openScene(batchify)
        const { simulator, connection } = scene
        const live = await connectStream(connection)('flow')
        await using batch = await scene.open()
        const passed = allOf(batch, 'request-passed-through')
        const stream = await inside(setting, batch, connection, connectStream)

        const streamed = await stream('flow')

        expect(streamed).toContain('flow')
        expect(comparableStream(String(streamed))).toBe(comparableStream(live))
        expect(passed.map(({ reason }) => reason)).toEqual(['streaming'])
        expect(simulator.ledger()).toMatchObject({ executions: { live: 2, batch: 0 }, calls: { upload: 0, create: 0 } })
      })
    }
  })
}

/** What every client promises of how a call ends other than by an answer: its own retries, aborts and limits. */
export function describeEndings(way: Way, setting: Setting): void {
  const { batchify, built } = setting
  const { abortable, limitable } = way

  describe.concurrent(`${way.name}, client built ${built}`, () => {
    it('runs a row that met 429 or 500 twice more, and no more often when the client retries', async () => {
      await using scene = await openScene(batchify)
      const { simulator, connection } = scene
      await using batch = await scene.open()
      const ask = await inside(setting, batch, { ...connection, maxRetries: 1 }, way.connect)

      const errors = await Promise.all([
        rejection(ask('limited [[simulate:429]]')),
        rejection(ask('broken [[simulate:500]]')),
      ])

      expect(errors.map(statusOf)).toEqual([429, 500])
      expect(simulator.ledger().errors).toEqual({ live: 0, batch: 6 })
    })

    if (abortable) {
      it('rejects at once when its user aborts, and never sends what was still queued', async () => {
        const live = await abortedLive(way, batchify)
        await using scene = await openScene(batchify)
        await using batch = await scene.open({ batchWindowMs: 60_000 })
        const ask = await inside(setting, batch, scene.connection, way.connect)
        const controller = new AbortController()
        const queued = next(batch, 'request-queued')

        const rejecting = rejection(ask('never mind', { signal: controller.signal }))
        const answering = ask('still wanted')
        await queued
        controller.abort()
        void batch.flush()
        batch.on('request-queued', () => void batch.flush())
        const error = await rejecting
        await answering

        expect(errorFacts(error)).toEqual(errorFacts(live))
        const { requests, executions } = scene.simulator.ledger()
        expect(executions).toMatchObject({ live: 0, repeated: 0 })
        expect(requests.filter(({ prompt }) => !prompt.startsWith('still wanted'))).toEqual([])
      })

      it('leaves what was submitted when its user aborts to the next run, which finds it answered', async () => {
        await using scene = await openScene(batchify)
        const { simulator, connection } = scene
        const live = await liveAnswer(way, connection, 'later')
        await using first = await scene.open()
        const controller = new AbortController()
        const submitted = next(first, 'batch-submitted')

        const ask = await inside(setting, first, connection, way.connect)
        const rejecting = rejection(ask('later', { signal: controller.signal }))
        await submitted
        controller.abort()
        await rejecting
        await first.close()
        await using second = await scene.open()
        const answer = await (await inside(setting, second, connection, way.connect))('later')

        expect(comparable(answer)).toEqual(live)
        const { live: paid, batch } = simulator.ledger().executions
        expect(batch).toBe(paid)
      })
    }

    if (limitable) {
      it('answers although its own limit on the time of a call passes, with one execution', async () => {
        await using scene = await openScene(batchify, { autoAdvance: false })
        const { simulator, connection } = scene
        const live = await liveAnswer(way, connection, 'slow')
        await using batch = await scene.open()
        batch.on('batch-submitted', () => void delay(BATCH_MS).then(() => simulator.advance(60_000)))
        const queued = allOf(batch, 'request-queued')
        const again = [allOf(batch, 'request-joined'), allOf(batch, 'request-cached')]
        const ask = await inside(setting, batch, { ...connection, timeoutMs: LIMIT_MS }, way.connect)

        const answer = await ask('slow')

        expect(comparable(answer)).toEqual(live)
        expect(simulator.ledger().executions.batch).toBe(queued.length)
        expect(again).toEqual([[], []])
      })

      it('ends by its own limit where timeouts are honoured, and the next run finds the answer', async () => {
        const limits = { timeoutMs: LIMIT_MS, maxRetries: 0 }
        const live = await timedOutLive(way, batchify, limits)
        await using scene = await openScene(batchify)
        const { simulator, connection } = scene
        await using batch = await scene.open({ timeouts: 'honor', pollIntervalMs: 60_000, maxPollIntervalMs: 60_000 })
        const ask = await inside(setting, batch, { ...connection, ...limits }, way.connect)

        const error = await rejection(ask('slow'))
        await batch.close()
        await using later = await scene.open()
        const answer = await (await inside(setting, later, connection, way.connect))('slow')

        expect(errorFacts(error)).toEqual(errorFacts(live))
        expect(answer).toBeDefined()
        expect(simulator.ledger().executions.repeated).toBe(0)
      })
    }
  })
}

/** The client's call inside a scope. `connect` makes whichever of its calls is under test. */
async function inside<Call extends (...args: never[]) => Promise<unknown>>(
  { built }: Setting,
  batch: BatchScope,
  connection: Connection,
  connect: (connection: Connection) => Call,
): Promise<(...args: Parameters<Call>) => Promise<unknown>> {
  switch (built) {
    case 'before the scope': {
      const call = connect(connection)
      return (...args) => batch.run(() => call(...args))
    }
    case 'with batch.fetch':
      return connect({ ...connection, fetch: batch.fetch })
  }
}

async function liveAnswer(way: Way, connection: Connection, prompt: string): Promise<unknown> {
  return comparable(await way.connect(connection)(prompt))
}

/** What this client rejects with when its user aborts a live call. */
async function abortedLive(way: Way, library: typeof batchify): Promise<unknown> {
  await using scene = await openScene(library, { liveMs: 60_000 })
  const controller = new AbortController()
  const rejecting = rejection(way.connect(scene.connection)('never mind', { signal: controller.signal }))
  while (scene.simulator.ledger().calls.live === 0) await turn()
  controller.abort()
  return await rejecting
}

/** What this client rejects with when a live call takes too long. */
async function timedOutLive(way: Way, library: typeof batchify, limits: Partial<Connection>): Promise<unknown> {
  await using scene = await openScene(library, { liveMs: 60_000 })
  return await rejection(way.connect({ ...scene.connection, ...limits })('slow'))
}

/** Raw events carry the time they were made. */
function comparableStream(text: string): string {
  return text.replaceAll(/"(created|created_at|completed_at)":\d+/g, '"$1":0')
}
