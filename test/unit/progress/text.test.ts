import { describe, expect, test } from 'vitest'
import { fitLine } from '../../../src/progress/fit.ts'
import { formatCount, formatDuration, formatPlural, formatTimeLeft, formatUsd } from '../../../src/progress/format.ts'
import { padEnd, padStart, printable, textWidth, truncate } from '../../../src/progress/width.ts'

describe('width', () => {
  test.each([
    ['', 0],
    ['gpt-5', 5],
    ['日本語', 6],
    ['한글', 4],
    ['ＡＢ', 4],
    ['👍', 2],
    ['👩‍👩‍👧', 2],
    ['é', 1],
    ['e\u0301', 1],
    ['❤️', 2],
    ['━━', 2],
    ['\u001b[32mok\u001b[39m', 2],
  ])('%j takes %d columns', (text, width) => {
    expect(textWidth(text)).toBe(width)
  })

  test('what is cut never exceeds its room, even in the middle of a wide character', () => {
    expect(truncate('日本語', 6, '…')).toBe('日本語')
    expect(truncate('日本語', 5, '…')).toBe('日本…')
    expect(truncate('日本語', 4, '…')).toBe('日…')
    expect(truncate('abc', 1, '…')).toBe('…')
    expect(truncate('abc', 0, '…')).toBe('')
  })

  test('padding counts columns, not characters', () => {
    expect(padEnd('日', 4)).toBe('日  ')
    expect(padStart('日', 4)).toBe('  日')
  })

  test('nothing from outside can move the cursor or break the line', () => {
    expect(printable('a\u001b[2Jb\r\nc\u0007\u202ed')).toBe('ab  c  d')
  })
})

describe('numbers', () => {
  test.each([
    [0, '0s'],
    [999, '0s'],
    [48_000, '48s'],
    [72_000, '1m 12s'],
    [3_600_000, '1h 00m'],
    [7_500_000, '2h 05m'],
    [90_000_000, '1d 01h'],
    [-5, '0s'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test.each([
    [0, '$0.00'],
    [1234.5, '$1,235'],
    [12.345, '$12.35'],
    [1, '$1.00'],
    [0.996, '$1.00'],
    [0.42, '$0.42'],
    [0.0042, '$0.0042'],
    [0.000_001_23, '$0.0000012'],
    [-0.5, '-$0.50'],
  ])('%d USD are %s', (usd, text) => {
    expect(formatUsd(usd)).toBe(text)
  })

  const SECOND = 1000
  const MINUTE = 60 * SECOND
  const HOUR = 60 * MINUTE

  test.each([
    [4 * MINUTE, 11.5 * MINUTE, '4–12m left'],
    [42 * SECOND, 3 * MINUTE, '40s–3m left'],
    [50 * MINUTE, 5 * HOUR, '50m–5h left'],
    [3 * HOUR, 20 * HOUR, '3–20h left'],
    [20 * HOUR, 60 * HOUR, '20h–3d left'],
    [0, 90 * SECOND, 'up to 2m left'],
    [4 * SECOND, 8 * SECOND, 'up to 10s left'],
    [5 * MINUTE, 5 * MINUTE, 'about 5m left'],
    [57 * SECOND, 58 * SECOND, '55s–1m left'],
    [3 * HOUR, undefined, '3h or more left'],
  ])('from %d to %s ms are %s', (fromMs, toMs, text) => {
    expect(formatTimeLeft(toMs === undefined ? { fromMs } : { fromMs, toMs }, '–')).toBe(text)
  })

  test('counts have thousands', () => {
    expect(formatCount(999)).toBe('999')
    expect(formatCount(1_234_567)).toBe('1,234,567')
    expect(formatPlural(1, 'batch', 'batches')).toBe('1 batch')
    expect(formatPlural(2000, 'batch', 'batches')).toBe('2,000 batches')
  })
})

describe('fitting a line', () => {
  const pieces = [
    { text: 'first', tone: 'plain', rank: 0 },
    { text: 'second', tone: 'plain', rank: 2 },
    { text: 'third', tone: 'plain', rank: 1 },
  ] as const
  const look = { colour: false, unicode: true }

  test.each([
    [40, 'first, second, third'],
    [20, 'first, second, third'],
    [19, 'first, third'],
    [11, 'first'],
    [4, 'fir…'],
    [1, '…'],
    [0, ''],
    [-3, ''],
  ])('in %d columns: %j', (width, line) => {
    expect(fitLine(pieces, { separator: ', ', width, look, ellipsis: '…' })).toBe(line)
  })
})
