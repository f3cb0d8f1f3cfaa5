/** Names that look like OpenAI's: today's and tomorrow's models of its families, and fine-tuned ones. */
const FAMILIES =
  /^(gpt-|chatgpt-|o\d|codex|computer-use|text-embedding-|text-moderation|omni-moderation|davinci|babbage|dall-e-|ft:)/

/** What a list of models shows. */
export const LISTED_MODELS: readonly string[] = [
  'gpt-4o',
  'gpt-4o-mini',
  'gpt-4.1',
  'gpt-4.1-mini',
  'gpt-5',
  'gpt-5-mini',
  'gpt-5-nano',
  'o3',
  'o4-mini',
  'gpt-3.5-turbo-instruct',
  'text-embedding-3-small',
  'text-embedding-3-large',
  'text-embedding-ada-002',
  'omni-moderation-latest',
  'gpt-image-1',
]

export function isModel(name: string, further: readonly string[]): boolean {
  return FAMILIES.test(name) || further.includes(name)
}
