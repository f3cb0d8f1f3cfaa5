/** What a model can be asked for, live or in a batch. */
export type Method = 'generateContent' | 'embedContent'

/** Names that look like Google's: today's and tomorrow's models of its families. */
const EMBEDDING = /^(gemini-embedding-|text-embedding-|embedding-)/
const GENERATING = /^(gemini-|gemma-|learnlm-)/

/** What a list of models shows. */
export const LISTED_MODELS: readonly string[] = [
  'gemini-2.5-pro',
  'gemini-2.5-flash',
  'gemini-2.5-flash-lite',
  'gemini-3-flash-preview',
  'gemini-embedding-001',
]

/** Whether this model knows this method. Further models know both. */
export function supports(model: string, method: Method, further: readonly string[]): boolean {
  if (further.includes(model)) return true
  const embeds = EMBEDDING.test(model)
  return method === 'embedContent' ? embeds : !embeds && GENERATING.test(model)
}

export function modelResource(model: string, further: readonly string[]): Record<string, unknown> {
  const generates = supports(model, 'generateContent', further)
  const embeds = supports(model, 'embedContent', further)
  return {
    name: `models/${model}`,
    version: '001',
    displayName: model,
    inputTokenLimit: generates ? 1_048_576 : 2048,
    outputTokenLimit: generates ? 65_536 : 1,
    supportedGenerationMethods: [
      ...(generates ? ['generateContent', 'countTokens', 'batchGenerateContent'] : []),
      ...(embeds ? ['embedContent', 'countTextTokens', 'asyncBatchEmbedContent'] : []),
    ],
  }
}
