import { describe, expect, test } from 'vitest'
import { estimateTokens } from '../../../src/money/tokens.ts'
import { tokenCorpus } from './corpus.ts'

describe('the estimate of a text', () => {
  test.each(tokenCorpus())('of $name is within 15 % of what the tokenizer counted', ({ text, tokens }) => {
    expect(Math.abs(estimateTokens(text) / tokens - 1)).toBeLessThan(0.15)
  })

  test('covers at least six languages, code and JSON', () => {
    const names = tokenCorpus().map(({ name }) => name)

    expect(names).toEqual(
      expect.arrayContaining(['english', 'german', 'russian', 'chinese', 'japanese', 'arabic', 'code', 'json']),
    )
  })

  test('of nothing is nothing', () => {
    expect(estimateTokens('')).toBe(0)
  })

  test('grows with the text: a prompt that is said twice is twice as long', () => {
    const { text } = tokenCorpus()[0] ?? { text: '' }

    expect(estimateTokens(text + text) / estimateTokens(text)).toBeCloseTo(2, 2)
  })

  test('counts long numbers in threes', () => {
    expect(estimateTokens('1'.repeat(30))).toBeGreaterThanOrEqual(10)
    expect(estimateTokens('1'.repeat(30))).toBeLessThan(12)
  })

  test('counts an emoji as about two', () => {
    expect(estimateTokens('🎉'.repeat(10)) / 10).toBeCloseTo(2, 0)
  })

  test('takes what is no character at all: halves of surrogate pairs, NUL, private use', () => {
    for (const text of ['\ud800', '\udc00\udc00', '\0', '\ue000\uffff']) {
      expect(estimateTokens(text)).toBeGreaterThan(0)
      expect(estimateTokens(text)).toBeLessThan(10)
    }
  })

  test('a newline at the end does not run on', () => {
    expect(estimateTokens('end\n\n\n')).toBeLessThan(3)
  })
})
