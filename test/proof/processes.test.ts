/** Several processes on one store: they write at once, share what they ask, take over from each other, and cost nothing while they wait. */
import Sqlite from 'better-sqlite3'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startSimulator, type Simulator } from '../../src/simulator/index.ts'
import { isAnswerTo, SETTINGS, startWorld } from '../support/engine.ts'
import { type Child, type Children, doneBy, startChildren } from '../support/proof-processes/children.ts'
import { converse } from '../support/proof-processes/conversation.ts'
import type { Trap } from '../support/proof-processes/program.ts'
import type { Question, RunOptions } from '../support/proof-processes/run.ts'
import { executedTwice } from '../support/proof-processes/sweep.ts'
import { tempFolder } from '../support/store.ts'

const QUESTIONS: readonly Question[] = Array.from({ length: 10 }, (_, index) => ({
  prompt: `question ${index + 1}`,
  model: 'gpt-4o-mini',
  key: 'sk-test',
}))
const ALL_RIGHT = QUESTIONS.map(() => true)

let children: Children
beforeAll(() => void (children = startChildren()))
afterAll(() => children[Symbol.asyncDispose]())

interface Scene extends AsyncDisposable {
  readonly simulator: Simulator
  readonly options: RunOptions
}

async function startScene(batchMs: number): Promise<Scene> {
  const simulator = await startSimulator({ batchMs })
  const folder = tempFolder()
  return {
    simulator,
    options: { provider: simulator.baseUrl('openai'), path: join(folder.path, 'store.db'), tagging: 'metadata' },
    async [Symbol.asyncDispose]() {
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
}

describe('four processes that write to one store', { timeout: 60_000 }, () => {
  const PROCESSES = 4
  const TURNS = 100
  const PER_TURN = 10
  const TOTAL = PROCESSES * TURNS * PER_TURN
  let writers: readonly Child[]
  beforeEach(async () => {
    writers = await Promise.all(Array.from({ length: PROCESSES }, () => children.take()))
  })

  test('have all they wrote in it, every request once', async () => {
    await using scene = await startScene(20)
    const { provider, path } = scene.options
    const startedAt = performance.now()

    for (const [index, child] of writers.entries()) {
      child.start({ provider, path, enqueue: { name: `writer ${index}`, turns: TURNS, perTurn: PER_TURN } })
    }
    await Promise.all(writers.map(doneBy))
    const seconds = (performance.now() - startedAt) / 1000
    for (const child of writers) children.give(child)

    const database = new Sqlite(path, { readonly: true })
    const [jobs, different, bodies] = database
      .prepare('SELECT count(*), count(DISTINCT fingerprint), count(DISTINCT body) FROM jobs JOIN bodies ON job = id')
      .raw()
      .get() as readonly number[] // one row of counts
    database.close()
    console.info(`${Math.round(TOTAL / seconds)} enqueues a second, by ${PROCESSES} processes, ${PER_TURN} in a turn`)
    expect([jobs, different, bodies]).toEqual([TOTAL, TOTAL, TOTAL])
  })
})

describe('two processes that ask the same', { timeout: 60_000 }, () => {
  test('share its jobs: one batch, and both are answered', async () => {
    await using scene = await startScene(100)
    const both = await Promise.all([children.take(), children.take()])

    for (const child of both) child.start({ ...scene.options, questions: QUESTIONS })
    const told = await Promise.all(both.map(doneBy))
    for (const child of both) children.give(child)

    expect(told.map(({ right }) => right)).toEqual([ALL_RIGHT, ALL_RIGHT])
    expect(scene.simulator.ledger().executions).toMatchObject({ batch: QUESTIONS.length, repeated: 0 })
    expect(scene.simulator.ledger().batches.created).toBe(1)
  })

  test('cost nothing while one waits for the other', async () => {
    await using scene = await startScene(2000)
    const child = await children.take()
    const submitted = Promise.withResolvers<void>()
    const owner = converse(
      {
        ...scene.options,
        onEvent: ({ type }) => {
          if (type === 'batch-submitted') submitted.resolve()
        },
      },
      { questions: QUESTIONS },
    )
    await submitted.promise

    child.start({ ...scene.options, questions: QUESTIONS })
    const { right, cpuMs, wallMs, transactions } = await doneBy(child)
    children.give(child)
    await owner

    console.info(
      `waited ${Math.round(wallMs)} ms for ${Math.round(cpuMs)} ms of CPU and ${transactions} looks at the store`,
    )
    expect(right).toEqual(ALL_RIGHT)
    expect(scene.simulator.ledger().calls.create).toBe(1)
    // A loop without pause looks thousands of times, and uses all the CPU it is given.
    expect(transactions).toBeLessThan(50 + wallMs / 20)
    expect(cpuMs).toBeLessThan(wallMs / 2)
  })
})

describe('an owner that is frozen', { timeout: 60_000 }, () => {
  /** Freezes a process at a point, lets another do its work, and wakes it. */
  async function wakeUp(scene: Scene, trap: Pick<Trap, 'point' | 'moment'>, wakeOn: 'batch-submitted' | 'the end') {
    const frozen = await children.take()
    const { simulator, options } = scene
    frozen.start({ ...options, questions: QUESTIONS, trap: { ...trap, nth: 1, signal: 'SIGSTOP' } })
    expect(await frozen.heard('trapped')).toEqual({ type: 'trapped' })
    const wake = (): void => void frozen.process.kill('SIGCONT')
    const other = await converse(
      {
        ...options,
        onEvent: ({ type }) => {
          if (type === wakeOn) wake()
        },
      },
      { questions: QUESTIONS },
    )
    wake()
    const told = await doneBy(frozen)
    children.give(frozen)
    const twice = await executedTwice(simulator)
    const { calls, batches } = simulator.ledger()
    return { other: other.right, told: told.right, creates: calls.create, cancelled: batches.cancelled, twice }
  }

  test('cannot submit what another has taken when it wakes up', async () => {
    await using scene = await startScene(300)

    const outcome = await wakeUp(scene, { point: 'call.upload', moment: 'after' }, 'the end')

    expect(outcome).toEqual({ other: ALL_RIGHT, told: ALL_RIGHT, creates: 1, cancelled: 0, twice: 0 })
  })

  test('in the very moment its create leaves cancels what it made on waking, before any of it has run', async () => {
    // While the provider still looks at its input, for a tenth of this, a batch costs nothing.
    await using scene = await startScene(5000)

    const outcome = await wakeUp(scene, { point: 'call.create', moment: 'before' }, 'batch-submitted')

    expect(outcome).toEqual({ other: ALL_RIGHT, told: ALL_RIGHT, creates: 2, cancelled: 1, twice: 0 })
  })

  test('while its write-ahead is written sends nothing on waking', async () => {
    await using scene = await startScene(300)

    const outcome = await wakeUp(scene, { point: 'store.advance.creating', moment: 'after' }, 'batch-submitted')

    expect(outcome).toEqual({ other: ALL_RIGHT, told: ALL_RIGHT, creates: 1, cancelled: 0, twice: 0 })
  })

  test('whose jobs another took over and had no use for submits them when it wakes up', async () => {
    await using world = await startWorld({ faults: [{ kind: 'status', status: 500, operation: 'upload', times: 1 }] })
    const owner = world.engine()
    const asked = owner.ask('asked by the owner')
    await world.untilTrue(() => owner.eventsOf('provider-unreachable').length > 0)

    world.clock.suspend(SETTINGS.leaseMs + 1)
    const other = world.engine()
    const askedElsewhere = other.ask('asked by the other')
    // It looks for what others left in the turn in which it writes down its own.
    await turn()
    await turn()
    const [reply, replyElsewhere] = await world.until(Promise.all([asked, askedElsewhere]))

    expect(isAnswerTo('asked by the owner', reply)).toBe(true)
    expect(isAnswerTo('asked by the other', replyElsewhere)).toBe(true)
    expect(world.simulator.ledger().executions).toMatchObject({ batch: 2, repeated: 0 })
  })
})
