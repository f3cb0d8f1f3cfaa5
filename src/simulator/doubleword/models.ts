/** Every model there is called after its maker. */
const NAME = /^[\w.-]+\/[\w.:-]+$/

export const LISTED_MODELS: readonly string[] = [
  'Qwen/Qwen3-VL-235B-A22B-Instruct-FP8',
  'Qwen/Qwen3-Embedding-8B',
  'openai/gpt-oss-20b',
]

export function isModel(name: string, further: readonly string[]): boolean {
  return NAME.test(name) || further.includes(name)
}
