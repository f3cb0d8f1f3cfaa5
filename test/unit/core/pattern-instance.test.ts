import { expect, test } from 'vitest'
import { patternInstance } from '../../../src/core/pattern-instance.ts'
import { instanceOf } from '../../../src/core/schema-instance.ts'

test.each([
  ['^[A-Z]{2}-\\d{4,6}$', 'AA-0000'],
  ['^(?:red|green)+$', 'red'],
  ['^#[0-9a-f]{3}(?:[0-9a-f]{3})?$', '#000'],
  ['^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$', 'a@a.aa'],
  ['^(?<year>\\d{4})/(?<month>0[1-9]|1[0-2])$', '0000/01'],
  ['^\\u0041\\x42\\u{43}\\p{L}\\P{L}$', 'ABCa0'],
  ['^(?=a).\\w*?$', 'a'],
  ['^[^a]$', '0'],
  ['^.{3}[\\]x]\\.$', 'aaa].'],
  ['a|b', 'a'],
])('the expression %s accepts %j', (pattern, text) => {
  expect(patternInstance(pattern)).toBe(text)
})

test.each(['(', '^(?=b)a$', '^(a)(?!a)b\\1$', '[b-a]'])(
  'of the expression %s nothing is said rather than something wrong',
  (pattern) => {
    expect(patternInstance(pattern)).toBeUndefined()
  },
)

test.each([
  ['a pattern', { type: 'string', pattern: '^v\\d+\\.\\d+$' }, 'v0.0'],
  ['a pattern beside its format', { type: 'string', format: 'email', pattern: '^\\S+@\\S+$' }, 'someone@example.com'],
  [
    'a narrower pattern than its format',
    { type: 'string', format: 'email', pattern: '^\\S+@acme\\.org$' },
    'a@acme.org',
  ],
  ['types in capitals', { type: 'OBJECT', properties: { a: { type: 'INTEGER' } }, required: ['a'] }, { a: 0 }],
  ['counts in quotation marks', { type: 'ARRAY', items: { type: 'BOOLEAN' }, minItems: '2' }, [true, true]],
])('a schema with %s has its instance', (_, schema, instance) => {
  expect(instanceOf(schema, 'text')).toEqual(instance)
})
