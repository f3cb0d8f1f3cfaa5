import { describe, expect, test } from 'vitest'
import { decoded, headerPairs } from '../../../src/intercept/headers.ts'

describe('headers', () => {
  const forms: [string, unknown][] = [
    ['a record', { Authorization: ' Bearer k ', 'X-A': '1' }],
    ['a Headers', new Headers({ Authorization: 'Bearer k', 'X-A': '1' })],
    [
      'pairs',
      [
        ['Authorization', 'Bearer k'],
        ['X-A', 1],
      ],
    ],
    [
      'a Map',
      new Map([
        ['Authorization', 'Bearer k'],
        ['X-A', '1'],
      ]),
    ],
    ['names and values in turn', ['Authorization', 'Bearer k', 'X-A', '1']],
  ]

  test.each(forms)('written as %s are read as lower-case pairs', (_form, headers) => {
    expect(headerPairs(headers)).toEqual([
      ['authorization', 'Bearer k'],
      ['x-a', '1'],
    ])
  })

  test('that are missing are none', () => {
    expect([headerPairs(undefined), headerPairs(null)]).toEqual([[], []])
  })

  test('with several values are several pairs', () => {
    expect(headerPairs({ 'x-a': ['1', '2'] })).toEqual([
      ['x-a', '1'],
      ['x-a', '2'],
    ])
  })

  test('are the very same list as long as they say the same, and read anew once they do not', () => {
    const record: Record<string, string> = { 'X-A': '1', 'X-B': '2' }
    const first = headerPairs(record)
    const second = headerPairs({ 'X-A': '1', 'X-B': '2' })
    const third = headerPairs(new Headers(record))
    record['X-B'] = '3'
    const changed = headerPairs(record)
    record['X-C'] = '4'
    const longer = headerPairs(record)

    expect(second).toBe(first)
    expect(third).toBe(first)
    expect(headerPairs(new Headers({ 'x-a': '1', 'x-b': '9' }))).not.toEqual(first)
    expect(first).toEqual([
      ['x-a', '1'],
      ['x-b', '2'],
    ])
    expect(changed).toEqual([
      ['x-a', '1'],
      ['x-b', '3'],
    ])
    expect(longer).toHaveLength(3)
  })

  test('that are refused are refused again', () => {
    const wrong = { a: '1', b: 'x\ny' }

    expect([headerPairs(wrong), headerPairs(wrong), headerPairs({ a: '1' })]).toEqual([
      undefined,
      undefined,
      [['a', '1']],
    ])
  })

  const wrong: [string, unknown][] = [
    ['a text', 'a: b'],
    ['a line break', { a: 'b\nc: d' }],
    ['a NUL', { a: '\0' }],
    ['a character beyond Latin-1', { a: '…' }],
    ['a name with a space', { 'a b': 'c' }],
    ['an empty name', { '': 'c' }],
    ['a symbol', { a: Symbol('b') }],
    ['a pair of three', [['a', 'b', 'c']]],
    [
      'a value that cannot be read',
      {
        get a(): string {
          throw new Error('no')
        },
      },
    ],
  ]

  test.each(wrong)('with %s are left for the native call to refuse', (_what, headers) => {
    expect(headerPairs(headers)).toBeUndefined()
  })

  test('of a body that was decompressed say nothing of its encoding', () => {
    expect(
      decoded([
        ['a', 'b'],
        ['content-encoding', 'gzip'],
      ]),
    ).toEqual([['a', 'b']])
  })
})
