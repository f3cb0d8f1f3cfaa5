/** Names that look like those Groq serves. */
const FAMILIES =
  /^(llama|meta-llama\/|openai\/gpt-oss|qwen|moonshotai\/|deepseek|gemma|mistral|groq\/|compound|allam|whisper-|distil-whisper|nomic-embed-)/

export const LISTED_MODELS: readonly string[] = [
  'llama-3.1-8b-instant',
  'llama-3.3-70b-versatile',
  'openai/gpt-oss-20b',
  'openai/gpt-oss-120b',
  'whisper-large-v3',
  'whisper-large-v3-turbo',
]

export function isModel(name: string, further: readonly string[]): boolean {
  return FAMILIES.test(name) || further.includes(name)
}
