import { join } from 'node:path'
import { vi } from 'vitest'
import type { BatchifyOptions } from '../../src/config.ts'
import { createScope } from '../../src/create.ts'
import type { Simulator, SimulatorOptions } from '../../src/simulator/index.ts'
import { cli, type CliOutcome } from './cli.ts'
import { startTestSimulator } from './simulator.ts'
import { tempFolder } from './store.ts'

/** A provider, a store with what programs have sent, and a command line that looks at it. */
export interface CommandScene extends AsyncDisposable {
  readonly simulator: Simulator
  readonly folder: string
  /** The database file. */
  readonly path: string
  /** A program's run: asks all at once, and resolves with the status of each answer, and with its text. */
  readonly ask: (prompts: readonly string[], options?: AskOptions) => Promise<readonly Answered[]>
  /** A program that submits and then ends, with its batches under way. */
  readonly submit: (prompts: readonly string[], options?: AskOptions) => Promise<void>
  /** A command line, on this store. */
  readonly offpeak: (...args: readonly string[]) => Promise<CliOutcome>
}

export interface AskOptions extends BatchifyOptions {
  readonly key?: string
  readonly model?: string
}

export interface Answered {
  readonly status: number
  readonly text: string
  readonly cached: boolean
}

export const KEY = 'sk-of-the-scene'

/** Its key is in the environment until the test ends. */
export async function commandScene(simulated: SimulatorOptions = {}): Promise<CommandScene> {
  const simulator = await startTestSimulator({ batchMs: 300, ...simulated })
  const folder = tempFolder()
  const path = join(folder.path, 'store.db')
  vi.stubEnv('OPENAI_API_KEY', KEY)
  vi.stubEnv('OPENAI_ORG_ID', undefined)
  vi.stubEnv('OPENAI_PROJECT_ID', undefined)

  function open({ key = KEY, model = 'gpt-4o-mini', ...options }: AskOptions) {
    const scope = createScope({
      store: path,
      display: 'off',
      baseUrls: { openai: [simulator.baseUrl('openai')] },
      batchWindowMs: 1,
      pollIntervalMs: 5,
      ...options,
    })
    const post = async (prompt: string): Promise<Answered> => {
      const response = await scope.fetch(`${simulator.baseUrl('openai')}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: prompt }] }),
      })
      const text = await response.text()
      return { status: response.status, text, cached: response.headers.get('x-offpeak-cache') === 'hit' }
    }
    return { scope, post }
  }

  return {
    simulator,
    folder: folder.path,
    path,
    async ask(prompts, options = {}) {
      const { scope, post } = open(options)
      try {
        return await Promise.all(prompts.map(post))
      } finally {
        await scope.close()
      }
    },
    async submit(prompts, options = {}) {
      // It is flushed before its window is over, and ends before its first poll.
      const { scope, post } = open({ batchWindowMs: 60_000, pollIntervalMs: 60_000, ...options })
      const asked = prompts.map(post)
      await scope.flush()
      scope.abort()
      await Promise.all(asked)
      await scope.abandon()
    },
    offpeak: (...args) => cli([...args, '--store', path]),
    async [Symbol.asyncDispose]() {
      vi.unstubAllEnvs()
      await simulator.close()
      folder[Symbol.dispose]()
    },
  }
}
