import { expect, test } from 'vitest'
import type { SimulatedProvider } from '../../src/simulator/index.ts'
import { startWorld } from '../support/engine.ts'

test.each([
  ['openai', '24h', 'gpt-4o-mini'],
  ['groq', '7d', 'llama-3.3-70b-versatile'],
] as const satisfies readonly (readonly [SimulatedProvider, string, string])[])(
  'where a program asks for 7d, a batch of %s is given what it offers: %s',
  async (provider, window, model) => {
    await using world = await startWorld()
    const path = provider === 'groq' ? '/openai/v1/chat/completions' : '/chat/completions'
    const engine = world.engine({ provider, settings: { completionWindow: '7d' } })

    void engine.ask('how long', { model, path })
    await world.untilTrue(() => engine.eventsOf('batch-submitted').length === 1)

    expect(engine.store.openIntents().map((intent) => intent.window)).toEqual([window])
  },
)
