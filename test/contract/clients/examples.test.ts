import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { COMPILE_CACHE } from '../../support/compile-cache.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { tempFolder } from '../../support/store.ts'

const run = promisify(execFile)
const folder = new URL('../../../examples/', import.meta.url)
const preload = new URL('../../support/clients-examples.ts', import.meta.url)

/** What each of them prints, and how many requests it has executed in batches (none, where it brings its own simulator). */
const EXAMPLES: Readonly<Record<string, { readonly prints: readonly RegExp[]; readonly executes: number }>> = {
  'openai-chat.ts': { prints: [/^Peru: Answer \w+: .*Peru/m, /^Vanuatu: Answer \w+: .*Vanuatu/m], executes: 5 },
  'embeddings.ts': { prints: [/^-?\d\.\d{3} {2}The cat/m, /^-?\d\.\d{3} {2}Add the flour/m], executes: 4 },
  'ai-sdk.ts': { prints: [/^good: It broke/m, /Are there kettles left\?$/m], executes: 4 },
  'langchain.ts': { prints: [/^good morning → Answer \w+: .*good morning$/m], executes: 3 },
  'block-form.ts': {
    prints: [/^\d requests became batch_\w+$/m, /riddle about clocks/, /^3 answers in \d batch, 0\.\d+ /m],
    executes: 3,
  },
  'plain-fetch.ts': { prints: [/^(fine|flagged): Have a nice day! \(batch_\w+\)$/m], executes: 3 },
  'several-providers.ts': {
    prints: [/^Is a tomato a fruit\?$/m, /^ {2}(gpt|claude|gemini): Answer \w+: .*strawberry/m],
    executes: 6,
  },
  'testing-your-own-code.ts': { prints: [/^a lost reply was not paid for twice$/m, /^a failed row is/m], executes: 0 },
}

describe('examples', () => {
  it('are all run here', () => {
    // The demo is a command, and tested with the commands.
    const others = readdirSync(folder).filter((name) => name !== 'demo.ts')

    expect(others.sort()).toEqual(Object.keys(EXAMPLES).sort())
  })

  it.concurrent.for(Object.entries(EXAMPLES))(
    '%s runs, batches its calls and prints what it found',
    async ([name, expected]) => {
      // Under a second, so that no provider asks to be left alone for one.
      await using simulator = await startTestSimulator({ batchMs: 900 })
      using home = tempFolder()
      const env = {
        PATH: process.env.PATH,
        OPENAI_API_KEY: 'sk-example',
        OPENAI_BASE_URL: simulator.baseUrl('openai'),
        ANTHROPIC_API_KEY: 'sk-example',
        ANTHROPIC_BASE_URL: simulator.baseUrl('anthropic'),
        GEMINI_API_KEY: 'example',
        GOOGLE_GEMINI_BASE_URL: simulator.baseUrl('gemini'),
        ...COMPILE_CACHE,
        OFFPEAK_HOME: home.path,
      }

      const { stdout } = await run(process.execPath, ['--import', preload.href, fileURLToPath(new URL(name, folder))], {
        env,
        timeout: 25_000,
      })

      for (const line of expected.prints) expect(stdout).toMatch(line)
      expect(simulator.ledger().executions).toMatchObject({ live: 0, batch: expected.executes, repeated: 0 })
    },
  )
})
