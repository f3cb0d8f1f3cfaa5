import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { BatchifyOptions } from '../../src/index.ts'
import type { Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { type Program, runProgram } from '../support/programs.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

interface Stage extends AsyncDisposable {
  readonly simulator: Simulator
  /** Runs a program that asks prompts, on the stage's one store. */
  ask(prompts: readonly string[], options?: BatchifyOptions, env?: Readonly<Record<string, string>>): Program
}

async function openStage(simulated: SimulatorOptions = {}): Promise<Stage> {
  const simulator = await startTestSimulator(simulated)
  const folder = tempFolder()
  const programs: Program[] = []
  const common: BatchifyOptions = {
    store: join(folder.path, 'store.db'),
    batchWindowMs: 10,
    pollIntervalMs: 20,
    maxPollIntervalMs: 40,
    leaseMs: 500,
    settleMs: 200,
  }
  return {
    simulator,
    ask(prompts, options = {}, env = {}) {
      const program = runProgram('ask', {
        PROVIDER: simulator.baseUrl('openai'),
        PROMPTS: prompts.join(','),
        OPTIONS: JSON.stringify({ ...common, ...options }),
        ...env,
      })
      programs.push(program)
      return program
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of programs) child.kill('SIGKILL')
      await Promise.all(programs.map(({ ended }) => ended))
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
}

/** Looks again and again; the test's own timeout is the end of it. */
async function eventually(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await delay(5)
}

const PROMPTS = ['one', 'two', 'three']
const isAnswer = (line: string): boolean => line.includes(': 200')

describe('a program', () => {
  test('that only waits for its answers submits them at once, however long the window', async () => {
    await using stage = await openStage()
    const program = stage.ask(PROMPTS, { batchWindowMs: 600_000 })

    const { code, stderr } = await program.ended

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(program.lines.filter(isAnswer)).toHaveLength(3)
    expect(stage.simulator.ledger().batches.created).toBe(1)
  })

  test('stays alive while a batch is under way, and ends right after', async () => {
    await using stage = await openStage({ autoAdvance: false })
    const program = stage.ask(PROMPTS)
    await program.line((line) => line === 'submitted')
    const polls = stage.simulator.ledger().calls.poll
    await eventually(() => stage.simulator.ledger().calls.poll > polls + 3)
    const linesBefore = program.lines.filter(isAnswer).length

    stage.simulator.advance(10_000)
    const { code } = await program.ended

    expect(linesBefore).toBe(0)
    expect(code).toBe(0)
    expect(program.lines.filter(isAnswer)).toHaveLength(3)
  })

  test('with a scope and no call in it ends by itself', async () => {
    await using stage = await openStage()

    const { code, stderr } = await stage.ask([]).ended

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('whose answers are all stored ends without a call', async () => {
    await using stage = await openStage()
    await stage.ask(PROMPTS, {}, { CLOSES: '1' }).ended
    const calls = stage.simulator.ledger().calls

    const program = stage.ask(PROMPTS, {}, { CLOSES: '1' })
    await program.ended

    expect(program.lines).toEqual(['one: 200 hit', 'two: 200 hit', 'three: 200 hit', 'closed'])
    expect(stage.simulator.ledger().calls).toEqual(calls)
  })

  test('with OFFPEAK_DISABLE=1 is not batched at all', async () => {
    await using stage = await openStage()

    const program = stage.ask(PROMPTS, {}, { OFFPEAK_DISABLE: '1', CLOSES: '1' })
    await program.ended

    expect(program.lines.filter((line) => line.endsWith('200 live'))).toHaveLength(3)
    expect(stage.simulator.ledger().executions).toMatchObject({ live: 3, batch: 0 })
  })
})

describe('a program killed with SIGKILL', () => {
  /** Runs it to its death, then again to its end, and expects everything answered and paid for once. */
  async function dieAndRunAgain(stage: Stage, isTime: (program: Program) => Promise<unknown>): Promise<void> {
    const first = stage.ask(PROMPTS)
    await isTime(first)
    first.child.kill('SIGKILL')
    const { signal } = await first.ended
    stage.simulator.clearFaults()

    const second = stage.ask(PROMPTS, {}, { CLOSES: '1' })
    const { code, stderr } = await second.ended

    expect(signal).toBe('SIGKILL')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(second.lines.filter(isAnswer)).toHaveLength(3)
    expect(stage.simulator.ledger().executions).toEqual({ live: 0, batch: 3, distinct: 3, repeated: 0 })
  }

  test('while its batch runs has it answered by the next run', async () => {
    await using stage = await openStage()
    stage.simulator.fault({ kind: 'status', operation: 'poll', status: 503 })

    await dieAndRunAgain(stage, (program) => program.line((line) => line === 'submitted'))

    expect(stage.simulator.ledger().calls.create).toBe(1)
  })

  test('between upload and create has it created by the next run', async () => {
    await using stage = await openStage()
    stage.simulator.fault({ kind: 'slow', operation: 'upload', ms: 600_000, moment: 'after' })

    await dieAndRunAgain(stage, () => eventually(() => stage.simulator.ledger().calls.upload === 1))

    expect(stage.simulator.ledger().batches.created).toBe(1)
  })

  test('while its create was on the way and had no effect has it created by the next run', async () => {
    await using stage = await openStage()
    stage.simulator.fault({ kind: 'slow', operation: 'create', ms: 600_000, moment: 'before' })

    await dieAndRunAgain(stage, () => eventually(() => stage.simulator.ledger().calls.create === 1))

    expect(stage.simulator.ledger().batches.created).toBe(1)
  })

  test('while its create was on the way and had its effect has that batch found by the next run', async () => {
    await using stage = await openStage()
    stage.simulator.fault({ kind: 'slow', operation: 'create', ms: 600_000, moment: 'after' })

    await dieAndRunAgain(stage, () => eventually(() => stage.simulator.ledger().batches.created === 1))

    expect(stage.simulator.ledger().calls.create).toBe(1)
  })
})
