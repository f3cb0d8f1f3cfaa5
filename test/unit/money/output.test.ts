import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/request.ts'
import { type Calibration, learn } from '../../../src/money/calibration.ts'
import { maxOutput, outputRange } from '../../../src/money/output.ts'

const CHAT = '/v1/chat/completions'

/** What answers of these sizes have taught. */
function after(outputs: readonly number[], max: number | undefined): Calibration | undefined {
  let known: Calibration | undefined
  for (const output of outputs) {
    known = learn(known, { estimatedInput: 100, maxOutput: max, usage: { input: 100, output } })
  }
  return known
}

function many(output: number, count = 100): readonly number[] {
  return Array.from({ length: count }, () => output)
}

describe('the most a request allows', () => {
  test.each<[JsonObject, number | undefined]>([
    [{ max_tokens: 50 }, 50],
    [{ max_completion_tokens: 60, max_tokens: 50 }, 60],
    [{ max_output_tokens: 70 }, 70],
    [{ generationConfig: { maxOutputTokens: 80 } }, 80],
    [{ generationConfig: { maxOutputTokens: 80, candidateCount: 2 } }, 160],
    [{ max_tokens: 50, n: 3 }, 150],
    [{ max_tokens: null, max_completion_tokens: null }, undefined],
    [{ max_tokens: 0 }, undefined],
    [{ max_tokens: '50' }, undefined],
    [{}, undefined],
  ])('of %j is %j', (body, most) => {
    expect(maxOutput(body)).toBe(most)
  })
})

describe('the length of an answer', () => {
  test('nobody has seen one of is anything up to what the request allows', () => {
    expect(outputRange({ max_tokens: 1000 }, CHAT, undefined)).toEqual({ low: 1, likely: 400, high: 1000 })
    expect(outputRange({ max_tokens: 20 }, CHAT, undefined)).toEqual({ low: 1, likely: 20, high: 20 })
  })

  test('that nothing limits has no end', () => {
    expect(outputRange({}, CHAT, undefined)).toEqual({ low: 1, likely: 400, high: undefined })
  })

  test.each(['/v1/embeddings', '/v1/moderations', 'batchEmbedContents', '/v1/chat/classifications'])(
    'of %s is none',
    (endpoint) => {
      expect(outputRange({ max_tokens: 1000 }, endpoint, undefined)).toEqual({ low: 0, likely: 0, high: 0 })
    },
  )

  test('is, after a hundred answers, about theirs', () => {
    const outputs = Array.from({ length: 100 }, (_, index) => 100 + (index % 5) * 10)

    const { low, likely, high } = outputRange({}, CHAT, after(outputs, undefined))

    expect(Math.abs(likely - 120)).toBeLessThan(8)
    expect(low).toBeGreaterThan(80)
    expect(low).toBeLessThan(100)
    expect(high).toBeGreaterThan(140)
    expect(high).toBeLessThan(160)
  })

  test('is, after a hundred answers, about their share of what this request allows', () => {
    const known = after(many(100), 1000)

    expect(outputRange({ max_tokens: 4000 }, CHAT, known)).toEqual({ low: 400, likely: 400, high: 400 })
  })

  test('is never more than the request allows', () => {
    const wild = after([...many(1, 50), ...many(1000, 50)], 1000)

    expect(outputRange({ max_tokens: 1000 }, CHAT, wild).high).toBe(1000)
    expect(outputRange({ max_tokens: 30 }, CHAT, after(many(5000), undefined))).toMatchObject({ likely: 30, high: 30 })
  })

  test.each([
    [after(many(50), 1000), 1000],
    [after([1, 2, 3, 500, 501], 1000), 1000],
    [after([0, 0, 0, 0, 0], 1000), 1000],
    [after(many(900), 1000), 10],
  ])('is likely to be between its bounds', (known, max_tokens) => {
    const { low, likely, high = Number.NaN } = outputRange({ max_tokens }, CHAT, known)

    expect(low).toBeLessThanOrEqual(likely)
    expect(likely).toBeLessThanOrEqual(high)
    expect(high).toBeLessThanOrEqual(max_tokens)
  })

  test('has no surprising bounds after too few answers', () => {
    expect(outputRange({ max_tokens: 1000 }, CHAT, after([10, 10, 10], 1000))).toMatchObject({ low: 1, high: 1000 })
    expect(outputRange({}, CHAT, after([10, 10, 10], undefined)).high).toBeUndefined()
  })
})
