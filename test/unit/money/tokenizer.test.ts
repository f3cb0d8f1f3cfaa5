import { describe, expect, test } from 'vitest'
import { loadTokenizer } from '../../../src/money/tokenizer.ts'

/** As `gpt-tokenizer` is: it refuses special tokens in a text unless told not to. */
function packageLike(text: string, options?: { readonly disallowedSpecial?: ReadonlySet<string> }): number {
  if (text.includes('<|endoftext|>') && options?.disallowedSpecial === undefined) throw new Error('disallowed')
  return text.split(' ').length
}

describe('the exact tokenizer', () => {
  test('counts where it is installed, whatever a prompt speaks of', async () => {
    const asked: string[] = []

    const count = await loadTokenizer((name) => {
      asked.push(name)
      return Promise.resolve({ countTokens: packageLike })
    })

    expect(asked).toEqual(['gpt-tokenizer'])
    expect(count?.('one two three')).toBe(3)
    expect(count?.('what is <|endoftext|> for?')).toBe(4)
  })

  test.each<[string, () => Promise<unknown>]>([
    ['is not installed', () => Promise.reject(new Error('Cannot find package'))],
    ['has no such function', () => Promise.resolve({ default: {} })],
    ['is no module', () => Promise.resolve(null)],
    ['throws', () => Promise.resolve({ countTokens: () => expect.fail() })],
    ['gives something other than a number', () => Promise.resolve({ countTokens: () => ['a'] })],
  ])('is left aside when it %s', async (_, load) => {
    await expect(loadTokenizer(load)).resolves.toBeUndefined()
  })

  test('is looked for among the packages of the program, which may well not have it', async () => {
    const count = await loadTokenizer()

    expect(count?.('hello world') ?? 2).toBe(2)
  })
})
