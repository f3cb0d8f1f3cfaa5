/** Names that look like Mistral's: today's and tomorrow's models of its families, and fine-tuned ones. */
const FAMILIES = /^(mistral-|ministral-|magistral-|codestral|devstral-|pixtral-|voxtral-|open-mi|labs-|ft:)/

/** What a list of models shows. */
export const LISTED_MODELS: readonly string[] = [
  'mistral-large-latest',
  'mistral-medium-latest',
  'mistral-small-latest',
  'ministral-8b-latest',
  'magistral-medium-latest',
  'codestral-latest',
  'mistral-embed',
  'codestral-embed',
  'mistral-moderation-latest',
  'mistral-ocr-latest',
  'voxtral-mini-latest',
]

export function isModel(name: string, further: readonly string[]): boolean {
  return FAMILIES.test(name) || further.includes(name)
}

export function modelObject(id: string): Record<string, unknown> {
  return {
    id,
    object: 'model',
    created: 1_700_000_000,
    owned_by: 'mistralai',
    capabilities: {
      completion_chat: true,
      function_calling: true,
      completion_fim: true,
      fine_tuning: false,
      vision: true,
    },
    name: id,
    description: null,
    max_context_length: 131_072,
    aliases: [],
    deprecation: null,
    type: 'base',
  }
}
