import { expect, test } from 'vitest'
import { customId, parseCustomId } from '../../../src/core/job.ts'

test('an id is read back as it was written', () => {
  for (const job of [1, 10, 999_999_999, Number.MAX_SAFE_INTEGER]) {
    expect(parseCustomId(customId('abc123def456', job))).toEqual({ tag: 'abc123def456', job })
  }
})

test.each([
  [''],
  ['-1'],
  ['abc123def456'],
  ['abc123def456-'],
  ['abc123def456--1'],
  ['abc123def456-1.5'],
  ['abc123def456-1e3'],
  ['abc123def456-0x1'],
  ['abc123def456- 1'],
  ['abc123def456-1 '],
  ['abc123def456-1\n'],
  ['abc123def456-9007199254740993'],
  ['abc123def456-99999999999999999'],
  ['ab-1'],
  ['abc_123-1'],
  ['abc 123-1'],
  ['request-1-2'],
  ['nobody-sent-this'],
])('%j is nobody’s', (text) => {
  expect(parseCustomId(text)).toBeUndefined()
})
