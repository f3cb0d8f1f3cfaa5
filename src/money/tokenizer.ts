import type { CountTokens } from './tokens.ts'

/** An optional peer dependency: whoever has it installed has estimates by the real vocabulary of OpenAI's newer models. */
const PACKAGE = 'gpt-tokenizer'

/**
 * The exact tokenizer, if it is installed; undefined where it is not, or is another than we know. `load` imports a package by its name.
 */
export async function loadTokenizer(
  load: (name: string) => Promise<unknown> = (name) => import(name),
): Promise<CountTokens | undefined> {
  let loaded: unknown
  try {
    loaded = await load(PACKAGE)
  } catch {
    // Not installed, or broken: the built-in estimate serves.
    return undefined
  }
  const countTokens: unknown = typeof loaded === 'object' && loaded !== null && Reflect.get(loaded, 'countTokens')
  if (typeof countTokens !== 'function') return undefined
  // A prompt may speak of special tokens: that is text, and no reason to throw.
  const options = { disallowedSpecial: new Set<string>() }
  const count = (text: string): number => Number(Reflect.apply(countTokens, undefined, [text, options]))
  try {
    // One that does not count as the versions we know is not believed.
    return count('hello <|endoftext|>') >= 2 ? count : undefined
  } catch {
    return undefined
  }
}
