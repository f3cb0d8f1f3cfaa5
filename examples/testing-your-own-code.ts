/*
 * Testing a program of yours without a key, a network or a bill: the simulator answers as the provider would, and tells
 * afterwards what was asked of it. Use the same few lines with any test runner.
 *
 *   node examples/testing-your-own-code.ts
 */
import assert from 'node:assert/strict'
import { batchify, openMemoryStore } from 'offpeak'
import { startSimulator } from 'offpeak/simulator'
import OpenAI from 'openai'

// Virtual time: every look at a batch moves it on, so a day takes milliseconds.
const simulator = await startSimulator({ time: 'virtual', autoAdvance: true })
const openai = new OpenAI({ apiKey: 'anything', baseURL: simulator.baseUrl('openai'), maxRetries: 0 })
const options = {
  baseUrls: { openai: [simulator.baseUrl('openai')] },
  store: openMemoryStore(),
  batchWindowMs: 10,
  pollIntervalMs: 10,
  display: 'off',
} as const

try {
  // Each answer quotes its question: here everybody gets their own.
  const summaries = await batchify(options, () => Promise.all(['one', 'two', 'three'].map(summarize)))
  for (const [index, text] of ['one', 'two', 'three'].entries()) assert.ok(summaries[index]?.includes(text))
  assert.deepEqual(simulator.ledger().executions, { live: 0, batch: 3, distinct: 3, repeated: 0 })
  console.log('every caller got its own answer')

  // A provider that hangs up after it has created the batch: offpeak looks for it, and does not pay again.
  simulator.fault({ kind: 'reset', operation: 'create', moment: 'after', times: 1 })
  assert.ok((await batchify(options, () => summarize('four'))).includes('four'))
  assert.equal(simulator.ledger().executions.repeated, 0)
  console.log('a lost reply was not paid for twice')

  // A prompt can ask for its own fate: this one's row fails, and the SDK throws what it always throws.
  await assert.rejects(
    batchify(options, () => summarize('[[simulate:400]]')),
    OpenAI.BadRequestError,
  )
  console.log('a failed row is an ordinary error')
} finally {
  await simulator.close()
}

/** The code under test: it knows nothing of batches. */
async function summarize(text: string): Promise<string> {
  const response = await openai.responses.create({ model: 'gpt-4o-mini', input: `Summarize: ${text}` })
  return response.output_text
}
