import { join } from 'node:path'
import { describe, test } from 'vitest'
import { runInTerminal, type TerminalSize } from '../support/proof-single/terminal.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'
import { lookAtScreen, type Seen } from '../support/terminal/look-at-screen.ts'

const PROMPTS = ['one', 'two', 'three']

interface Watched extends Seen {
  readonly code: number | null
}

/** A program at a terminal of this size: its batch runs until the block has said so. */
async function watchProgram(size: TerminalSize, running: string): Promise<Watched> {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  using folder = tempFolder()
  const options = {
    store: join(folder.path, 'store.db'),
    baseUrls: { openai: [simulator.baseUrl('openai')] },
    batchWindowMs: 10,
    pollIntervalMs: 20,
    maxPollIntervalMs: 40,
    display: 'live',
  }
  const env = {
    PROVIDER: simulator.baseUrl('openai'),
    PROMPTS: PROMPTS.join(','),
    OPTIONS: JSON.stringify(options),
    NO_COLOR: '1',
    LANG: 'C.UTF-8',
  }
  const program = runInTerminal('asker', env, size)
  try {
    // Time moves once: the batch has to be there by then.
    await Promise.all([program.says('batch-submitted'), program.says(running)])
    simulator.advance(60_000)
    const { code, output } = await program.ended
    return { code, ...lookAtScreen(output, size) }
  } finally {
    program.kill()
    await program.ended
  }
}

const BESIDES = ['request-queued', 'request-queued', 'request-queued', 'batch-submitting', 'batch-submitted']

describe.concurrent('at a terminal', () => {
  test('the block stays below what the program says, and gives way to the summary', async ({ expect }) => {
    const { code, frames, lines, cursorShown } = await watchProgram({ columns: 80, rows: 24 }, '3 running in 1 batch')

    expect(code).toBe(0)
    const block = frames.find((frame) => frame.some((line) => line.includes('3 running in 1 batch')))
    expect(block?.at(-3)).toMatch(/^offpeak {2}─{30} {2}0\/3 {2}\d+s$/)
    expect(block?.at(-2)).toBe('  3 running in 1 batch')
    expect(block?.at(-1)).toMatch(/^ {2}gpt-4o-mini chat\/completions {2}\S.* {2}\S+ {2}\d+s/)
    const answers = PROMPTS.map((prompt) => `${prompt}: 200 miss`)
    const [heading = '', work = '', money = '', more = '', ...after] = lines.slice(BESIDES.length + PROMPTS.length)
    expect(lines.slice(0, BESIDES.length + PROMPTS.length)).toEqual([...BESIDES, ...answers])
    expect(heading).toMatch(/^offpeak {2}3 requests in \d+m?s: 3 answered$/)
    expect(work).toMatch(/^ {2}1 batch, \d+ tokens in, \d+ out$/)
    expect(money).toMatch(/^ {2}cost \$0\.0+\d+ instead of \$0\.0+\d+: saved \$0\.0+\d+ \(50 %\)$/)
    expect(more).toMatch(/^ {2}more: offpeak batches --store \S/)
    expect(after.at(-1)).toBe('closed')
    expect(cursorShown).toBe(true)
  })

  test('of twenty columns every line of the block fits, and nothing of it is left', async ({ expect }) => {
    const { code, frames, lines } = await watchProgram({ columns: 20, rows: 12 }, '3 running')

    expect(code).toBe(0)
    const block = frames.find((frame) => frame.includes('  3 running'))
    expect(block?.at(-3)).toMatch(/^─{6,} {2}0\/3( {2}\d+s)?$/)
    expect(block?.at(-1)).toMatch(/^ {2}gpt-4o-/)
    expect(Math.max(...(block ?? []).slice(-3).map((line) => line.length))).toBeLessThanOrEqual(19)
    expect(lines.slice(0, BESIDES.length)).toEqual(BESIDES)
    expect(lines.join('\n')).not.toMatch(/[━─]|running/)
    expect(lines.at(-1)).toBe('closed')
  })
})
