import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { present, waysNamed } from '../../support/clients.ts'
import { openaiWays } from '../../support/clients-openai.ts'
import { describeAnswers, describeEndings } from './suite.ts'

// Built while nobody had loaded offpeak: it holds the native fetch. What is derived from it holds the same one.
const early = new OpenAI({ apiKey: 'sk-early', baseURL: 'http://127.0.0.1:9/v1' })
const native = globalThis.fetch
const { batchify } = await import('../../../src/index.ts')

const ways = openaiWays(({ baseUrl, apiKey, maxRetries, timeoutMs }) =>
  early.withOptions({ baseURL: baseUrl, apiKey, ...present({ maxRetries, timeout: timeoutMs }) }),
)

describe('a client built before offpeak is loaded', () => {
  it('holds the fetch of before', () => {
    expect(globalThis.fetch).not.toBe(native)
    expect(early.withOptions({ timeout: 1 })).toHaveProperty('fetch', native)
  })
})

// What is asked makes no difference to the net; the matrix has a cell for every other client built as early.
for (const way of waysNamed(ways, 'openai: chat.completions.create', 'openai: embeddings.create')) {
  describeAnswers(way, { batchify, built: 'before the scope' })
}
for (const way of waysNamed(ways, 'openai: responses.create')) {
  describeEndings(way, { batchify, built: 'before the scope' })
}
