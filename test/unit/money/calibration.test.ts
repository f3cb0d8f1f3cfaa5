import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/request.ts'
import { type Calibration, inputFactor, learn } from '../../../src/money/calibration.ts'
import { promptSize } from '../../../src/money/prompt.ts'
import { type CountedText, tokenCorpus } from './corpus.ts'

/** A model with a vocabulary of its own, and something that stands around every message. */
const OTHER_VOCABULARY = 1.27
const AROUND = 11

interface Asked {
  readonly body: JsonObject
  readonly actual: number
}

function ask(lines: readonly CountedText[]): Asked {
  const messages = [{ role: 'user', content: lines.map(({ text }) => ({ type: 'text', text })) }]
  const tokens = lines.reduce((sum, line) => sum + line.tokens, 0)
  return { body: { model: 'some', messages }, actual: Math.round(tokens * OTHER_VOCABULARY) + AROUND }
}

/** So many requests, of three lines each, in which no line stands beside the same two twice in a row. */
function askAbout(lines: readonly CountedText[], many: number): readonly Asked[] {
  return Array.from({ length: many }, (_, index) => {
    const step = 1 + Math.floor(index / lines.length)
    return ask([0, step, 2 * step + 1].flatMap((on) => lines[(index + on) % lines.length] ?? []))
  })
}

function estimateOf({ body }: Asked): number {
  return promptSize(body, 'openai').tokens
}

function taught(asked: readonly Asked[]): Calibration | undefined {
  let known: Calibration | undefined
  for (const each of asked) {
    known = learn(known, {
      estimatedInput: estimateOf(each),
      maxOutput: undefined,
      usage: { input: each.actual, output: 0 },
    })
  }
  return known
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

describe('a hundred real answers correct the estimates', () => {
  const long = tokenCorpus().filter(({ lines }) => lines.length >= 15)

  test('of all the corpus but the short samples', () => {
    expect(long.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['english', 'german', 'russian', 'chinese', 'japanese', 'arabic', 'code', 'json']),
    )
  })

  test.each(long)('to within 5 %, for prompts in $name that were not among them', ({ lines }) => {
    const seen = askAbout(
      lines.filter((_, index) => index % 2 === 0),
      100,
    )
    const unseen = askAbout(
      lines.filter((_, index) => index % 2 === 1),
      50,
    )

    const known = taught(seen)
    const estimated = sum(unseen.map(estimateOf)) * inputFactor(known)

    const actual = sum(unseen.map((each) => each.actual))
    expect(known?.input.n).toBe(100)
    expect(Math.abs(estimated / actual - 1)).toBeLessThan(0.05)
    expect(Math.abs(sum(unseen.map(estimateOf)) / actual - 1)).toBeGreaterThan(0.05)
  })
})

describe('what answers teach', () => {
  const one = { estimatedInput: 100, maxOutput: 200, usage: { input: 150, output: 50 } }

  function after(times: number, observation = one): Calibration | undefined {
    let known: Calibration | undefined
    for (let count = 0; count < times; count += 1) known = learn(known, observation)
    return known
  }

  test('is nothing before the first', () => {
    expect(inputFactor(undefined)).toBe(1)
  })

  test('is believed by and by: one answer moves the factor a third of the way', () => {
    expect(inputFactor(after(1))).toBeCloseTo(1 + 0.5 / 3, 10)
    expect(inputFactor(after(100))).toBeCloseTo(1.5, 1)
  })

  test('survives being written down', () => {
    const known = after(7)

    expect(JSON.parse(JSON.stringify(known))).toEqual(known)
  })

  test('is added to what was known, which stays as it was', () => {
    const known = after(3)
    const before = structuredClone(known)

    learn(known, one)

    expect(known).toEqual(before)
  })

  test('says nothing of the input where the prompt could not be counted', () => {
    const known = learn(after(3), { estimatedInput: undefined, maxOutput: 10, usage: { input: 9999, output: 10 } })

    expect(known.input).toEqual(after(3)?.input)
    expect(known.output.n).toBe(4)
  })

  test('says nothing of shares where the request named no maximum', () => {
    const known = learn(undefined, { estimatedInput: 10, maxOutput: undefined, usage: { input: 10, output: 10 } })

    expect(known.share.n).toBe(0)
    expect(known.output.n).toBe(1)
  })

  test('an answer longer than its maximum used all of it', () => {
    expect(learn(undefined, { ...one, usage: { input: 1, output: 900 } }).share.sum).toBe(1)
  })

  test('wears off: after a change of prompts, as many answers again outweigh thousands before', () => {
    let known = after(50_000)
    for (let count = 0; count < 4000; count += 1) {
      known = learn(known, { ...one, usage: { input: 80, output: 50 } })
    }

    expect(inputFactor(known)).toBeLessThan(1)
    expect(known?.input.n).toBeLessThanOrEqual(2001)
  })
})
