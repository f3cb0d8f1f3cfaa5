/** Programs that end before their answers come: by Ctrl-C, once and twice, by a signal, by mistake. The next run completes them. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { batchify, type BatchifyOptions } from '../../src/index.ts'
import type { Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { type Program, runProgram } from '../support/programs.ts'
import { runInTerminal, type TerminalProgram } from '../support/proof-single/terminal.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'

const PROMPTS = ['one', 'two', 'three']

interface Stage extends AsyncDisposable {
  readonly simulator: Simulator
  /** Small times, and the stage's own store. */
  readonly options: BatchifyOptions
  /** At a keyboard. */
  atTerminal(ending: string, options?: BatchifyOptions): TerminalProgram
  /** In the background. */
  run(ending: string, options?: BatchifyOptions): Program
}

/** Batches stand still until time is moved on by hand. */
async function openStage(simulated: SimulatorOptions = {}): Promise<Stage> {
  const simulator = await startTestSimulator({ autoAdvance: false, ...simulated })
  const folder = tempFolder()
  const kills: (() => void)[] = []
  const ends: Promise<unknown>[] = []
  const options: BatchifyOptions = {
    store: join(folder.path, 'store.db'),
    baseUrls: { openai: [simulator.baseUrl('openai')] },
    batchWindowMs: 10,
    pollIntervalMs: 20,
    maxPollIntervalMs: 40,
    leaseMs: 400,
    settleMs: 200,
  }
  const envOf = (ending: string, more: BatchifyOptions): Readonly<Record<string, string>> => ({
    PROVIDER: simulator.baseUrl('openai'),
    PROMPTS: PROMPTS.join(','),
    ENDING: ending,
    OPTIONS: JSON.stringify({ ...options, ...more }),
  })
  return {
    simulator,
    options,
    atTerminal(ending, more = {}) {
      const program = runInTerminal('asker', envOf(ending, more))
      kills.push(() => program.kill())
      ends.push(program.ended)
      return program
    },
    run(ending, more = {}) {
      const program = runProgram('../proof-single/programs/asker', envOf(ending, { display: 'off', ...more }))
      kills.push(() => program.child.kill('SIGKILL'))
      ends.push(program.ended)
      return program
    },
    async [Symbol.asyncDispose]() {
      for (const kill of kills) kill()
      await Promise.all(ends)
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
}

/** Runs the program again to its end, here, and expects everything answered and paid for once. */
async function expectCompletion({ simulator, options }: Stage, more: BatchifyOptions = {}): Promise<void> {
  simulator.clearFaults()
  simulator.advance(10_000)
  // What the first run never sent takes a batch that begins now.
  const clock = setInterval(() => simulator.advance(1000), 20)
  const statuses = await batchify({ ...options, display: 'off', ...more }, () => Promise.all(PROMPTS.map(ask)))
  clearInterval(clock)

  expect(statuses).toEqual(PROMPTS.map(() => 200))
  expect(simulator.ledger().executions).toEqual({
    live: 0,
    batch: PROMPTS.length,
    distinct: PROMPTS.length,
    repeated: 0,
  })

  async function ask(prompt: string): Promise<number> {
    const response = await fetch(`${simulator.baseUrl('openai')}/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }),
    })
    await response.text()
    return response.status
  }
}

/** Looks again and again; the test's own timeout is the end of it. */
async function eventually(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await delay(5)
}

describe('Ctrl-C', () => {
  test('while a batch runs ends with 130 and says how to go on; the second run completes it', async () => {
    await using stage = await openStage()
    const program = stage.atTerminal('when everything is answered')
    await program.says('batch-submitted')

    program.interrupt()
    const { code, output } = await program.ended

    expect(code).toBe(130)
    expect(output).toMatch(/Batches that go on at the provider: batch_\w+\. Run the same program again/)
    await expectCompletion(stage)
    expect(stage.simulator.ledger().calls.create).toBe(1)
  })

  test('while requests are queued sends none of them, and says so', async () => {
    await using stage = await openStage()
    const program = stage.atTerminal('busy', { batchWindowMs: 600_000 })
    await program.says('request-queued')

    program.interrupt()
    const { code, output } = await program.ended
    const { calls } = stage.simulator.ledger()

    expect(code).toBe(130)
    expect(output).toContain('Requests not sent yet: 3.')
    expect([calls.upload, calls.create]).toEqual([0, 0])
    await expectCompletion(stage)
  })

  test('while a create is on its way waits for what comes of it', async () => {
    await using stage = await openStage({ faults: [{ kind: 'slow', operation: 'create', ms: 400, moment: 'after' }] })
    const program = stage.atTerminal('when everything is answered')
    await eventually(() => stage.simulator.ledger().batches.created === 1)

    program.interrupt()
    const { code, output } = await program.ended

    expect(code).toBe(130)
    expect(output).toMatch(/go on at the provider: batch_\w+/)
    await expectCompletion(stage)
    expect(stage.simulator.ledger().calls).toMatchObject({ create: 1, list: 0 })
  })

  test('twice, while a create does not come back, ends at once; the second run finds the batch', async () => {
    await using stage = await openStage({
      faults: [{ kind: 'slow', operation: 'create', ms: 600_000, moment: 'after' }],
    })
    const program = stage.atTerminal('when everything is answered')
    await eventually(() => stage.simulator.ledger().batches.created === 1)

    program.interrupt()
    const early = await Promise.race([program.ended, delay(100)])
    // Two that follow each other closely may count as one.
    const again = setInterval(() => program.interrupt(), 100)
    const { code } = await program.ended
    clearInterval(again)

    expect(early).toBeUndefined()
    expect(code).toBe(130)
    await expectCompletion(stage)
    expect(stage.simulator.ledger().calls.create).toBe(1)
  })

  test('while a program goes on asking lets nothing through at full price', async () => {
    await using stage = await openStage({ faults: [{ kind: 'slow', operation: 'create', ms: 300, moment: 'after' }] })
    const program = stage.atTerminal('asks on and on', { batchWindowMs: 50 })
    await eventually(() => stage.simulator.ledger().batches.created > 0)

    program.interrupt()
    const { code } = await program.ended

    expect(code).toBe(130)
    expect(stage.simulator.ledger().calls.live).toBe(0)
  })

  test('in a program with a listener of its own is that program’s to decide', async () => {
    await using stage = await openStage()
    const program = stage.atTerminal('own listener')
    await program.says('batch-submitted')

    program.interrupt()
    await program.says('heard it')
    stage.simulator.advance(10_000)
    const { code, output } = await program.ended

    expect(code).toBe(0)
    expect(output).toContain('closed')
  })
})

describe('SIGTERM', () => {
  test('ends with 143 and says how to go on; the second run completes it', async () => {
    await using stage = await openStage()
    const program = stage.run('when everything is answered', { display: 'log' })
    await program.line((line) => line === 'batch-submitted')

    program.child.kill('SIGTERM')
    const { code, stderr } = await program.ended

    expect(code).toBe(143)
    expect(stderr).toContain('Run the same program again')
    await expectCompletion(stage)
    expect(stage.simulator.ledger().calls.create).toBe(1)
  })
})

describe('a program that ends by', () => {
  const NO_CACHE: BatchifyOptions = { cache: false }

  test.each([
    ['exit at once', 3, {}],
    ['exit once submitted', 3, {}],
    ['exit once submitted', 3, NO_CACHE],
    ['rejection once submitted', 1, {}],
    ['error once submitted', 1, {}],
  ])('%s (exit code %i) with %o loses nothing', async (ending, expected, options) => {
    await using stage = await openStage()

    const { code } = await stage.run(ending, options).ended

    expect(code).toBe(expected)
    await expectCompletion(stage, options)
    expect(stage.simulator.ledger().batches.created).toBe(1)
  })

  test.each([[{}], [NO_CACHE]])('exit at the first answer with %o loses no answer that was stored', async (options) => {
    await using stage = await openStage({ autoAdvance: true })

    const { code } = await stage.run('exit at the first answer', options).ended

    expect(code).toBe(3)
    await expectCompletion(stage, options)
    expect(stage.simulator.ledger().calls.create).toBe(1)
  })
})
