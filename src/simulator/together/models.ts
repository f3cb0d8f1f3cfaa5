/** Every model there is called after its maker. */
const NAME = /^[\w.-]+\/[\w.:-]+$/

export const LISTED_MODELS: readonly string[] = [
  'meta-llama/Llama-3.3-70B-Instruct-Turbo',
  'deepseek-ai/DeepSeek-V3',
  'openai/gpt-oss-20b',
  'openai/whisper-large-v3',
]

export function isModel(name: string, further: readonly string[]): boolean {
  return NAME.test(name) || further.includes(name)
}
