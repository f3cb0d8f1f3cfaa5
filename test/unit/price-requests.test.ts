import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/request.ts'
import { createPricing } from '../../src/price-requests.ts'
import { programName } from '../../src/program-name.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { fakeClock } from '../support/fake-clock.ts'

const NOW = Date.UTC(2026, 10, 20)
const target = { provider: 'openai', endpoint: '/v1/chat/completions', model: 'gpt-4o-mini', at: NOW }

/** USD per million tokens of gpt-4o-mini in a batch. */
const INPUT = 0.075
const OUTPUT = 0.3

function scene() {
  const store = openMemoryStore()
  const clock = fakeClock(NOW)
  return { store, clock, pricing: createPricing(store, clock) }
}

function chat(content: string, change: JsonObject = {}): JsonObject {
  return { model: 'gpt-4o-mini', max_completion_tokens: 1000, messages: [{ role: 'user', content }], ...change }
}

describe('the most a request can cost', () => {
  test('is its input with a margin and all the output it allows, each choice of it', () => {
    const { pricing } = scene()
    const words = 'some words '.repeat(1000)

    const one = pricing.forecast({ ...target, body: chat(words) }, 'limit')
    const three = pricing.forecast({ ...target, body: chat(words, { n: 3 }) }, 'limit')

    const output = (1000 * OUTPUT) / 1e6
    const input = (one.most.kind === 'known' ? one.most.costUsd : 0) - output
    // Two thousand tokens, a third more, and some.
    expect(input).toBeGreaterThan((2200 * INPUT) / 1e6)
    expect(input).toBeLessThan((3200 * INPUT) / 1e6)
    expect(three.most).toMatchObject({ kind: 'known', costUsd: expect.closeTo(input + 3 * output, 9) })
  })

  test('is not less after short answers: what they teach is no bound', () => {
    const { pricing } = scene()
    const request = { ...target, body: chat('question') }
    const before = pricing.forecast(request, 'limit')

    for (let n = 0; n < 50; n += 1) pricing.learn(target, before, { input: before.estimatedInput ?? 0, output: 3 })

    const after = pricing.forecast(request, 'limit')
    expect(after.most).toEqual(before.most)
  })

  test('has no output where there is none', () => {
    const { pricing } = scene()
    const request = { ...target, endpoint: '/v1/embeddings', model: 'text-embedding-3-small', body: { input: 'words' } }

    expect(pricing.forecast(request, 'limit').most).toMatchObject({ kind: 'known' })
  })

  test.each([
    ['a model without a price', { ...target, model: 'gpt-unheard-of', body: chat('a') }, /no price of gpt-unheard-of/],
    ['a request without a maximum', { ...target, body: chat('a', { max_completion_tokens: undefined }) }, /no maximum/],
    [
      'a prompt that cannot be counted',
      { ...target, body: chat('a', { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] }) },
      /nobody can count audio/,
    ],
  ])('is unknown of %s, which is not zero', (_what, request, because) => {
    const { pricing } = scene()

    expect(pricing.forecast(request, 'limit').most).toEqual({
      kind: 'unknown',
      because: expect.stringMatching(because),
    })
  })

  test('is guessed at where only the maximum is missing', () => {
    const { pricing } = scene()
    const body = chat('a', { max_completion_tokens: undefined })

    expect(pricing.forecast({ ...target, body }, 'limit').guessUsd).toBeGreaterThan((400 * OUTPUT) / 1e6)
    expect(pricing.forecast({ ...target, model: 'gpt-unheard-of', body }, 'limit').guessUsd).toBe(0)
  })
})

describe('the price of an answer', () => {
  test('is that of its tokens; of a refusal nothing; and unknown where there is no price', () => {
    const { pricing } = scene()
    const usage = { input: 1_000_000, output: 1_000_000 }

    expect(pricing.price({ ...target, status: 200, usage })).toMatchObject({
      costUsd: expect.closeTo(INPUT + OUTPUT, 9),
      liveCostUsd: expect.closeTo(2 * (INPUT + OUTPUT), 9),
    })
    expect(pricing.price({ ...target, status: 400, usage: undefined })).toMatchObject({ costUsd: 0, liveCostUsd: 0 })
    expect(pricing.price({ ...target, model: 'gpt-unheard-of', status: 200, usage })).toBeUndefined()
    expect(pricing.price({ ...target, status: 200, usage: undefined })).toBeUndefined()
  })
})

describe('what answers teach', () => {
  const request = { ...target, body: chat('a question of some length, to be counted') }

  test('corrects estimates, here and in the next run', () => {
    const { store, clock, pricing } = scene()
    const first = pricing.forecast(request, 'limit')
    const usage = { input: 10 * (first.estimatedInput ?? 0), output: 10 }
    for (let n = 0; n < 20; n += 1) pricing.learn(target, first, usage)
    const taught = pricing.forecast(request, 'limit')
    pricing[Symbol.dispose]()

    const next = createPricing(store, clock).forecast(request, 'limit')

    expect(taught).not.toEqual(first)
    expect(next).toEqual(taught)
  })

  test('is written every few seconds, and only when there is something new', () => {
    const { store, clock, pricing } = scene()
    const forecast = pricing.forecast(request, 'limit')
    const learnedAt: number[] = []
    const count = (): number => store.learned().length
    pricing.learn(target, forecast, { input: 10, output: 10 })
    learnedAt.push(count())
    clock.advance(4999)
    learnedAt.push(count())
    clock.advance(1)
    learnedAt.push(count())

    expect(learnedAt).toEqual([0, 0, 1])
    expect(clock.timers).toBe(0)
  })

  test('of another form is forgotten', () => {
    const { store, clock } = scene()
    const { provider, endpoint, model } = target
    store.keepLearned([{ provider, endpoint, model, state: '{"from":"the future"}' }])
    const untaught = createPricing(openMemoryStore(), clock).forecast(request, 'limit')

    expect(createPricing(store, clock).forecast(request, 'limit')).toEqual(untaught)
  })

  test('a store that cannot be written costs a lesson and nothing else', () => {
    const { clock } = scene()
    let tries = 0
    const keepLearned = (): void => {
      tries += 1
      throw new Error('full')
    }
    const pricing = createPricing({ learned: () => [], keepLearned }, clock)
    pricing.learn(target, pricing.forecast(request, 'limit'), { input: 10, output: 10 })

    clock.advance(5000)
    pricing[Symbol.dispose]()

    expect(tries).toBe(1)
  })

  test('needs the first requests of a model, and few of those that follow', () => {
    const { pricing } = scene()
    const asked = Array.from({ length: 1000 }, () => pricing.forecast(request, 'learning') !== undefined)

    expect(asked.slice(0, 200).every(Boolean)).toBe(true)
    expect(asked.slice(200).filter(Boolean)).toHaveLength(12)
  })
})

test.each([
  [['/usr/bin/node'], 'node'],
  [['/usr/bin/node', '/home/me/app.ts', '--token', 'secret'], 'app.ts'],
  [
    ['/usr/bin/node', '/lib/offpeak/cli/call-function.js', '/home/me/jobs.ts', 'summarise', 'secret'],
    'jobs.ts:summarise',
  ],
])('%j is called %s', (argv, name) => {
  expect(programName(argv)).toBe(name)
})
