import { tokensOf, type Answer } from '../../endpoint.ts'

/** Tokens as every answer of Mistral's tells them. */
export function usageOf(read: string, written: string): Answer {
  const promptTokens = tokensOf(read)
  const completionTokens = written === '' ? 0 : tokensOf(written)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}
