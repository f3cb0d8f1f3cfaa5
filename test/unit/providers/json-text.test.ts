import { describe, expect, test } from 'vitest'
import { elementTexts, memberText, replaceMember } from '../../../src/providers/toolkit/json-text.ts'

describe('the elements of a JSON array', () => {
  test.each([
    ['[]', []],
    [' [ ] ', []],
    ['[1.0]', ['1.0']],
    ['[ {"a":[1,2]} ,\n"],[" , null,-0]', ['{"a":[1,2]}', '"],["', 'null', '-0']],
    [String.raw`["\"]", "\\"]`, [String.raw`"\"]"`, String.raw`"\\"`]],
    ['{"a":[1]}', []],
    ['"[1]"', []],
    ['', []],
  ])('of %s are as they are written', (text, elements) => {
    expect(elementTexts(text)).toEqual(elements)
  })
})

describe('a member in place of another', () => {
  const by = { name: 'new "one"', value: '[2]' }

  test.each([
    ['{"a":1}', ['a'], String.raw`{"new \"one\"":[2]}`],
    ['{ "x" : 1.0 , "a" : {"b":"}"} , "y":-0 }', ['a'], String.raw`{ "x" : 1.0 , "new \"one\"":[2] , "y":-0 }`],
    [' {"a": {"a":1, "b":2}}', ['a', 'b'], String.raw` {"a": {"a":1, "new \"one\"":[2]}}`],
    ['{"a":1,"a":2}', ['a'], String.raw`{"a":1,"new \"one\"":[2]}`],
    [String.raw`{"\u0061":1}`, ['a'], String.raw`{"new \"one\"":[2]}`],
  ])('in %s at %o changes nothing else', (text, path, expected) => {
    expect(replaceMember(text, path, by)).toBe(expected)
  })

  test.each([
    ['{"b":1}', ['a']],
    ['{"a":1}', ['a', 'b']],
    ['[{"a":1}]', ['a']],
    ['{}', ['a']],
  ])('in %s at %o needs one that is there', (text, path) => {
    expect(replaceMember(text, path, by)).toBeUndefined()
    expect(memberText(text, path)).toBeUndefined()
  })
})
